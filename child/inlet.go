package child

import (
	"errors"
	"fmt"
	"os"
	"sync"
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
// One goroutine calls next; drain and close may be called from any.
type inlet struct {
	from     source
	frames   *wire.Reader
	patience time.Duration

	begun  bool // a read for the present frame has been made
	armed  bool // the source has a deadline
	halves int  // that have passed in vain
	got    int  // bytes since progress was seen last
	swept  int  // bytes read after the last deadline

	mu   sync.Mutex
	over bool // drain has set the last deadline
}

const stallProgress = 64 << 10

func newInlet(from source, limit int, patience time.Duration) *inlet {
	in := &inlet{from: from, patience: patience}
	in.frames = wire.NewReader(in, limit)
	return in
}

// next returns the next frame, whose body is valid until the following call.
func (in *inlet) next() (wire.Frame, error) {
	in.begun = false
	return in.frames.Next()
}

// Read is for frames.
func (in *inlet) Read(p []byte) (n int, err error) {
	in.guard()
	for {
		n, err = in.from.Read(p)
		in.got += n
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if in.isOver() {
			return in.sweep(p)
		}
		if in.halves++; in.halves == 2 {
			return 0, &protocolError{fmt.Sprintf("a part of a frame and then, for %v, not the rest", in.patience)}
		}
		in.arm()
	}
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
// there is none.
func (in *inlet) guard() {
	partial := in.frames.Buffered() > 0
	switch {
	case partial && (!in.begun || !in.armed || in.got >= stallProgress):
		in.halves, in.got = 0, 0
		in.arm()
	case !partial && in.armed:
		in.deadline(time.Time{})
	}
	in.begun, in.armed = true, partial
}

func (in *inlet) arm() { in.deadline(time.Now().Add(in.patience / 2)) }

func (in *inlet) deadline(t time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.over {
		in.from.SetReadDeadline(t)
	}
}

// drain ends the reading when the given time has passed.
func (in *inlet) drain(limit time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.over = true
	in.from.SetReadDeadline(time.Now().Add(limit))
}

func (in *inlet) isOver() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.over
}
