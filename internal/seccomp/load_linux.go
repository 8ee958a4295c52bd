//go:build amd64 || arm64

package seccomp

import (
	"errors"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Load puts the program in force, for ever, and asks whether it is. It gives up
// new privileges first (no_new_privs, prctl(2)), for the same threads. When it
// returns nil, the program is in force for all of them. An error is a *LoadError
// or a *MissingError.
//
// A program that notifies needs LoadNotify.
func Load(p Program, t Threads) error {
	if err := p.loadable(t); err != nil {
		return err
	}
	if p.needs.Has(Listener) {
		return &LoadError{Step: StepCheck, Err: errors.New("a filter that notifies needs a listener, see LoadNotify")}
	}
	_, err := t.load(p, t.flags())
	return err
}

// LoadNotify is Load for a program that notifies: it also returns the listener.
// Whoever holds it answers the calls; when nobody does any more, they fail with
// ENOSYS. A thread and its descendants can have one.
func LoadNotify(p Program, t Threads) (*Notifier, error) {
	if err := p.loadable(t); err != nil {
		return nil, err
	}
	flags := t.flags() | unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	if t == AllThreads {
		flags |= unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH // without it a thread's id could not be told from a descriptor
	}
	if Probe().Features.Has(KillableWait) {
		flags |= unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV // a signal does not make the call twice
	}
	fd, err := t.load(p, flags)
	if err != nil {
		return nil, err
	}
	return newNotifier(fd)
}

func (t Threads) flags() uintptr {
	if t == AllThreads {
		return unix.SECCOMP_FILTER_FLAG_TSYNC
	}
	return 0
}

func (p Program) loadable(t Threads) error {
	if a, ok := Native(); !ok || p.arch != a {
		return &LoadError{Step: StepCheck, Err: errors.New("the program was compiled for " + p.arch.String())}
	}
	return Probe().Check(p, t)
}

// load does it on one thread, since no_new_privs belongs to a thread. With TSYNC
// the kernel gives it to the others, too. Without, the goroutine never leaves the
// thread again, so that no other goroutine ever runs under the filter.
func (t Threads) load(p Program, flags uintptr) (result int, err error) {
	runtime.LockOSThread()
	if t == AllThreads {
		defer runtime.UnlockOSThread()
	}
	return p.load(flags)
}

func (p Program) load(flags uintptr) (result int, err error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, &LoadError{Step: StepPrivileges, Err: err}
	}
	result, errno := set(flags, p.code)
	listens := flags&unix.SECCOMP_FILTER_FLAG_NEW_LISTENER != 0
	switch {
	case errno != 0:
		return 0, &LoadError{Step: StepLoad, Err: errno}
	case result != 0 && !listens:
		return 0, &LoadError{Step: StepLoad, Thread: result}
	case !p.InForce():
		if listens {
			unix.Close(result)
		}
		return 0, &LoadError{Step: StepVerify}
	}
	return result, nil
}

// InForce asks the kernel whether this very program is in force for the calling
// thread: then a getpid with two certain arguments fails with a certain error.
// It works without /proc, also after an exec and under further filters that
// allow getpid. Filters that are not of this package and kill at getpid kill.
func (p Program) InForce() bool {
	_, _, errno := unix.RawSyscall(unix.SYS_GETPID, canaryMagic, uintptr(p.canary), 0)
	return p.canary != 0 && errno == syscall.Errno(canaryErrno)
}

// set is the system call. A result above 0 is the thread that refused, or the
// listener.
func set(flags uintptr, code []Instruction) (int, syscall.Errno) {
	filters := make([]unix.SockFilter, len(code))
	for i, c := range code {
		filters[i] = unix.SockFilter{Code: c.Op, Jt: c.JT, Jf: c.JF, K: c.K}
	}
	prog := unix.SockFprog{Len: uint16(len(filters)), Filter: unsafe.SliceData(filters)}
	r, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(filters)
	return int(r), errno
}

// Probe asks the kernel what it can do, without changing anything. Where an
// outer filter forbids seccomp(2), that is nothing.
func Probe() Kernel {
	f := Features(0)
	for feature, action := range map[Feature]Action{CanKill: KillProcess, CanTrap: Trap, CanFail: Fail(EPERM), CanLog: Log, CanNotify: Notify} {
		if available(action) {
			f |= Features(feature)
		}
	}
	for feature, flags := range map[Feature]uintptr{
		Filters:      0,
		Sync:         unix.SECCOMP_FILTER_FLAG_TSYNC,
		Listener:     unix.SECCOMP_FILTER_FLAG_NEW_LISTENER,
		SyncListener: unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
		KillableWait: unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
	} {
		if knows(flags) {
			f |= Features(feature)
		}
	}
	return Kernel{f}
}

// available asks for an action (SECCOMP_GET_ACTION_AVAIL, Linux 4.14).
func available(a Action) bool {
	result := a.result() &^ 0xffff
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&result)))
	return errno == 0
}

// knows asks for flags: those the kernel has, it accepts before it sees that
// there is no program (seccomp(2)).
func knows(flags uintptr) bool {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, 0)
	return errno == unix.EFAULT
}
