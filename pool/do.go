package pool

import (
	"context"
	"errors"
	"hash/maphash"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// Do gives a call to a worker, chosen as [Config.Choose] says, see [child.Caller].
// When there is no room it waits in the queue: until its context ends, or for
// [Config.QueueTimeout] and then fails with a [*QueueTimeoutError]; when the queue
// is full it fails at once with an [*OverloadedError]. A call whose deadline has
// passed is not sent. A call that a worker had not started when it died goes to
// another one. A call whose input is in quarantine fails with a [*QuarantinedError].
// What has failed may be tried again, see [Retry].
func (p *Pool) Do(ctx context.Context, req *child.Request) (err error) {
	e := newErrand(req)
	defer func() { p.tally.count(err); e.done(err); e.forget(err) }()
	if p.fault != nil {
		return p.fault
	}
	e.inside = p.inside(ctx)
	return p.persist(ctx, e)
}

// attempt brings a call to a worker that begins with it, or finds out why none does.
func (p *Pool) attempt(ctx context.Context, e *errand) error {
	c := p.claimOf(ctx)
	c.inside = e.inside
	for again := false; ; again = true {
		at, err := p.admit(ctx, e, &c, again)
		if err != nil {
			return err
		}
		err = p.send(ctx, e, at)
		if !isGone(err) {
			return err
		}
		p.lost(at)
	}
}

// admit finds a worker's place for a call, unless its input is in quarantine. It may
// have come there while the call has waited.
func (p *Pool) admit(ctx context.Context, e *errand, c *claim, again bool) (place, error) {
	if err := p.warden.check(ctx, e); err != nil {
		return place{}, err
	}
	at, err := p.place(ctx, e.req, c, again)
	if err != nil {
		return place{}, err
	}
	if err := p.warden.check(ctx, e); err != nil {
		p.release(at, false)
		return place{}, err
	}
	return at, nil
}

// send gives a call to the worker whose place it has got.
func (p *Pool) send(ctx context.Context, e *errand, at place) (err error) {
	e.add()
	if p.warden != nil && (e.req.Stream() || child.WantsProgress(ctx)) {
		e.recognised(ctx, p.warden) // now: code of the caller's runs meanwhile; it may take long, or change the input
	}
	s := newSending(p, e, at)
	defer func() { s.returned(ctx, err) }() // also if its consumer panics
	return at.slot.worker.proc.Do(ctx, &s.request)
}

// patience, as a value of a call's context, says that the call waits for a worker
// however many others do, and for as long as it takes. Map's calls do: the limits of
// the queue are there to tell callers to come later, and Map has nobody to tell.
type patience struct{}

// claimOf is what the roster needs to know of a call.
func (p *Pool) claimOf(ctx context.Context) (c claim) {
	c.deadline, _ = ctx.Deadline()
	c.patient, _ = ctx.Value(patience{}).(bool)
	if p.cfg.Choose == ByKey {
		if key := child.Key(ctx); key != "" {
			c.hash, c.keyed = maphash.String(p.seed, key), true
		}
	}
	return c
}

// isGone reports whether a worker has died, or was stopped, before it started
// the call, so that another one can have it.
func isGone(err error) bool {
	if err == nil || !errors.Is(err, child.ErrNotStarted) {
		return false
	}
	if _, ok := errors.AsType[*child.NotStartedError](err); ok {
		return true
	}
	_, ok := errors.AsType[*child.UnavailableError](err)
	return ok
}

// place finds a worker's place for a call, in the queue if need be. A call that
// had a place before is not refused because the queue is full.
func (p *Pool) place(ctx context.Context, req *child.Request, c *claim, again bool) (place, error) {
	if ctx.Err() != nil || !c.deadline.IsZero() && c.dead(time.Now()) {
		return place{}, p.interrupted(ctx, req, c)
	}
	p.mu.Lock()
	if err := p.letIn(again); err != nil {
		p.mu.Unlock()
		return place{}, err
	}
	if at, ok := p.roster.take(c); ok {
		p.roster.began(&at, 0, time.Now())
		p.follow()
		p.mu.Unlock()
		return at, nil
	}
	if c.inside {
		defer p.mu.Unlock()
		return place{}, p.reentry(req)
	}
	if !again && !c.patient && p.roster.hurried() >= p.queueLimit() {
		defer p.mu.Unlock()
		return place{}, p.reject(p.overloaded())
	}
	w := newWaiter(*c)
	p.roster.enqueue(w, again, time.Now())
	p.follow()
	*c = w.claim
	p.mu.Unlock()
	return p.wait(ctx, w, req)
}

// wait is a call's time in the queue.
func (p *Pool) wait(ctx context.Context, w *waiter, req *child.Request) (place, error) {
	alarm := time.NewTimer(p.patience(w))
	defer alarm.Stop()
	for {
		select {
		case v := <-w.got:
			return p.given(ctx, req, w, v)
		case <-ctx.Done():
			if v, was := p.withdraw(w); was {
				return p.given(ctx, req, w, v) // too late to leave
			}
			return place{}, p.interrupted(ctx, req, &w.claim)
		case <-alarm.C:
			left, err := p.overdue(w)
			if left > 0 {
				alarm.Reset(left)
				continue
			}
			if v, was := p.withdraw(w); was {
				return p.given(ctx, req, w, v)
			}
			return place{}, err
		}
	}
}

// given is what becomes of a verdict. A place that comes too late is given back.
func (p *Pool) given(ctx context.Context, req *child.Request, w *waiter, v verdict) (place, error) {
	if v.end == placed && ctx.Err() == nil && !w.dead(time.Now()) {
		return v.place, nil
	}
	switch v.end {
	case placed:
		p.release(v.place, false)
		return place{}, p.interrupted(ctx, req, &w.claim)
	case expired:
		return place{}, p.interrupted(ctx, req, &w.claim)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.refuse(time.Since(w.since)); err != nil {
		return place{}, err
	}
	return place{}, p.unavailable("it was stopped", time.Since(w.since)) // and is served again by now
}

// interrupted is the error of a call that has not been sent because its context
// has ended, or is about to: its deadline may have been seen to pass earlier.
func (p *Pool) interrupted(ctx context.Context, req *child.Request, c *claim) error {
	if ctx.Err() == nil {
		over, cancel := context.WithDeadline(ctx, c.deadline)
		defer cancel()
		ctx = over
	}
	return req.Interrupted(ctx, p.cfg.Name)
}

// withdraw takes a waiter out of the queue, unless it has its verdict already:
// then was is true.
func (p *Pool) withdraw(w *waiter) (v verdict, was bool) {
	p.mu.Lock()
	left := p.roster.withdraw(w)
	p.mu.Unlock()
	if left {
		return verdict{}, false
	}
	return <-w.got, true
}

// patience is how long a waiter may wait before somebody has to look again.
func (p *Pool) patience(w *waiter) time.Duration {
	left, _ := p.overdue(w)
	return left
}

// lookAgain is how soon at least a waiter notices that no worker is up any more.
const lookAgain = 10 * time.Millisecond

// overdue returns how long a waiter may go on waiting, or why it may not.
// Patience with workers that are not up does not run out while one is.
func (p *Pool) overdue(w *waiter) (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	waited := time.Since(w.since)
	left := max(p.cfg.Worker.Wait, lookAgain)
	if p.roster.seated == 0 && !p.roster.paused {
		since := w.since
		if p.down.After(since) {
			since = p.down
		}
		if left = p.cfg.Worker.Wait - time.Since(since); left <= 0 {
			return 0, p.reject(p.unavailable("no worker came up in time", waited))
		}
	}
	if limit := p.cfg.QueueTimeout; limit > 0 && !w.patient {
		if left = min(left, limit-waited); left <= 0 {
			return 0, p.reject(p.queueTimeout(waited))
		}
	}
	return left, nil
}

// release gives a place back: its call is settled, or was not sent at all.
func (p *Pool) release(at place, sent bool) {
	s := at.slot
	heavy := p.cfg.MaxMemory > 0 && s.worker.memory() > p.cfg.MaxMemory
	p.change(func(r *roster, now time.Time) {
		if sent {
			r.ran(at, now)
		}
		if heavy {
			r.wear(s, ReasonMemory, now)
		}
		r.released(s, now)
	})
}

// lost notes that a call found its worker gone, before that says so itself. A
// worker that has come up since then is another life, and stays.
func (p *Pool) lost(at place) {
	p.change(func(r *roster, now time.Time) {
		if at.slot.life == at.life {
			r.wentDown(at.slot, now)
		}
	})
}

// letIn says why a call is not let in; p.mu is held.
func (p *Pool) letIn(again bool) error {
	if p.draining && !again {
		return p.unavailable("it is being drained, and lets calls in again after Resume", 0)
	}
	return p.refuse(0)
}

// refuse says why there can be no worker for a call; p.mu is held.
func (p *Pool) refuse(waited time.Duration) error {
	switch {
	case p.served:
		return nil
	case p.retired == nil:
		return p.unavailable(nobodyServes(), waited)
	}
	return p.unavailable("nobody serves it any more: "+p.retired.Error(), waited)
}

func (p *Pool) unavailable(why string, waited time.Duration) error {
	return &child.UnavailableError{Worker: p.cfg.Name, Pool: true, Reason: why, Since: p.down, Waited: waited, LastExit: p.lastExit}
}

// queueLimit is how many calls may wait; p.mu is held.
func (p *Pool) queueLimit() int {
	switch p.cfg.Queue {
	case 0:
		return queuePerCall * max(p.roster.size, p.roster.max) * p.cfg.Worker.Concurrency
	case NoQueue:
		return 0
	}
	return p.cfg.Queue
}

func (p *Pool) overloaded() error {
	r := p.roster
	return &OverloadedError{
		Pool: p.cfg.Name, Queued: r.waiting, Busy: r.busy, Starting: len(r.seats) - r.seated, Oldest: r.eldest(time.Now()),
	}
}

func (p *Pool) queueTimeout(waited time.Duration) error {
	r := p.roster
	return &QueueTimeoutError{
		Pool: p.cfg.Name, Limit: p.cfg.QueueTimeout, Waited: waited,
		Queued: r.waiting, Busy: r.busy, Starting: len(r.seats) - r.seated,
	}
}
