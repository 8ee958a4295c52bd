//go:build !linux || (!amd64 && !arm64)

package seccomp

import "os"

// Load returns ErrUnsupported.
func Load(Program, Threads) error { return ErrUnsupported }

// LoadNotify returns ErrUnsupported.
func LoadNotify(Program, Threads) (*Notifier, error) { return nil, ErrUnsupported }

// InForce reports false.
func (p Program) InForce() bool { return false }

// Probe finds nothing.
func Probe() Kernel { return Kernel{} }

// Notifier receives nothing; there is none on this system.
type Notifier struct{}

// Notice is a system call that somebody wants to make.
type Notice struct {
	ID   uint64
	PID  int
	Call Violation
}

// File returns nil.
func (n *Notifier) File() *os.File { return nil }

// Close returns ErrUnsupported.
func (n *Notifier) Close() error { return ErrUnsupported }

// Receive returns ErrUnsupported.
func (n *Notifier) Receive() (Notice, error) { return Notice{}, ErrUnsupported }

// Fail returns ErrUnsupported.
func (n *Notifier) Fail(uint64, Errno) error { return ErrUnsupported }
