package spawn

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// ErrUnsupported is what every call returns on a system other than Linux.
// It matches errors.ErrUnsupported.
var ErrUnsupported = fmt.Errorf("spawn: worker processes need Linux: %w", errors.ErrUnsupported)

// Command says what to start. The files stay the caller's; they must not be
// closed before Start has returned, and may be closed right after it.
type Command struct {
	// Exe is the program to run. Nil means this very program, also when its
	// file has been replaced or deleted since.
	Exe *os.File
	// Argv is the argument list. Argv[0] must be there, and is the name under
	// which ps lists the worker; it need not be a path.
	Argv []string
	// Env is the whole environment. Nothing is inherited.
	Env []string
	// Dir is the working directory; empty means this program's.
	Dir string
	// Files become the descriptors 3, 4, 5 and so on of the worker. Start
	// puts them, Stdout and Stderr into blocking mode, because programs in
	// any language expect that: hand over the worker's end of a pipe and
	// keep the other.
	Files []*os.File
	// Stdout and Stderr are the descriptors 1 and 2; nil means /dev/null.
	Stdout, Stderr *os.File
	// Cgroup is the directory of a group in cgroup v2 in which the process is born
	// (CLONE_INTO_CGROUP, clone(2), Linux 5.7); nil means this program's.
	Cgroup *os.File
	// Enter, if there is one, is called on the cloning thread before the clone,
	// and what it has returned right after: it may move that thread to where the
	// process is to be born.
	Enter func() (leave func() error, err error)
	// PIDNamespace makes the process number 1 of a PID namespace of its own
	// (pid_namespaces(7)): all that it starts dies with it. Where that is not
	// allowed it gets a user namespace too, in which its user and group are the
	// same and all others are unknown.
	PIDNamespace bool
}

// Kind says in which way a process ended.
type Kind uint8

const (
	// Unknown means that another part of this program has taken the exit
	// status (wait4 with pid -1, or SIGCHLD ignored).
	Unknown Kind = iota
	// Exited means that the process called exit; see State.Code.
	Exited
	// Signaled means that a signal killed it; see State.Signal.
	Signaled
)

// State is how a process ended, as the kernel tells it.
type State struct {
	Kind   Kind
	Code   int            // exit status 0..255, if Exited
	Signal syscall.Signal // what killed it, if Signaled
	Core   bool           // whether a core dump was written, if Signaled
	User   time.Duration  // processor time in user mode
	System time.Duration  // processor time in the kernel
	// MaxRSS is the largest resident set in bytes, or 0 when it is not known.
	// The kernel counts the memory that the worker shared with this program
	// between clone and exec, so only a figure clearly above this program's
	// own at that time says something about the worker.
	MaxRSS int64
}

// String is a short description such as "exit status 2" or "signal: killed".
func (s State) String() string {
	switch {
	case s.Kind == Exited:
		return fmt.Sprintf("exit status %d", s.Code)
	case s.Kind == Signaled && s.Core:
		return fmt.Sprintf("signal: %v (core dumped)", s.Signal)
	case s.Kind == Signaled:
		return fmt.Sprintf("signal: %v", s.Signal)
	}
	return "unknown exit status"
}
