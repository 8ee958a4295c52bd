package cgroup

import (
	"errors"
	"fmt"
	"strings"
)

// Version says which interface of the kernel does something.
type Version uint8

// The versions.
const (
	None Version = iota
	V1
	V2
)

func (v Version) String() string {
	switch v {
	case V1:
		return "cgroup v1"
	case V2:
		return "cgroup v2"
	}
	return "no cgroup"
}

// Support says whether something can be had on this machine.
type Support struct {
	OK  bool
	By  Version // what does it, if OK
	Why string  // why not, and the remedy; "" if OK
}

// Limits are the bounds of a group. A zero is no bound.
type Limits struct {
	Memory int64 // bytes, of memory and swap together
	Tasks  int   // processes and threads
}

// Error says that a group cannot be had.
type Error struct {
	What string // what was to be done
	Why  string // in words, or ""
	Err  error  // what the system said, or nil
}

func (e *Error) Error() string {
	s := "cgroup: " + e.What
	if e.Why != "" {
		s += ": " + e.Why
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives what the system said.
func (e *Error) Unwrap() error { return e.Err }

// StayedError says that a group could not be removed in time.
type StayedError struct {
	Dirs []string // what is left of it
	PIDs []int    // what lives in it, as far as this process can see it
	Err  error    // of the last attempt
}

func (e *StayedError) Error() string {
	return fmt.Sprintf("cgroup: %s could not be removed, processes %v still live in it: %v", strings.Join(e.Dirs, ", "), e.PIDs, e.Err)
}

// Unwrap gives the error of the last attempt.
func (e *StayedError) Unwrap() error { return e.Err }

// ErrUnsupported matches errors.ErrUnsupported: there are no control groups on
// this system.
var ErrUnsupported = fmt.Errorf("cgroup: control groups need Linux: %w", errors.ErrUnsupported)

// check reports what of the limits cannot be had.
func (h *Host) check(l Limits) error {
	var s Support
	switch {
	case l.Memory > 0 && !h.Memory.OK:
		s = h.Memory
	case l.Tasks > 0 && !h.Tasks.OK:
		s = h.Tasks
	case l == Limits{} && !h.Kill.OK:
		s = h.Kill
	default:
		return nil
	}
	return &Error{What: "no group for " + l.String(), Why: s.Why}
}

func (l Limits) String() string {
	var parts []string
	if l.Memory > 0 {
		parts = append(parts, fmt.Sprintf("%d bytes of memory", l.Memory))
	}
	if l.Tasks > 0 {
		parts = append(parts, fmt.Sprintf("%d tasks", l.Tasks))
	}
	if parts == nil {
		return "killing"
	}
	return strings.Join(parts, " and ")
}
