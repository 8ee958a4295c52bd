//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// findPrograms yields the folder of the other programs of this module: the one
// that this program is in, or, if it was built alone, a new one. Then the
// current folder has to be this module's.
func findPrograms() (dir string, remove func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	dir = filepath.Dir(self)
	if _, err := os.Stat(filepath.Join(dir, tiny)); err == nil {
		return dir, func() error { return nil }, nil
	}
	if dir, err = os.MkdirTemp("", "verdigris-bench-*"); err != nil {
		return "", nil, err
	}
	remove = func() error { return os.RemoveAll(dir) }
	build := exec.Command("go", "build", "-o", dir, "./tiny", "./empty", "./peers/...")
	if said, err := build.CombinedOutput(); err != nil {
		return "", nil, errors.Join(fmt.Errorf("building the peers: %w: %s; make bench builds them beside it", err, said), remove())
	}
	return dir, remove, nil
}
