package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/verdigris-go/verdigris/examples/tree/qoi"
)

const shipped = "../../images"

func TestShippedMalformedFilesAreTheseOnes(t *testing.T) {
	for name, want := range malformed() {
		got, err := os.ReadFile(filepath.Join(shipped, name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is not what mkimages makes", name)
		}
	}
}

// Every shipped image that is not malformed decodes, and encoding it again gives the same bytes. (The rendered ones
// are not rendered again: the last bit of a float differs between processors.)
func TestShippedImagesAreGood(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(shipped, "*.qoi"))
	if err != nil || len(names) != len(photos)+len(rendered())+len(malformed()) {
		t.Fatalf("found %d files (%v)", len(names), err)
	}
	for _, name := range names {
		if _, bad := malformed()[filepath.Base(name)]; bad {
			continue
		}
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := qoi.Decode(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(encoded(m), file) {
			t.Errorf("%s: encoding it again gives other bytes", name)
		}
	}
}

func TestRunWritesWhatNeedsNoOriginals(t *testing.T) {
	dir := t.TempDir()
	if err := run(dir, ""); err != nil {
		t.Fatal(err)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*.qoi"))
	if want := len(rendered()) + len(malformed()); len(names) != want {
		t.Errorf("wrote %q, want %d files", names, want)
	}
}
