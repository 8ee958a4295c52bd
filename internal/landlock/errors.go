package landlock

import (
	"errors"
	"fmt"
	"log/slog"
	"syscall"
)

// ErrUnsupported is what every call returns on a system other than Linux. It
// matches errors.ErrUnsupported.
var ErrUnsupported = fmt.Errorf("landlock: it needs Linux: %w", errors.ErrUnsupported)

// Step is a part of restricting.
type Step uint8

// The steps, in order.
const (
	StepProbe      Step = iota // ask for the ABI
	StepCreate                 // landlock_create_ruleset(2)
	StepPath                   // a path cannot be opened, or is none
	StepPathRule               // landlock_add_rule(2) for a path
	StepPortRule               // landlock_add_rule(2) for a port
	StepPrivileges             // prctl(PR_SET_NO_NEW_PRIVS)
	StepRestrict               // landlock_restrict_self(2)
)

func (s Step) String() string {
	return [...]string{
		StepProbe:      "ask for Landlock",
		StepCreate:     "create the ruleset",
		StepPath:       "open the path",
		StepPathRule:   "add the rule for the path",
		StepPortRule:   "add the rule for the port",
		StepPrivileges: "give up new privileges",
		StepRestrict:   "restrict the thread",
	}[s]
}

// Error says what could not be done. Nothing is restricted then, but new
// privileges may have been given up.
type Error struct {
	Step Step
	Path string // of StepPath and StepPathRule
	Port uint16 // of StepPortRule
	Err  error
}

func (e *Error) Error() string {
	s := "landlock: " + e.Step.String()
	switch e.Step {
	case StepPath, StepPathRule:
		s += fmt.Sprintf(" %q", e.Path)
	case StepPortRule:
		s += fmt.Sprintf(" %d", e.Port)
	}
	s += ": " + e.Err.Error()
	if advice := e.advice(); advice != "" {
		s += ": " + advice
	}
	return s
}

// Unwrap gives what the system said.
func (e *Error) Unwrap() error { return e.Err }

// Is matches errors.ErrUnsupported where the kernel has no Landlock.
func (e *Error) Is(target error) bool {
	return target == errors.ErrUnsupported && e.Step == StepProbe
}

// LogValue gives the facts.
func (e *Error) LogValue() slog.Value {
	return slog.GroupValue(slog.String("step", e.Step.String()), slog.String("path", e.Path), slog.Int("port", int(e.Port)), slog.String("error", e.Err.Error()))
}

// Errors of this package's own.
var (
	errLink    = errors.New("it is a symbolic link, and the rule does not say Follow")
	errNothing = errors.New("the plan denies nothing")
	errNoRight = errors.New("it is no directory, and the rule has only rights of directories")
)

func (e *Error) advice() string {
	var errno syscall.Errno
	errors.As(e.Err, &errno)
	return advice[e.Step][errno]
}

var advice = map[Step]map[syscall.Errno]string{
	StepProbe: {
		syscall.ENOSYS:     "the kernel is older than 5.13 or built without CONFIG_SECURITY_LANDLOCK, or a container's filter hides it",
		syscall.EOPNOTSUPP: "it was switched off at boot: add landlock to the kernel's lsm= parameter",
		syscall.EPERM:      "a container's filter forbids it",
	},
	StepCreate: {
		syscall.EINVAL: "the kernel knows less than the plan was compiled for: compile it for the ABI that Probe finds",
		syscall.E2BIG:  "the kernel knows less than the plan was compiled for: compile it for the ABI that Probe finds",
	},
	StepPathRule: {
		badFD: "it is in a file system that has no paths (a pipe, a socket, a namespace)",
	},
	StepRestrict: {
		syscall.E2BIG: "a thread can be restricted 16 times",
	},
}
