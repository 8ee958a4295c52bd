package spawn

import (
	"errors"
	"syscall"
)

// Op names the step of a start that failed.
type Op string

// The steps of a start, in order.
const (
	OpCheck Op = "check command"      // the command itself is wrong
	OpHold  Op = "prepare"            // opening the own program, or probing the kernel
	OpFiles Op = "pass files"         // a given file is closed, or cannot be passed
	OpChdir Op = "change directory"   // Command.Dir cannot be entered
	OpStart Op = "start process"      // clone or exec failed
	OpWatch Op = "watch process"      // started, could not be watched, and so killed
	OpBuild Op = "read the build id"  // BuildID
	OpName  Op = "set process's name" // SetName
)

// Error is a start that failed. Nothing is left of it: no process, no open
// descriptor.
type Error struct {
	Op  Op
	Err error
}

// Error is one line that also says what to do, where that is known.
func (e *Error) Error() string {
	s := "spawn: " + string(e.Op) + ": " + e.Err.Error()
	if advice := e.Advice(); advice != "" {
		s += ": " + advice
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Advice says what to do about the error, or is empty.
func (e *Error) Advice() string {
	var errno syscall.Errno
	switch e.Op {
	case OpHold, OpStart, OpWatch: // elsewhere the same numbers mean other things
		errors.As(e.Err, &errno)
	}
	return advice[errno]
}

// Shortage reports whether this program or its host is out of descriptors,
// processes or memory. Such a failure says nothing about the worker, and a
// later start may succeed.
func (e *Error) Shortage() bool { return Shortage(e.Err) }

// Shortage reports the same of any error of the system.
func Shortage(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EAGAIN, syscall.ENOMEM} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

var advice = map[syscall.Errno]string{
	syscall.EMFILE:  "this program has too many open files; raise its limit (ulimit -n) or run fewer workers",
	syscall.ENFILE:  "the whole system has too many open files (fs.file-max)",
	syscall.EAGAIN:  "no more processes are allowed; look at ulimit -u, the pids.max of the cgroup, and kernel.pid_max",
	syscall.ENOMEM:  "there is not enough memory for another process",
	syscall.ENOENT:  "/proc must be mounted, and the loader of a dynamically linked program must exist",
	syscall.EACCES:  "the program's file must be executable, on a file system that is not mounted noexec",
	syscall.ETXTBSY: "the program's file is still open for writing; start it after its writer has closed it",
	syscall.ENOEXEC: "the file is not a program for this machine",
	syscall.E2BIG:   "arguments and environment are too large together",
	syscall.EPERM:   "a seccomp policy or another security module forbids it",
	syscall.ENOSYS:  "pidfd needs Linux 5.4 or later, and a container policy that allows it",
}
