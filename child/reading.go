package child

import (
	"context"
	"time"

	"github.com/verdigris-go/verdigris/wire"
)

// moment is how long somebody who waits for an answer does so in a system call of its
// own thread, before it makes arrangements for its context's end and leaves the
// waiting to the runtime.
const moment = 200 * time.Microsecond

// answer is what somebody waits for.
type answer interface{ settled() bool }

// Await waits until the answer has come, and returns false if ctx has ended before.
// Meanwhile it may read for all, and deliver.
func (t *transport) Await(ctx context.Context, w *waiter, a answer) bool {
	leads := t.lead.take(w)
	for {
		if leads {
			if settled, left := t.readFor(ctx, a); settled || left {
				return settled
			}
			leads = t.lead.take(w)
			continue
		}
		select {
		case <-w.wake:
			if a.settled() {
				t.quit(w)
				return true
			}
			leads = t.lead.leads(w)
		case <-ctx.Done():
			t.quit(w)
			return false
		}
	}
}

// quit is for a waiter that goes. If it was to lead it passes that on.
func (t *transport) quit(w *waiter) {
	if t.lead.quit(w) {
		t.pass()
	}
}

// readFor leads until the answer has come or ctx has ended. If neither, somebody else
// is to read, or there is nothing to be read any more.
func (t *transport) readFor(ctx context.Context, a answer) (settled, left bool) {
	next, stop := t.glance, func() bool { return true }
	defer func() { stop() }()
	for {
		if settled, left = a.settled(), ctx.Err() != nil; settled || left {
			t.pass()
			return settled, left
		}
		f, err := next()
		switch {
		case err == errNothing:
			next, stop = t.in.next, context.AfterFunc(ctx, t.in.interrupt)
		case err == errInterrupted:
			t.pass()
			return false, ctx.Err() != nil
		case !t.take(f, err):
			return false, false
		}
	}
}

func (t *transport) glance() (wire.Frame, error) { return t.in.glance(moment) }

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
	open, unattended := t.to.traffic()
	return unattended > 0 || open == 0 && t.in.partial()
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
