package spawn

import (
	"errors"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wait is the one waiter of a process, on a goroutine of its own.
func (p *Process) wait() {
	p.awaitDeath()
	p.reap()
	close(p.done)
}

// awaitDeath returns when the process is dead, and leaves it a zombie. It
// waits in the runtime's poller, or, where that refuses the pidfd, in a thread.
func (p *Process) awaitDeath() {
	if err := p.awaitPolling(); err != nil {
		p.awaitBlocking()
	}
}

func (p *Process) awaitPolling() error {
	return p.conn.Read(func(fd uintptr) bool {
		end, err := waitid(int(fd), unix.WNOHANG|unix.WNOWAIT, nil)
		return end.pid != 0 || gone(err)
	})
}

func (p *Process) awaitBlocking() {
	p.conn.Control(func(fd uintptr) {
		_ = unix.SetNonblock(int(fd), false)
		_, _ = waitid(int(fd), unix.WNOWAIT, nil)
	})
}

// reap kills what is left of the group while the dead leader still keeps the
// group's number from being given to somebody else, and then takes the exit
// status. From the Close on no signal is sent any more, by number or
// otherwise.
func (p *Process) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	stolen := p.isGone()
	err := p.send(unix.SIGKILL, toGroup)
	if err == unix.EINVAL && !stolen {
		_ = unix.Kill(-p.pid, unix.SIGKILL)
	}
	p.conn.Control(func(fd uintptr) { p.state = collect(int(fd)) })
	p.state.MaxRSS = ownOf(p.state.MaxRSS, p.shared)
	p.file.Close()
}

// isGone reports whether somebody else has reaped the process.
func (p *Process) isGone() (stolen bool) {
	p.conn.Control(func(fd uintptr) {
		_, err := waitid(int(fd), unix.WNOHANG|unix.WNOWAIT, nil)
		stolen = gone(err)
	})
	return stolen
}

// gone reports whether waiting for the process can never succeed.
func gone(err error) bool {
	return err != nil && !errors.Is(err, unix.EAGAIN)
}

// collect reaps a zombie.
func collect(pidfd int) State {
	var usage unix.Rusage
	end, err := waitid(pidfd, unix.WNOHANG, &usage)
	if err != nil || end.pid == 0 {
		return State{}
	}
	s := end.state()
	s.User = time.Duration(usage.Utime.Nano())
	s.System = time.Duration(usage.Stime.Nano())
	s.MaxRSS = int64(usage.Maxrss) * 1024 //nolint:unconvert // 32 bits wide on some machines
	return s
}

// ownPeak is the largest resident set of this program so far, in bytes.
func ownPeak() int64 {
	var usage unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &usage) // fails for a bad argument only
	return int64(usage.Maxrss) * 1024            //nolint:unconvert // 32 bits wide on some machines
}

// ownOf is the largest resident set of a worker, out of what the kernel says,
// which is at least what it shared with us before its exec. The kernel's counts
// are approximate (percpu_counter): both are of the same memory but read at
// different times, so that a small difference says nothing. 0: not known.
func ownOf(peak, shared int64) int64 {
	if peak <= shared+shared/16+1<<20 {
		return 0
	}
	return peak
}

// ending is what waitid(2) tells about a dead child. A pid of zero means that
// it still lives.
type ending struct {
	code   int32 // CLD_EXITED, CLD_KILLED, CLD_DUMPED
	pid    int32
	status int32 // exit status or signal
}

// The values of si_code for a dead child, see sigaction(2).
const (
	cldExited = 1
	cldKilled = 2
	cldDumped = 3
)

func (e ending) state() State {
	switch e.code {
	case cldExited:
		return State{Kind: Exited, Code: int(e.status)}
	case cldKilled, cldDumped:
		return State{Kind: Signaled, Signal: syscall.Signal(e.status), Core: e.code == cldDumped}
	}
	return State{}
}

// union is where the part of siginfo_t that depends on the signal begins:
// after three words, aligned for a pointer.
const union = (3*4 + unsafe.Sizeof(uintptr(0)) - 1) &^ (unsafe.Sizeof(uintptr(0)) - 1)

// waitid waits for the death of the child with this pidfd.
func waitid(pidfd, options int, usage *unix.Rusage) (ending, error) {
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PIDFD, pidfd, &info, unix.WEXITED|options, usage)
		if err == unix.EINTR {
			continue
		}
		child := unsafe.Add(unsafe.Pointer(&info), union)
		return ending{
			code:   info.Code,
			pid:    *(*int32)(child),
			status: *(*int32)(unsafe.Add(child, 8)),
		}, err
	}
}
