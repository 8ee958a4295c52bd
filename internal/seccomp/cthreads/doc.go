// Package cthreads is the C side of the tests of package seccomp: threads and
// memory of a C library, and system calls of another architecture. Without cgo it
// builds and does nothing.
package cthreads
