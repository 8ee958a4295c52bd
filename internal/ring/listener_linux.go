package ring

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// brief is how long the parent sleeps in futex(2), with a thread, before it parks
// the goroutine and listens for the bell, which is dearer by half a round trip.
const brief = 200 * time.Microsecond

// mostVain is how often in succession a wait of the parent's may end without
// anything being there. One bell may be late: it was rung for what had been
// found without it.
const mostVain = 64

// listener is how the parent waits for one way. One goroutine waits at a time.
type listener struct {
	word  *atomic.Uint32
	ready func() bool // there is something to do, or something wrong to be found
	spin  *spinner    // nil: it does not pay
	file  *os.File    // the bell, an eventfd
	raw   syscall.RawConn
	heed  func(uintptr) bool // what the bell is for
	armed bool               // heed has been called in this wait
	tried bool               // a nap has been in vain
	vain  int                // waits in succession that ended with nothing there
}

func newListener(name string, word *atomic.Uint32, ready func() bool) (*listener, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	l := &listener{word: word, ready: ready, file: os.NewFile(uintptr(fd), name)}
	l.heed = l.listen
	if l.raw, err = l.file.SyscallConn(); err != nil {
		_ = l.file.Close()
		return nil, err
	}
	return l, nil
}

// briefly waits with the thread, and reports whether it was worth it.
func (l *listener) briefly(moment time.Duration) bool {
	l.tried = true
	if l.spin != nil && l.spin.spin(l.ready) {
		return true
	}
	nap(l.word, l.ready, moment)
	return l.ready()
}

// bell waits in the runtime's poller until there is something to do, the deadline
// has passed, or the bell is closed.
//
// Nobody reads the eventfd: the poller is told of each write (edge-triggered
// epoll), whatever the counter is, which saves two system calls.
func (l *listener) bell() error {
	l.armed = false
	err := l.raw.Read(l.heed)
	l.word.Store(awake)
	if err == nil && l.vain > mostVain {
		err = l.broken()
	}
	return err
}

// listen is called before the poller waits and whenever the bell was rung.
func (l *listener) listen(uintptr) (enough bool) {
	l.word.Store(listening)
	if l.ready() {
		return true
	}
	if l.armed {
		l.vain++
	}
	l.armed = true
	return l.vain > mostVain
}

// await waits, however long it takes.
func (l *listener) await() error {
	if !l.tried && l.briefly(brief) {
		return l.again()
	}
	if err := l.bell(); err != nil {
		return err
	}
	return l.again()
}

// again counts a wait whose end says that there is something.
func (l *listener) again() error {
	if l.vain++; l.vain > mostVain {
		return l.broken()
	}
	return nil
}

func (l *listener) broken() error {
	return &BrokenError{fmt.Sprintf("it was announced %d times that there was something, and there was nothing", l.vain)}
}

// found forgets what was waited for in vain: there was something.
func (l *listener) found() { l.vain, l.tried = 0, false }

// kick ends a nap.
func (l *listener) kick() { futexWake(l.word) }

// setDeadline is for bell; one that has passed ends it.
func (l *listener) setDeadline(t time.Time) error {
	err := l.file.SetReadDeadline(t)
	if !t.IsZero() && !t.After(time.Now()) {
		l.kick()
	}
	return err
}

func (l *listener) close() {
	_ = l.file.Close()
	l.kick()
}
