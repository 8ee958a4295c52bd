package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// columns is the width of the terminal that f is; 0: it is none.
func columns(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	switch {
	case err != nil:
		return 0
	case size.Col == 0:
		return 80 // it does not know
	}
	return int(size.Col)
}
