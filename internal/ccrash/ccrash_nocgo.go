//go:build !cgo

package ccrash

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// HasC says that the crashes are those of C code.
const HasC = false

// Segfault writes to memory that is not mapped.
func Segfault() {
	address := uintptr(0xdead000)
	**(**int)(unsafe.Pointer(&address)) = 1
}

// Abort sends itself the signal that abort(3) sends.
func Abort() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Signal(syscall.SIGABRT)
	}
	select {}
}

// Overflow does what it can.
func Overflow() { Segfault() }

// Spin never returns.
func Spin() {
	for n := 0; ; n++ {
	}
}

// AbortOnAThread does what it can.
func AbortOnAThread() { Abort() }

// Complain says why, and aborts.
func Complain() {
	fmt.Fprintln(os.Stderr, "free(): invalid pointer")
	Abort()
}

var lost [][]byte

// Leak loses so many bytes of memory.
func Leak(size int) bool {
	p := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		p[i] = 1
	}
	lost = append(lost, p)
	return true
}

// Print writes s to stdout.
func Print(s string) { fmt.Print(s) }

// PrintError writes s to stderr.
func PrintError(s string) { fmt.Fprint(os.Stderr, s) }
