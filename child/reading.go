package child

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/verdigris-go/verdigris/wire"
)

// moment is how long somebody who waits for an answer does so in a system call of its
// own thread, before it makes arrangements for its context's end and leaves the
// waiting to the runtime.
const moment = 200 * time.Microsecond

// maxGlancing is how many may do so at a time.
const maxGlancing = 4

// stay is how long somebody waits: until its context ends, or a time has come, for
// which it makes a context only if the answer does not come soon.
type stay struct {
	ctx    context.Context
	due    time.Time          // zero: ctx says it all
	cancel context.CancelFunc // of ctx, if it was made here
}

// whole is the context that says it all.
func (s *stay) whole() context.Context {
	if !s.due.IsZero() {
		s.ctx, s.cancel = context.WithDeadline(s.ctx, s.due)
		s.due = time.Time{}
	}
	return s.ctx
}

// left is how long it still is, at least 1 ns; 0: for ever.
func (s *stay) left() (left time.Duration) {
	at, has := s.ctx.Deadline()
	if !s.due.IsZero() && (!has || s.due.Before(at)) {
		at, has = s.due, true
	}
	if has {
		left = max(time.Until(at), 1)
	}
	return left
}

func (s *stay) end() {
	if s.cancel != nil {
		s.cancel()
	}
}

// Await waits until the answer has come, and returns false if its time ended before.
// Meanwhile it may read for all, and deliver.
func (t *transport) Await(s *stay, w *waiter) bool {
	for leads := t.lead.take(w); ; {
		if leads {
			t.readFor(s, w)
			if w.settled() || s.ctx.Err() != nil {
				return w.settled()
			}
			leads = t.lead.take(w)
			continue
		}
		select {
		case <-w.wake:
		case <-s.whole().Done():
			t.quit(w)
			return false
		}
		if w.settled() {
			t.quit(w)
			return true
		}
		leads = t.lead.leads(w)
	}
}

// readFor leads until the answer has come, or the time to wait is over, or somebody
// else is to read, or there is nothing to be read any more.
func (t *transport) readFor(s *stay, w *waiter) {
	for !w.settled() && s.ctx.Err() == nil {
		f, err := t.glance()
		if err == errNothing {
			t.readLonger(s, w)
			return
		}
		if err == errInterrupted {
			break
		}
		if !t.take(f, err) {
			return
		}
	}
	t.pass()
}

// readLonger is readFor when the answer does not come soon.
func (t *transport) readLonger(s *stay, w *waiter) {
	defer context.AfterFunc(s.whole(), t.in.interrupt)()
	for !w.settled() && s.ctx.Err() == nil {
		f, err := t.in.next()
		if err == errInterrupted {
			break
		}
		if !t.take(f, err) {
			return
		}
	}
	t.pass()
}

// glancing is how many are in a glance now, of all workers.
var glancing atomic.Int64

// glance waits for a frame in a system call of this thread. So few may do that at a
// time that there are not many threads for it.
func (t *transport) glance() (wire.Frame, error) {
	defer glancing.Add(-1)
	if glancing.Add(1) > maxGlancing {
		return t.in.glance(0)
	}
	return t.in.glance(moment)
}

// quit is for a waiter that goes. If it was to lead it passes that on.
func (t *transport) quit(w *waiter) {
	if t.lead.quit(w) {
		t.pass()
	}
}

// Attend sees to it that somebody reads, now that a caller does not.
func (t *transport) Attend() {
	if t.lead.takeFree() {
		go t.attend()
	}
}

// Look takes what a worker has sent unasked. It does not wait.
func (t *transport) Look() {
	if !t.lead.takeFree() {
		return
	}
	switch f, err := t.in.glance(0); {
	case err == errNothing, err == errInterrupted, t.take(f, err):
		t.pass()
	}
}

// Nudge lets whoever reads see that its call has been settled in another way than by
// what it reads.
func (t *transport) Nudge() { t.in.interrupt() }

// attend reads as long as somebody has to whom nothing else would come of it.
func (t *transport) attend() {
	for t.lead.pass(t.unattended(), true) {
		if f, err := t.in.next(); err != errInterrupted && !t.take(f, err) {
			return
		}
	}
}

// pass gives the lead away.
func (t *transport) pass() {
	if t.lead.pass(t.unattended(), false) {
		go t.attend()
	}
}

// unattended reports whether something is to come that no caller will read: for one
// that has left or is busy with what came before, or that nobody has asked for.
func (t *transport) unattended() bool {
	open, lonely := t.to.traffic()
	return lonely > 0 || open == 0 && t.in.partial()
}

// take delivers a frame, and reports false when that was the end of all reading.
func (t *transport) take(f wire.Frame, err error) bool {
	if err != nil {
		t.end(streamEnd(err))
		return false
	}
	if err = f.Check(wire.Calls, wire.ToParent); err == nil {
		err = t.to.deliver(f)
	}
	if err != nil {
		t.end(err)
	}
	return err == nil
}

// end is the end of all reading, because of err if it is not nil.
func (t *transport) end(err error) {
	t.to.ended(err)
	t.lead.end()
	close(t.gone)
}
