package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/verdigris-go/verdigris/child"
)

func TestScanFindsImagesOnly(t *testing.T) {
	files := fstest.MapFS{
		"b.qoi": {}, "a.QOI": {}, "notes.txt": {}, "qoi": {}, "sub.qoi/c.qoi": {}, "link.qoi": {Mode: fs.ModeSymlink},
	}
	got, err := scan(files)
	if want := []string{"a.QOI", "b.qoi", "link.qoi"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("scan: %q, %v; want %q", got, err, want)
	}
	if _, err := scan(source(filepath.Join(t.TempDir(), "none"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("scan of a directory that is not there: %v", err)
	}
}

func TestShippedSetIsComplete(t *testing.T) {
	names, err := scan(source(""))
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	for _, name := range names {
		if shippedBad[name] {
			bad++
		}
	}
	if len(names) != 9 || bad != len(shippedBad) {
		t.Errorf("shipped are %q, of which %d are known to be malformed", names, bad)
	}
}

// A decoder is not up before the index has written its table, and a number that the table does not have is an error.
func TestDecoderNeedsTheTable(t *testing.T) {
	cfg := catalogConfig{Table: filepath.Join(t.TempDir(), "table")}
	if _, err := openDecoder(t.Context(), cfg); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a table: %v", err)
	}
	if _, err := openCatalog(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	d, err := openDecoder(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []int{-1, len(d.names)} {
		if _, err := d.thumbnail(t.Context(), Job{number, 64}); err == nil {
			t.Errorf("image number %d exists", number)
		}
	}
	if thumb, err := d.thumbnail(t.Context(), Job{0, 64}); err != nil || thumb.To != (Dimensions{64, 64}) {
		t.Errorf("brick.qoi: %v, %v", thumb.To, err)
	}
}

func TestWriterWritesWholeFiles(t *testing.T) {
	w := newWriter(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Serve(ctx) }()
	for _, content := range []string{"first, and longer", "second"} {
		if err := w.put(t.Context(), "cat.qoi", []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(w.dir, "cat.png")); err != nil || string(got) != content {
			t.Errorf("read %q, %v; want %q", got, err, content)
		}
	}
	w.dir = filepath.Join(w.dir, "none") // safe: put returned after the writer was done with it, and is its next
	if err := w.put(t.Context(), "cat.qoi", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into a directory that is not there: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if err := w.put(ctx, "cat.qoi", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("put without a writer: %v", err)
	}
}

func TestLedgerIsCompleteWhenEveryImageHasAVerdict(t *testing.T) {
	l := newLedger()
	l.expect([]string{"a", "b"})
	if n, of := l.note("a", done); n != 1 || of != 2 || l.complete() || l.todo("a") || !l.todo("b") {
		t.Errorf("after a: %d of %d, complete %v", n, of, l.complete())
	}
	l.expect([]string{"a", "b", "c"}) // the index was started again and found one more
	l.note("b", crashed)
	if l.complete() {
		t.Error("complete without c")
	}
	l.note("c", refused)
	if !l.complete() || l.count(done) != 1 || l.count(crashed) != 1 {
		t.Errorf("complete %v, %d done, %d crashed", l.complete(), l.count(done), l.count(crashed))
	}
}

// Whoever was cancelled says nothing about the image, whatever else the error says.
func TestCancelledCallsAreNoVerdict(t *testing.T) {
	for _, started := range []bool{true, false} {
		if v := judge(&child.InterruptedError{Started: started, Err: context.Canceled}); v != stopped {
			t.Errorf("started %v: verdict %d, want stopped", started, v)
		}
	}
}
