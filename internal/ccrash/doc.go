// Package ccrash does what brittle C code does, for the tests of package child and
// for the soak.
// Without cgo the same things are done in Go, as far as that is possible; HasC
// tells.
package ccrash
