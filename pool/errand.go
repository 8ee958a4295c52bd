package pool

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/verdigris-go/verdigris/child"
)

// errand is one call on its way through the pool. It counts what is still going on for
// it: Do itself, and the sendings, which may be settled later. At zero it tells the
// one who asked.
type errand struct {
	req    *child.Request
	inside bool // it comes from a function that runs in this one

	// Of the goroutine that has called Do.
	input      identity
	seen, sure bool // its identity was looked for, and found

	mu    sync.Mutex
	n     int
	tries int   // sendings there have been
	begun bool  // a worker has begun with it
	end   error // of the last sending that a worker has begun with, else of the last one

	first sending
}

// errands are used again: one and its sending would be four objects a call.
var errands = sync.Pool{New: func() any {
	e := &errand{}
	e.first.tell = e.first.settled
	return e
}}

func newErrand(req *child.Request) *errand {
	e := errands.Get().(*errand)
	e.req, e.n = req, 1
	return e
}

// forget gives the errand back after Do has returned err, if it is sure that nobody
// else knows it: its only sending was settled before the caller was told. That of a
// stream may be settled just now.
func (e *errand) forget(err error) {
	e.mu.Lock()
	known := err != nil || e.n > 0 || e.tries != 1 || e.req.Stream()
	e.mu.Unlock()
	if !known {
		*e = errand{first: sending{tell: e.first.tell}}
		errands.Put(e)
	}
}

// recognised finds out the identity of the call's input, once; false: it has none.
func (e *errand) recognised(ctx context.Context, w *warden) bool {
	if !e.seen {
		e.input, e.sure = w.recognise(ctx, e.req)
		e.seen = true
	}
	return e.sure
}

// add is called before a sending.
func (e *errand) add() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.n++
	e.tries++
}

// ended is called when a sending is settled.
func (e *errand) ended(end error) {
	begun := !errors.Is(end, child.ErrNotStarted)
	e.mu.Lock()
	if begun || !e.begun {
		e.end = end
	}
	e.begun = e.begun || begun
	e.mu.Unlock()
	e.done(end)
}

// done is called with what Do returns.
func (e *errand) done(err error) {
	e.mu.Lock()
	e.n--
	if e.tries == 0 {
		e.end = err
	}
	last, end := e.n == 0, e.end
	e.mu.Unlock()
	if last && e.req.Settled != nil {
		e.req.Settled(end)
	}
}

// sending is a call in a worker's place. It has two ends: the worker is rid of the
// call, and the caller has what it waited for, or has left. As a rule the place is free
// at the first of them. But before the place of a worker that has died is given
// back, its death is taken down, with the identity of the input; if nobody knows that
// yet, it is found out in the caller's goroutine, because nobody may look at an input
// after its call.
type sending struct {
	pool    *Pool
	errand  *errand
	at      place
	request child.Request   // the errand's, with
	tell    func(end error) // settled, made once

	crash *child.CrashError // that its input may have caused
	input identity
	sure  bool         // that is its identity
	known bool         // that was found out before: the place need not wait for the caller
	over  atomic.Bool  // the worker is rid of it, and has not died of it
	ends  atomic.Int32 // of a call that has died, or may yet
}

// newSending is called before the call is sent.
func newSending(p *Pool, e *errand, at place) *sending {
	s := &e.first
	if e.tries > 1 {
		s = &sending{}
		s.tell = s.settled
	}
	s.pool, s.errand, s.at, s.request = p, e, at, *e.req
	s.request.Settled = s.tell
	if e.seen {
		s.input, s.sure, s.known = e.input, e.sure, true
		s.ends.Store(1)
	}
	return s
}

// settled is told by the worker, see [child.Request].
func (s *sending) settled(end error) {
	if s.pool.warden != nil {
		if s.crash = suspectable(end); s.crash != nil {
			s.meet()
			return
		}
	}
	s.over.Store(true)
	s.conclude(end)
}

// returned is told by the caller's goroutine.
func (s *sending) returned(ctx context.Context, err error) {
	w := s.pool.warden
	switch {
	case w == nil:
	case s.over.Load():
		if s.errand.sure && isAnswer(err) {
			w.answered(s.errand.input)
		}
	case !s.known: // it has died, or may yet
		s.sure = s.errand.recognised(ctx, w)
		s.input = s.errand.input
		s.meet()
	}
}

// meet is called at both ends of a call that has died, the caller's only if that has to
// find out what its input is.
func (s *sending) meet() {
	if s.ends.Add(1) < 2 {
		return
	}
	if s.sure {
		s.pool.warden.died(s.input, s.crash)
	}
	s.conclude(s.crash)
}

func (s *sending) conclude(end error) {
	s.pool.release(s.at, !errors.Is(end, child.ErrNotStarted))
	s.errand.ended(end)
}

// isAnswer reports whether a function has returned.
func isAnswer(err error) bool { return err == nil || is[*child.RemoteError](err) }
