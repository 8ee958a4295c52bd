package child

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/verdigris-go/verdigris/wire"
)

// inlet takes frames off one of a worker's channels. Between two frames it waits
// for as long as the worker likes; a frame that has been begun has to go on:
// within the time of patience it must come to its end, or by stallProgress bytes
// further. Else the worker has broken the protocol.
//
// The time is measured in two halves, and only when both have passed in vain is
// the worker to blame: a process that was itself stopped meanwhile finds one half
// over when it wakes up, and what the worker has sent still unread.
//
// One goroutine at a time calls next and glance; drain and interrupt may be called
// from any.
type inlet struct {
	from     source
	frames   *wire.Reader
	patience time.Duration

	glances bool          // what is there, or comes in a moment, is enough
	moment  time.Duration // how long that is

	begun  bool      // a read for the present frame has waited
	due    time.Time // when the present half is over; zero: the source has no deadline
	halves int       // that have passed in vain
	got    int       // bytes since progress was seen last
	swept  int       // bytes read after the last deadline
	lapsed bool      // an interrupt has taken the place of the deadline

	mu          sync.Mutex
	over        bool        // drain has set the last deadline
	interrupted atomic.Bool // the reader is to be told; set with mu held
}

// Why there is no frame, although nothing is wrong.
var (
	errNothing     = errors.New("nothing has come")
	errInterrupted = errors.New("the reading was interrupted")
)

const stallProgress = 64 << 10

func newInlet(from source, limit int, patience time.Duration) *inlet {
	in := &inlet{from: from, patience: patience}
	in.frames = wire.NewReader(in, limit)
	return in
}

// next returns the next frame, whose body is valid until the following call. It
// waits for it; errInterrupted says that it was to stop waiting.
func (in *inlet) next() (wire.Frame, error) {
	in.glances = false
	return in.frame()
}

// glance is next that waits no longer than a moment, see [source], and then returns
// errNothing.
func (in *inlet) glance(moment time.Duration) (wire.Frame, error) {
	in.glances, in.moment = true, moment
	return in.frame()
}

func (in *inlet) frame() (wire.Frame, error) {
	f, err := in.frames.Next()
	if err == nil {
		in.begun = false
	}
	return f, err
}

// partial reports whether a part of a frame has come, and not yet the rest.
func (in *inlet) partial() bool { return in.frames.Buffered() > 0 }

// Read is for frames.
func (in *inlet) Read(p []byte) (n int, err error) {
	if in.glances {
		return in.poll(p)
	}
	in.guard()
	for {
		n, err = in.from.Read(p)
		in.got += n
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		switch over, interrupted := in.why(); {
		case over:
			return in.sweep(p)
		case interrupted:
			return 0, errInterrupted
		}
		if in.halves++; in.halves == 2 {
			return 0, &protocolError{fmt.Sprintf("a part of a frame and then, for %v, not the rest", in.patience)}
		}
		in.arm()
	}
}

// poll is the Read of a glance: of all its reads only the first may wait.
func (in *inlet) poll(p []byte) (int, error) {
	if in.interrupted.Load() {
		_, _ = in.why()
		return 0, errInterrupted
	}
	n, err := in.from.Poll(p, in.moment)
	in.moment = 0
	in.got += n
	if n == 0 && err == nil {
		err = errNothing
	}
	return n, err
}

// why tells for what a read's deadline has passed, if not for its own sake.
func (in *inlet) why() (over, interrupted bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	interrupted = in.interrupted.Swap(false)
	in.lapsed = in.lapsed || interrupted
	return in.over, interrupted
}

// sweep reads what is there, without waiting. The last deadline may have passed
// before this process came to read what the worker had written before its death:
// at most what a pipe holds.
func (in *inlet) sweep(p []byte) (n int, err error) {
	if in.swept >= pipeSize {
		return 0, os.ErrDeadlineExceeded // somebody writes on, but not the worker
	}
	n, err = in.from.Poll(p, 0)
	if n == 0 && err == nil {
		err = os.ErrDeadlineExceeded
	}
	in.swept += n
	return n, err
}

// guard sets a deadline when there is a part of a frame, and takes it back when
// there is none. That others come to read changes nothing about it.
func (in *inlet) guard() {
	switch partial := in.partial(); {
	case partial && (!in.begun || in.due.IsZero() || in.got >= stallProgress):
		in.halves, in.got = 0, 0
		in.arm()
	case partial && in.lapsed:
		in.deadline(in.due)
	case !partial && (in.lapsed || !in.due.IsZero()):
		in.deadline(time.Time{})
	}
	in.begun = true
}

func (in *inlet) arm() { in.deadline(time.Now().Add(in.patience / 2)) }

func (in *inlet) deadline(t time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.due, in.lapsed = t, false
	if !in.over && !in.interrupted.Load() {
		_ = in.from.SetReadDeadline(t)
	}
}

// interrupt makes the call of next that waits return, or else the following one.
func (in *inlet) interrupt() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.over {
		in.interrupted.Store(true)
		_ = in.from.SetReadDeadline(time.Now())
	}
}

// drain ends the reading when the given time has passed.
func (in *inlet) drain(limit time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.over = true
	_ = in.from.SetReadDeadline(time.Now().Add(limit))
}
