package main

import (
	"context"
	"path/filepath"
	"strings"
)

// writer is the output stage: the one goroutine that writes into the output directory. It is an ordinary service,
// a value with a Serve method, and lives in the tree beside worker processes.
type writer struct {
	dir   string
	files chan output
}

// output is a thumbnail on its way to the disk; the writer answers on written.
type output struct {
	image   string
	png     []byte
	written chan error
}

func newWriter(dir string) *writer { return &writer{dir, make(chan output)} }

// Serve writes what is put until ctx ends; nil says that this was in good order. It never ends by itself.
func (w *writer) Serve(ctx context.Context) error {
	for {
		select {
		case o := <-w.files:
			o.written <- replaceFile(w.path(o.image), o.png)
		case <-ctx.Done():
			return nil
		}
	}
}

// String is the name suture and the log know the writer by.
func (w *writer) String() string { return "writer" }

// put hands a thumbnail over and waits until it is written. It may be called from any goroutine.
func (w *writer) put(ctx context.Context, image string, png []byte) error {
	o := output{image, png, make(chan error, 1)}
	select {
	case w.files <- o:
		return <-o.written
	case <-ctx.Done():
		return ctx.Err()
	}
}

// path is where an image's thumbnail goes: chelsea.qoi becomes chelsea.png.
func (w *writer) path(image string) string {
	return filepath.Join(w.dir, strings.TrimSuffix(image, filepath.Ext(image))+".png")
}
