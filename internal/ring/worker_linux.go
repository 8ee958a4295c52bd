package ring

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Worker is the worker's side. Each way is for one goroutine at a time. A worker
// waits with its thread, and without limit: of its parent's death it learns
// otherwise.
type Worker struct {
	Calls   *Inlet
	Answers *Outlet

	closed atomic.Bool
}

// own are the rings of this process.
var own atomic.Pointer[Worker]

// Own returns what Open has taken over, or nil. It is for tests in which a worker
// writes by itself what no worker may write.
func Own() *Worker { return own.Load() }

// Open takes over what the parent has passed: the memory, the bell for answers
// and the bell for room. It refuses anything else, and then leaves the
// descriptors as they are; else they are not inherited by the worker's own
// children.
func Open(fds [Files]int) (*Worker, error) {
	if err := check(fds); err != nil {
		return nil, &Error{"open", err}
	}
	m, err := mapped(fds[0])
	if err != nil {
		return nil, &Error{"map", err}
	}
	m.share()
	if err := m.header().check(); err != nil {
		m.release()
		return nil, &Error{"open", err}
	}
	_ = unix.Close(fds[0]) // the mapping stays
	unix.CloseOnExec(fds[1])
	unix.CloseOnExec(fds[2])
	w := newWorker(m, fds[1], fds[2])
	own.Store(w)
	return w, nil
}

// check looks for descriptors that the parent has passed, not some that this
// process has opened.
func check(fds [Files]int) error {
	for _, fd := range fds {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			return fmt.Errorf("descriptor %d has not been passed", fd)
		}
	}
	return checkFile(fds[0])
}

func newWorker(m *memory, answersBell, roomBell int) *Worker {
	w := &Worker{Calls: &Inlet{}, Answers: &Outlet{}}
	in, out := &w.Calls.from, &w.Answers.to
	in.lane, in.bytes = m.calls()
	in.rouse = waker{roomBell}
	out.lane, out.bytes = m.answers()
	out.rouse = waker{answersBell}
	w.Calls.spin.budget = time.Duration(m.header().spin)
	w.Calls.ready = func() bool { return in.ready() || w.closed.Load() }
	w.Answers.ready = func() bool { return out.ready() || w.closed.Load() }
	w.Calls.closed, w.Answers.closed = &w.closed, &w.closed
	return w
}

// Close ends who waits, with os.ErrClosed. A worker never needs it: its end closes
// everything. The memory stays mapped.
func (w *Worker) Close() {
	w.closed.Store(true)
	futexWake(&w.Calls.from.lane.sleeps)
	futexWake(&w.Answers.to.lane.waits)
}

// Inlet is where the worker reads what its parent has written.
type Inlet struct {
	from   consumer
	spin   spinner
	ready  func() bool
	closed *atomic.Bool
}

// Read returns what has come, at least one byte of it.
func (i *Inlet) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if n, err := i.from.take(p); n > 0 || err != nil {
			return n, err
		}
		if i.closed.Load() {
			return 0, os.ErrClosed
		}
		if !i.spin.spin(i.ready) {
			nap(&i.from.lane.sleeps, i.ready, 0)
		}
	}
}

// Outlet is where the worker writes what its parent reads.
type Outlet struct {
	to     producer
	ready  func() bool
	closed *atomic.Bool
}

// Write writes all, waiting for the parent to make room.
func (o *Outlet) Write(p []byte) (n int, err error) {
	for {
		m, err := o.to.put(p[n:])
		n += m
		if err != nil || n == len(p) {
			return n, err
		}
		if o.closed.Load() {
			return n, os.ErrClosed
		}
		nap(&o.to.lane.waits, o.ready, 0)
	}
}
