//go:build !linux

package statuspage

import (
	"io"
	"os"
)

// Page is the parent's side of a page; there is none on this system.
type Page struct{}

// New returns ErrUnsupported.
func New() (*Page, error) { return nil, ErrUnsupported }

// File returns nil.
func (*Page) File() *os.File { return nil }

// Started returns 0.
func (*Page) Started() uint64 { return 0 }

// Kept returns nil.
func (*Page) Kept() []byte { return nil }

// Pong returns 0.
func (*Page) Pong() uint64 { return 0 }

// Recall does nothing.
func (*Page) Recall() {}

// Signal returns 0.
func (*Page) Signal() uint64 { return 0 }

// CrashText returns nil.
func (*Page) CrashText() []byte { return nil }

// Crashed returns false.
func (*Page) Crashed() bool { return false }

// Close does nothing.
func (*Page) Close() error { return nil }

// Marker is the worker's side of a page; there is none on this system.
type Marker struct{}

// Open returns ErrUnsupported.
func Open(*os.File) (*Marker, error) { return nil, ErrUnsupported }

// Start returns true.
func (*Marker) Start(uint64) bool { return true }

// Dying returns false.
func (*Marker) Dying() bool { return false }

// SignalWord returns nil.
func (*Marker) SignalWord() *uint64 { return nil }

// Keep returns false.
func (*Marker) Keep([]byte) bool { return false }

// Keeps returns false.
func (*Marker) Keeps() bool { return false }

// Flush does nothing.
func (*Marker) Flush(io.Writer) error { return nil }

// Pong does nothing.
func (*Marker) Pong(uint64) {}

// CrashFile returns ErrUnsupported.
func (*Marker) CrashFile() (*os.File, error) { return nil, ErrUnsupported }

// Close does nothing.
func (*Marker) Close() error { return nil }
