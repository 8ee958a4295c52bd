package spawn

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// toGroup makes the kernel (6.9 or later) send a signal to the group that the
// process leads. It is a variable so that a test can play an older kernel.
var toGroup = unix.PIDFD_SIGNAL_PROCESS_GROUP

// Signal sends a signal to the process alone: to its first thread, so that what a
// handler says is about that one, or before Linux 6.9 to any of its threads. After
// its death it returns os.ErrProcessDone, or nil as long as the dead process has
// not been reaped.
func (p *Process) Signal(sig syscall.Signal) error {
	err := p.send(sig, unix.PIDFD_SIGNAL_THREAD)
	if err == unix.EINVAL {
		err = p.send(sig, 0)
	}
	return err
}

// SignalGroup sends a signal to the process and all descendants that have
// stayed in its process group. After its death it returns os.ErrProcessDone.
func (p *Process) SignalGroup(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.send(sig, toGroup)
	if err == unix.EINVAL { // before Linux 6.9; the number is still ours, since nobody has reaped it
		err = done(unix.Kill(-p.pid, sig))
	}
	if errors.Is(err, os.ErrProcessDone) { // it has left its group
		err = p.send(sig, 0)
	}
	return err
}

func (p *Process) send(sig syscall.Signal, flags int) error {
	err := os.ErrProcessDone // stays if the pidfd is closed already
	p.conn.Control(func(fd uintptr) {
		err = done(unix.PidfdSendSignal(int(fd), sig, nil, flags))
	})
	return err
}

func done(err error) error {
	if err == unix.ESRCH {
		return os.ErrProcessDone
	}
	return err
}
