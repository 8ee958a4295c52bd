// Mkimages makes the files in examples/tree/images.
//
//	go run ./examples/tree/internal/mkimages -out examples/tree/images -photos DIR
//
// DIR holds the originals of the photographs (images/README.md says where they come from). Without -photos only the
// rendered and the malformed files are made.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"os"
	"path/filepath"

	"github.com/verdigris-go/verdigris/examples/tree/qoi"
)

func main() {
	out := flag.String("out", ".", "directory to write the images to")
	originals := flag.String("photos", "", "directory with the originals of the photographs")
	flag.Parse()
	if err := run(*out, *originals); err != nil {
		fmt.Fprintln(os.Stderr, "mkimages:", err)
		os.Exit(1)
	}
}

func run(out, originals string) error {
	files := malformed()
	for name, m := range rendered() {
		files[name] = encoded(m)
	}
	if originals != "" {
		photos, err := photographs(originals)
		if err != nil {
			return err
		}
		for name, m := range photos {
			files[name] = encoded(m)
		}
	}
	for name, file := range files {
		if err := os.WriteFile(filepath.Join(out, name), file, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func encoded(m image.Image) []byte {
	var b bytes.Buffer
	if err := qoi.Encode(&b, m); err != nil {
		panic(err) // Our own images fit the format, and a buffer takes everything.
	}
	return b.Bytes()
}
