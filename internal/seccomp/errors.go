package seccomp

import (
	"errors"
	"fmt"
	"log/slog"
	"syscall"
)

// ErrUnsupported is what loading returns on a system other than Linux, and
// compiling for a processor that is neither amd64 nor arm64. It matches
// errors.ErrUnsupported.
var ErrUnsupported = fmt.Errorf("seccomp: system call filters need Linux on amd64 or arm64: %w", errors.ErrUnsupported)

// RuleError says that a filter cannot be meant as it is.
type RuleError struct {
	Index int // of the rule in Filter.Rules; -1: it is about Filter.Default
	Rule  Rule
	Why   string
}

func (e *RuleError) Error() string {
	if e.Index < 0 {
		return "seccomp: filter: " + e.Why
	}
	return fmt.Sprintf("seccomp: rule %d (%v): %s", e.Index, e.Rule.Call, e.Why)
}

// LogValue gives the facts.
func (e *RuleError) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("rule", e.Index), slog.String("call", e.Rule.Call.String()), slog.String("why", e.Why))
}

// TooLongError says that a filter needs more instructions than the kernel
// takes in one program.
type TooLongError struct{ Instructions int }

func (e *TooLongError) Error() string {
	return fmt.Sprintf("seccomp: the filter has %d instructions, the kernel takes at most %d: drop rules, or load it as several filters", e.Instructions, MaxInstructions)
}

// LogValue gives the facts.
func (e *TooLongError) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("instructions", e.Instructions), slog.Int("max", MaxInstructions))
}

// Step is a part of loading.
type Step uint8

// The steps of loading, in order.
const (
	StepCheck      Step = iota // the program, before anything is done
	StepPrivileges             // prctl(PR_SET_NO_NEW_PRIVS)
	StepLoad                   // seccomp(SECCOMP_SET_MODE_FILTER)
	StepVerify                 // the question whether it is in force
)

func (s Step) String() string {
	switch s {
	case StepCheck:
		return "check the program"
	case StepPrivileges:
		return "give up new privileges"
	case StepLoad:
		return "load the filter"
	case StepVerify:
		return "verify that the filter is in force"
	}
	return "unknown step"
}

// LoadError says that a filter is not in force as it was to be. Up to StepLoad
// nothing is in force, apart from no_new_privs; at StepVerify it is unknown what
// is, and the process should end.
type LoadError struct {
	Step   Step
	Thread int   // which thread refused, as it has a filter that this one has not; or 0
	Err    error // what the kernel said, or nil
}

func (e *LoadError) Error() string {
	s := "seccomp: " + e.Step.String() + ": "
	switch {
	case e.Thread != 0:
		return fmt.Sprintf("%sthread %d has a filter of its own, so that none was loaded: load before anything else does, or into each thread", s, e.Thread)
	case e.Err == nil:
		return s + "the kernel reported success, but the filter does not answer: end this process"
	}
	s += e.Err.Error()
	if advice := e.advice(); advice != "" {
		s += ": " + advice
	}
	return s
}

// isErrno reports whether the kernel said e.
func isErrno(err error, e Errno) bool { return errors.Is(err, syscall.Errno(e)) }

func (e *LoadError) advice() string {
	if e.Step != StepLoad {
		return ""
	}
	switch {
	case isErrno(e.Err, ENOSYS):
		return "the kernel is built without CONFIG_SECCOMP_FILTER, or an outer filter hides seccomp(2)"
	case isErrno(e.Err, EACCES):
		return "no_new_privs is needed and was not set"
	case isErrno(e.Err, EPERM):
		return "an outer filter forbids seccomp(2)"
	case isErrno(e.Err, einval):
		return "the kernel has no such flag or no such action: see Probe"
	case isErrno(e.Err, enomem):
		return "all filters of a thread together have at most 32768 instructions, and 4 more for each: load fewer"
	case isErrno(e.Err, ebusy):
		return "this thread has a filter with a listener already"
	}
	return ""
}

const (
	enomem Errno = 12
	ebusy  Errno = 16
	einval Errno = 22
)

// Unwrap gives what the kernel said.
func (e *LoadError) Unwrap() error { return e.Err }

// LogValue gives the facts.
func (e *LoadError) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("step", e.Step.String())}
	if e.Thread != 0 {
		attrs = append(attrs, slog.Int("thread", e.Thread))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// MissingError says what a program needs that this kernel has not.
type MissingError struct{ Features Features }

func (e *MissingError) Error() string {
	return fmt.Sprintf("seccomp: this kernel, or what it runs in, lacks: %v", e.Features)
}

// Is matches errors.ErrUnsupported.
func (e *MissingError) Is(target error) bool { return target == errors.ErrUnsupported }

// LogValue gives the facts.
func (e *MissingError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("missing", e.Features.String()))
}
