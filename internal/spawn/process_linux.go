package spawn

import (
	"os"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Process is a worker process from its start until it has been reaped.
type Process struct {
	pid  int
	file *os.File        // the pidfd, in the runtime's poller; closed when reaped
	conn syscall.RawConn // the way to its number that is safe against Close
	done chan struct{}

	shared int64 // bytes of this program's memory that may count as the worker's

	mu    sync.Mutex // held while signalling the group, and while reaping
	state State      // written before done is closed
}

// newProcess takes over a process that has just been cloned.
func newProcess(pid, pidfd int, shared int64) (*Process, error) {
	p, err := wrap(pid, pidfd)
	if err != nil {
		return nil, &Error{OpWatch, err}
	}
	p.shared = shared
	go p.wait()
	return p, nil
}

func wrap(pid, pidfd int) (*Process, error) {
	if pidfd < 0 {
		discard(pid)
		return nil, os.NewSyscallError("clone", unix.ENOSYS)
	}
	// Only a non-blocking descriptor gets into the poller.
	if err := unix.SetNonblock(pidfd, true); err != nil {
		unix.Close(pidfd)
		discard(pid)
		return nil, err
	}
	file := os.NewFile(uintptr(pidfd), "pidfd:"+strconv.Itoa(pid))
	conn, err := file.SyscallConn()
	if err != nil {
		file.Close()
		discard(pid)
		return nil, err
	}
	return &Process{pid: pid, file: file, conn: conn, done: make(chan struct{})}, nil
}

// discard gets rid of a process that cannot be watched. Nobody else knows of
// it, so its number is still its own.
func discard(pid int) {
	_ = unix.Kill(-pid, unix.SIGKILL)
	_ = unix.Kill(pid, unix.SIGKILL)
	_, _ = unix.Wait4(pid, nil, 0, nil)
}

// PID is the process's number, for people and logs. It may belong to somebody
// else once Done is closed.
func (p *Process) PID() int { return p.pid }

// Done is closed, once, when the process is dead and reaped and its group has
// been killed.
func (p *Process) Done() <-chan struct{} { return p.done }

// State says how the process ended. It waits for Done.
func (p *Process) State() State {
	<-p.done
	return p.state
}
