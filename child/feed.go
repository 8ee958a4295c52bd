package child

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/verdigris-go/verdigris/wire"
)

// feed is what a call brings before its end: the items of a stream, and how far
// it has come. A call that brings neither has none. Who reads the call channel
// fills it and never waits, for the window bounds it; the caller's goroutine
// empties it.
type feed struct {
	window int64          // of the stream; 0: it is none
	show   func(Progress) // nil: nobody has asked
	more   chan struct{}  // something has come
	end    chan struct{}  // closed when the call is settled

	report atomic.Pointer[Progress] // the latest, until it is shown

	mu     sync.Mutex
	items  [][]byte
	held   int64 // of the window: what has come and has not been granted back
	closed bool  // nobody takes items any more,
	lost   bool  // and of some that is true

	spare [][]byte // the caller's: the last batch, for reuse
	taken int64    // the caller's: what it has taken and not granted back
}

// newFeed returns the feed of a call, or nil.
func newFeed(ctx context.Context, req *Request, meta map[string]string, window int) *feed {
	show := asksProgress(ctx, meta)
	if req.items == nil && show == nil {
		return nil
	}
	f := &feed{show: show, more: make(chan struct{}, 1), end: make(chan struct{})}
	if req.items != nil {
		f.window = int64(window)
	}
	return f
}

// streams reports whether it is that of a stream; a nil feed is none.
func (f *feed) streams() bool { return f != nil && f.window > 0 }

func (f *feed) what() string {
	if f.streams() {
		return "is a stream"
	}
	return "is no stream"
}

// reports reports whether somebody wants to know how far the call has come.
func (f *feed) reports() bool { return f != nil && f.show != nil }

// takeReport takes a report that is wanted.
func (f *feed) takeReport(frame wire.Frame) error {
	p, err := wire.ParseProgress(frame.Body)
	if err == nil {
		f.tell(Progress(p))
	}
	return err
}

// put takes an item for keeps. A worker that has filled its window must wait.
func (f *feed) put(item wire.Frame) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held >= f.window {
		return &protocolError{fmt.Sprintf("more of a stream than its window of %d bytes", f.window)}
	}
	f.held += wire.ItemCost(len(item.Body))
	f.lost = f.lost || f.closed
	if !f.closed {
		f.items = append(f.items, item.Take())
		f.wake()
	}
	return nil
}

// tell takes a report.
func (f *feed) tell(p Progress) {
	f.report.Store(&p)
	f.wake()
}

func (f *feed) wake() {
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// take returns the items that have come, until the next call of it, and whether
// there are others that have been dropped.
func (f *feed) take() (batch [][]byte, lost bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	batch = f.items
	f.items, f.spare = f.spare[:0], batch
	return batch, f.lost
}

// close drops what has come and will come.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.items, f.closed, f.lost = nil, true, f.lost || len(f.items) > 0
}

// grant notes that the caller has taken an item, and returns how much of the
// window is to be given back to the worker now: half of it at once.
func (f *feed) grant(size int) (bytes int64) {
	if f.taken += wire.ItemCost(size); f.taken < (f.window+1)/2 {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	bytes, f.taken = f.taken, 0
	f.held -= bytes
	return bytes
}

// progress shows the caller how far the call has come, if there is news.
func (f *feed) progress() {
	if f.report.Load() != nil {
		f.show(*f.report.Swap(nil))
	}
}

// Why a caller has stopped following its call, but for an item that is wrong.
var (
	errEnough    = errors.New("the consumer wants no more")
	errImpatient = errors.New("the context has ended")
)

// follow hands over what comes, on the caller's goroutine, until the call is
// settled and all is handed over: then it returns nil. credit tells that a part of the
// window is free again.
func (f *feed) follow(ctx context.Context, req *Request, credit func(bytes int64)) error {
	for {
		over := isClosed(f.end) // all that comes before the end is there then
		batch, lost := f.take()
		for i, item := range batch {
			if ctx.Err() != nil {
				return errImpatient
			}
			f.progress()
			if more, err := req.takeItem(item, true); err != nil {
				return err
			} else if !more {
				return errEnough
			}
			f.spare[i] = nil
			if n := f.grant(len(item)); n > 0 && !over {
				credit(n)
			}
		}
		f.progress()
		switch {
		case lost: // it could pass for complete
			return errImpatient
		case over:
			return nil
		case ctx.Err() != nil:
			return errImpatient
		}
		select {
		case <-f.end:
		case <-ctx.Done():
		case <-f.more:
		}
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
