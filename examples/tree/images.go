package main

import (
	"embed"
	"io/fs"
	"os"
	"path"
	"strings"
)

// The shipped images are in the binary, so that it finds them wherever it is run, and its workers too.
//
//go:embed images/*.qoi
var shipped embed.FS

// shippedBad are the shipped files on which a decoder dies; images/README.md says why. Every other shipped file has
// to come out.
var shippedBad = map[string]bool{"overflow.qoi": true, "cut-off.qoi": true}

// source is the directory the images come from; "" stands for the shipped ones.
func source(dir string) fs.FS {
	if dir != "" {
		return os.DirFS(dir)
	}
	images, err := fs.Sub(shipped, "images")
	if err != nil {
		panic(err) // only for a path that is not valid, and this one is
	}
	return images
}

// scan returns the names of the images in files, in order.
func scan(files fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && strings.EqualFold(path.Ext(e.Name()), ".qoi") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
