package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// suffixes of the files that are taken for images, in lower case.
var suffixes = []string{".gif", ".jpeg", ".jpg", ".png", ".qoi"}

// scan lists the images in the tree of dir, in order. It leaves out the directory except, what is no regular file, and
// what cannot be read, of which it tells.
func scan(dir, except string, tell func(path string, err error)) ([]File, error) {
	skip, _ := os.Stat(except) // there may be none yet
	var files []File
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && path == dir:
			return err
		case err != nil:
			tell(path, err)
			return nil
		case d.IsDir():
			if info, err := d.Info(); err == nil && skip != nil && os.SameFile(info, skip) {
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular() || !slices.Contains(suffixes, strings.ToLower(filepath.Ext(path))):
			return nil
		}
		info, err := d.Info()
		if err != nil {
			tell(path, err)
			return nil
		}
		below, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files = append(files, File{filepath.ToSlash(below), info.Size(), info.ModTime().UnixNano()})
		return nil
	})
	return files, err
}

// store writes a file in one step: who looks sees all of it, or what was there before.
func store(path string, content []byte) error {
	part := path + ".part"
	err := os.WriteFile(part, content, 0o666)
	if os.IsNotExist(err) {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		err = os.WriteFile(part, content, 0o666)
	}
	if err != nil {
		return err
	}
	return os.Rename(part, path)
}
