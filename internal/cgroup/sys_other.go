//go:build !linux

package cgroup

import (
	"os"
	"time"
)

// Host is what is known of this machine: that it has no control groups.
type Host struct{ Kill, Memory, Tasks Support }

// Find says that nothing can be had.
func Find() *Host {
	no := Support{Why: "control groups need Linux"}
	return &Host{Kill: no, Memory: no, Tasks: no}
}

// New returns ErrUnsupported.
func (h *Host) New(Limits) (*Group, error) { return nil, ErrUnsupported }

// OOMTakesAll knows of no danger.
func (h *Host) OOMTakesAll() Danger { return Danger{} }

// SharedOOM knows nothing.
func (h *Host) SharedOOM() (kills uint64, ok bool) { return 0, false }

// Group is a control group; there is none on this system.
type Group struct{}

// Dirs returns nil.
func (g *Group) Dirs() []string { return nil }

// File returns nil.
func (g *Group) File() *os.File { return nil }

// Enter returns ErrUnsupported.
func (g *Group) Enter() (leave func() error, err error) { return nil, ErrUnsupported }

// Born does nothing.
func (g *Group) Born() {}

// Join returns ErrUnsupported.
func (g *Group) Join(int) error { return ErrUnsupported }

// Kill returns ErrUnsupported.
func (g *Group) Kill() error { return ErrUnsupported }

// Empty reports true.
func (g *Group) Empty(time.Duration) bool { return true }

// Close returns nil.
func (g *Group) Close() error { return nil }

// OOMKills knows nothing.
func (g *Group) OOMKills() (kills uint64, ok bool) { return 0, false }

// Peak knows nothing.
func (g *Group) Peak() (bytes int64, ok bool) { return 0, false }

// TaskRefusals knows nothing.
func (g *Group) TaskRefusals() (refused uint64, ok bool) { return 0, false }
