package spawn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// Where the Go linker's note must be: it writes it near the beginning, and a
// longer search would only serve a file made to waste our time.
const (
	noteWindow = 32 << 10 // bytes of the file that are searched
	maxBuildID = 1 << 10  // bytes; real ones have 83
)

// Type of the note that carries the build id, with the owner "Go".
const goBuildIDNote = 4

// ErrNoBuildID is what BuildID wraps for a program without one.
var ErrNoBuildID = errors.New("the program has no Go build id; it was linked with -buildid= or is not a Go program")

var errNotELF = errors.New("not an ELF file")

// readBuildID finds the build id note in the first part of an ELF file.
//
// An ELF note is three 32-bit words in the file's byte order (length of the
// owner's name, length of the content, type), then name and content, each
// padded to four bytes; see elf(5). Their layout is the same in 32-bit and
// 64-bit files, and notes are aligned to four bytes. So the note is looked for
// as what it is, and headers need not be followed.
func readBuildID(r io.ReaderAt) (string, error) {
	head := make([]byte, noteWindow)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	order, err := byteOrder(head[:n])
	if err != nil {
		return "", err
	}
	if id, ok := noteIn(head[:n], order); ok {
		return id, nil
	}
	return "", ErrNoBuildID
}

// noteIn finds the build id's note among others, or in what stands around it.
func noteIn(b []byte, order binary.ByteOrder) (string, bool) {
	for at := 0; at+16 <= len(b); at += 4 {
		if id, ok := noteAt(b[at:], order); ok {
			return id, true
		}
	}
	return "", false
}

func byteOrder(head []byte) (binary.ByteOrder, error) {
	if len(head) < 16 || !bytes.HasPrefix(head, []byte("\x7fELF")) {
		return nil, errNotELF
	}
	switch head[5] {
	case 1:
		return binary.LittleEndian, nil
	case 2:
		return binary.BigEndian, nil
	}
	return nil, errNotELF
}

// noteAt returns the build id if b, of at least 16 bytes, begins with its note.
func noteAt(b []byte, order binary.ByteOrder) (string, bool) {
	size := order.Uint32(b[4:])
	switch {
	case order.Uint32(b) != 4, order.Uint32(b[8:]) != goBuildIDNote, string(b[12:16]) != "Go\x00\x00":
		return "", false
	case size == 0, size > maxBuildID, int(size) > len(b)-16:
		return "", false
	}
	return string(b[16 : 16+size]), true
}
