package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Wherever a kill cuts the journal, all whole lines are believed and nothing else is, and it can be gone on with.
func TestJournalCutAtEveryByte(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	files := []File{{"a.png", 1, 2}, {"b\n\"c\".png", 3, 4}, {"\xff.png", 5, 6}}
	whole := written(t, path, files...)
	for cut := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		lines := bytes.Count(whole[:min(cut+1, len(whole))], []byte("\n")) // the end of a line may be missing
		j, err := openJournal(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(j.known) != lines {
			t.Fatalf("cut at %d: %d files are known of %d whole lines", cut, len(j.known), lines)
		}
		later := File{"later.png", 7, 8}
		if err := j.add(record{File: later, Side: 9}); err != nil {
			t.Fatal(err)
		}
		j.close()
		if j, err = openJournal(path); err != nil || len(j.known) != lines+1 {
			t.Fatalf("cut at %d, and gone on: %d files are known, want %d: %v", cut, len(j.known), lines+1, err)
		}
		j.close()
		if r, ok := j.of(later, 9); !ok || r.File != later {
			t.Fatalf("cut at %d: the next file is %+v", cut, r)
		}
	}
}

// A bit that is wrong anywhere costs one line, or two if it is the end of one.
func TestJournalWithAWrongBit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	whole := written(t, path, File{"a.png", 1, 2}, File{"b.png", 3, 4}, File{"c.png", 5, 6})
	for i := range whole {
		bad := bytes.Clone(whole)
		bad[i] ^= 4
		if n := len(parseJournal(bad)); n != 2 && (n != 1 || whole[i] != '\n') {
			t.Errorf("byte %d: %d files are known", i, n)
		}
	}
}

func TestJournalKnowsWhatHasChanged(t *testing.T) {
	f := File{"a.png", 1, 2}
	j := &journal{known: parseJournal(written(t, filepath.Join(t.TempDir(), "journal"), f))}
	for _, test := range []struct {
		file  File
		side  int
		known bool
	}{
		{f, 9, true},
		{f, 10, false},
		{File{"a.png", 1, 3}, 9, false},
		{File{"a.png", 2, 2}, 9, false},
		{File{"b.png", 1, 2}, 9, false},
	} {
		if _, known := j.of(test.file, test.side); known != test.known {
			t.Errorf("%+v, size %d: known is %v", test.file, test.side, known)
		}
	}
}

// written is a journal of thumbnails of size 9.
func written(t *testing.T, path string, files ...File) []byte {
	t.Helper()
	j, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	for i, f := range files {
		if err := j.add(record{File: f, Side: 9, Hash: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
