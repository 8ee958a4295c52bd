//go:build !cgo

package cthreads

// HasC says that there is no C code here.
const HasC = false

// Round does nothing.
func Round(int) bool { return true }

// Socket does nothing.
func Socket() {}

// SocketOnAThread does nothing.
func SocketOnAThread() {}

// Getpid32 cannot.
func Getpid32() int { return -1 }
