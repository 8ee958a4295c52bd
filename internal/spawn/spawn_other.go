//go:build !linux

package spawn

import "syscall"

// Process is a worker process; there is none on this system.
type Process struct{}

// Start returns ErrUnsupported.
func Start(Command) (*Process, error) { return nil, ErrUnsupported }

// Hold returns ErrUnsupported.
func Hold() error { return ErrUnsupported }

// BuildID returns ErrUnsupported.
func BuildID() (string, error) { return "", ErrUnsupported }

// SetName returns ErrUnsupported.
func SetName(string) error { return ErrUnsupported }

// PID returns 0.
func (*Process) PID() int { return 0 }

// Signal returns ErrUnsupported.
func (*Process) Signal(syscall.Signal) error { return ErrUnsupported }

// SignalGroup returns ErrUnsupported.
func (*Process) SignalGroup(syscall.Signal) error { return ErrUnsupported }

// Done returns a nil channel.
func (*Process) Done() <-chan struct{} { return nil }

// State returns the zero State.
func (*Process) State() State { return State{} }
