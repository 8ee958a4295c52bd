package spawn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
)

// elf is a file that begins like an ELF file and has b at an offset.
func elf(order byte, at int, b []byte) []byte {
	file := make([]byte, at, at+len(b))
	copy(file, "\x7fELF\x02")
	file[5] = order
	return append(file, b...)
}

func note(order binary.AppendByteOrder, nameSize, descSize, kind int, rest string) []byte {
	b := order.AppendUint32(nil, uint32(nameSize))
	b = order.AppendUint32(b, uint32(descSize))
	b = order.AppendUint32(b, uint32(kind))
	return append(b, rest...)
}

func TestReadBuildID(t *testing.T) {
	le, be := binary.LittleEndian, binary.BigEndian
	good := note(le, 4, 3, 4, "Go\x00\x00abc")
	for _, test := range []struct {
		name string
		file []byte
		want string
		err  error
	}{
		{"little-endian", elf(1, 64, good), "abc", nil},
		{"big-endian", elf(2, 64, note(be, 4, 3, 4, "Go\x00\x00abc")), "abc", nil},
		{"last in the window", elf(1, (noteWindow-len(good))&^3, good), "abc", nil},
		{"across the end of the window", elf(1, noteWindow-16, good), "", ErrNoBuildID},
		{"beyond the window", elf(1, noteWindow, good), "", ErrNoBuildID},
		{"not aligned", elf(1, 66, good), "", ErrNoBuildID},
		{"cut", elf(1, 64, good[:len(good)-1]), "", ErrNoBuildID},
		{"only a head", elf(1, 64, good[:15]), "", ErrNoBuildID},
		{"after another's note", elf(1, 64, append(note(le, 4, 4, 3, "GNU\x00xyzz"), good...)), "abc", nil},
		{"other type", elf(1, 64, note(le, 4, 3, 1, "Go\x00\x00abc")), "", ErrNoBuildID},
		{"other owner", elf(1, 64, note(le, 4, 3, 4, "GNU\x00abc")), "", ErrNoBuildID},
		{"empty", elf(1, 64, note(le, 4, 0, 4, "Go\x00\x00")), "", ErrNoBuildID},
		{"huge", elf(1, 64, note(le, 4, 1<<32-1, 4, "Go\x00\x00abc")), "", ErrNoBuildID},
		{"longer than allowed", elf(1, 64, note(le, 4, maxBuildID+1, 4, "Go\x00\x00"+strings.Repeat("a", 2*maxBuildID))), "", ErrNoBuildID},
		{"wrong byte order", elf(3, 64, good), "", errNotELF},
		{"short", []byte("\x7fELF"), "", errNotELF},
		{"script", []byte("#!/bin/sh\nexec something\n"), "", errNotELF},
		{"nothing", nil, "", errNotELF},
	} {
		got, err := readBuildID(bytes.NewReader(test.file))
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: %q, %v; want %q, %v", test.name, got, err, test.want, test.err)
		}
	}
}

type failing struct{}

func (failing) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

func TestReadBuildIDFailing(t *testing.T) {
	if _, err := readBuildID(failing{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error %v", err)
	}
}

func FuzzReadBuildID(f *testing.F) {
	f.Add(elf(1, 64, note(binary.LittleEndian, 4, 3, 4, "Go\x00\x00abc")))
	f.Add(elf(2, 64, note(binary.BigEndian, 4, 1<<31, 4, "Go\x00\x00abc")))
	f.Fuzz(func(t *testing.T, file []byte) {
		id, err := readBuildID(bytes.NewReader(file))
		if (err == nil) != (id != "") || len(id) > maxBuildID || !bytes.Contains(file, []byte(id)) {
			t.Errorf("%q, %v", id, err)
		}
	})
}
