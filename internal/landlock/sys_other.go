//go:build !linux

package landlock

import "syscall"

const badFD = syscall.EBADF

// Kernel is what a kernel has; here there is none.
type Kernel struct {
	ABI    ABI
	Errata uint32
	Err    error
}

// Probe finds ErrUnsupported.
func Probe() Kernel { return Kernel{Err: ErrUnsupported} }

// Ruleset is a plan with its paths opened; there is none on this system.
type Ruleset struct{}

// Open returns ErrUnsupported.
func (p Plan) Open() (*Ruleset, error) { return nil, ErrUnsupported }

// Close returns nil.
func (r *Ruleset) Close() error { return nil }

// Restrict returns ErrUnsupported.
func (r *Ruleset) Restrict() error { return ErrUnsupported }
