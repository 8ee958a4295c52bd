package pool

import (
	"container/list"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// place is a worker's place that was given to one call: the slot, and the life
// of the worker in it.
type place struct {
	slot *slot
	life uint64
}

// waiter is a call in the queue.
type waiter struct {
	since time.Time
	got   chan place // one; closed instead when there will be none
	at    *list.Element
}

// Do gives a call to the least loaded worker, see [child.Caller]. When all are
// busy it waits in the queue; when that is full it fails with an
// [*OverloadedError]. A call that a worker had not started when it died goes to
// another one.
func (p *Pool) Do(ctx context.Context, req *child.Request) error {
	if p.fault != nil {
		settled(req)
		return p.fault
	}
	open := newOpen(req.Settled)
	defer open.done()
	for again := false; ; again = true {
		at, err := p.place(ctx, req, again)
		if err != nil {
			return err
		}
		open.add()
		attempt := *req
		attempt.Settled = func() { p.release(at.slot); open.done() }
		err = at.slot.proc.Do(ctx, &attempt)
		if !isGone(err) {
			return err
		}
		p.lost(at)
	}
}

func settled(req *child.Request) {
	if req.Settled != nil {
		req.Settled()
	}
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

// open counts what is still going on for one Do: itself, and its attempts,
// which may be settled later. At zero it tells the one who asked.
type open struct {
	n       atomic.Int32
	settled func()
}

func newOpen(settled func()) *open {
	o := &open{settled: settled}
	o.add()
	return o
}

func (o *open) add() { o.n.Add(1) }

func (o *open) done() {
	if o.n.Add(-1) == 0 && o.settled != nil {
		o.settled()
	}
}

// place finds a worker's place for a call, in the queue if need be. A call that
// had a place before goes to the head of the queue, which is not too full for it.
func (p *Pool) place(ctx context.Context, req *child.Request, again bool) (place, error) {
	p.mu.Lock()
	if err := p.refuse(0); err != nil {
		p.mu.Unlock()
		return place{}, err
	}
	if at, ok := p.free(); ok {
		p.mu.Unlock()
		return at, nil
	}
	w := &waiter{since: time.Now(), got: make(chan place, 1)}
	switch {
	case again:
		w.at = p.queue.PushFront(w)
	case p.queue.Len() < p.cfg.Queue:
		w.at = p.queue.PushBack(w)
	default:
		defer p.mu.Unlock()
		return place{}, p.overloaded()
	}
	p.mu.Unlock()
	return p.wait(ctx, w, req)
}

// wait is a call's time in the queue.
func (p *Pool) wait(ctx context.Context, w *waiter, req *child.Request) (place, error) {
	patience := time.NewTimer(p.cfg.Worker.Wait)
	defer patience.Stop()
	for {
		select {
		case at, ok := <-w.got:
			return p.given(at, ok, w)
		case <-ctx.Done():
			if at, ok, was := p.withdraw(w); was {
				return p.given(at, ok, w) // too late to leave: the call will see ctx itself
			}
			return place{}, req.Interrupted(ctx, p.cfg.Name)
		case <-patience.C:
			left := p.patience(w)
			if left > 0 {
				patience.Reset(left)
				continue
			}
			if at, ok, was := p.withdraw(w); was {
				return p.given(at, ok, w)
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			return place{}, p.unavailable("no worker came up in time", time.Since(w.since))
		}
	}
}

func (p *Pool) given(at place, ok bool, w *waiter) (place, error) {
	if ok {
		return at, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.refuse(time.Since(w.since)); err != nil {
		return place{}, err
	}
	return place{}, p.unavailable("it was stopped", time.Since(w.since)) // and is served again by now
}

// withdraw takes a waiter out of the queue, unless it was served in this very
// moment: then was is true, and the place is returned.
func (p *Pool) withdraw(w *waiter) (at place, ok, was bool) {
	p.mu.Lock()
	if w.at != nil {
		p.queue.Remove(w.at)
		w.at = nil
		p.mu.Unlock()
		return place{}, false, false
	}
	p.mu.Unlock()
	at, ok = <-w.got
	return at, ok, true
}

// patience is how long a waiter should go on waiting for a worker to come up;
// as long as one is up, it is not running out.
func (p *Pool) patience(w *waiter) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.up > 0 {
		return p.cfg.Worker.Wait
	}
	since := w.since
	if p.down.After(since) {
		since = p.down
	}
	return p.cfg.Worker.Wait - time.Since(since)
}

// free takes a place in the least loaded worker that is up; p.mu is held.
func (p *Pool) free() (place, bool) {
	var best *slot
	for _, s := range p.slots {
		if s.up && s.load < p.cfg.Worker.Concurrency && (best == nil || s.load < best.load) {
			best = s
			if s.load == 0 {
				break
			}
		}
	}
	if best == nil {
		return place{}, false
	}
	best.load++
	p.busy++
	return place{best, best.life}, true
}

// hand gives free places to those who wait; p.mu is held.
func (p *Pool) hand() {
	for p.queue.Len() > 0 {
		at, ok := p.free()
		if !ok {
			return
		}
		w := p.queue.Remove(p.queue.Front()).(*waiter)
		w.at = nil
		w.got <- at
	}
}

// failAll sends everybody in the queue away; p.mu is held.
func (p *Pool) failAll() {
	for p.queue.Len() > 0 {
		w := p.queue.Remove(p.queue.Front()).(*waiter)
		w.at = nil
		close(w.got)
	}
}

// release gives a place back: its call is settled.
func (p *Pool) release(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.load--
	p.busy--
	p.hand()
}

// comesUp notes that the worker of a slot is ready.
func (p *Pool) comesUp(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.up = true
	s.life++
	p.up++
	p.hand()
	if p.ready != nil && p.up >= p.cfg.MinReady {
		p.ready()
		p.ready = nil
	}
}

// goesDown notes that the worker of a slot is gone.
func (p *Pool) goesDown(s *slot, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.lastExit = err
	}
	p.setDown(s)
}

// lost notes that a call found its worker gone, before goesDown says so. A
// worker that has come up since then is another life, and stays.
func (p *Pool) lost(at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.slot.life == at.life {
		p.setDown(at.slot)
	}
}

func (p *Pool) setDown(s *slot) {
	if !s.up {
		return
	}
	s.up = false
	p.up--
	if p.up == 0 {
		p.down = time.Now()
	}
}

// refuse says why there can be no worker for a call; p.mu is held.
func (p *Pool) refuse(waited time.Duration) error {
	switch {
	case p.served:
		return nil
	case p.retired == nil:
		return p.unavailable("nobody serves it; put it under a supervisor or call Serve", waited)
	}
	return p.unavailable("nobody serves it any more: "+p.retired.Error(), waited)
}

func (p *Pool) unavailable(why string, waited time.Duration) error {
	return &child.UnavailableError{Worker: p.cfg.Name, Reason: why, Since: p.down, Waited: waited, LastExit: p.lastExit}
}

func (p *Pool) overloaded() error {
	e := &OverloadedError{Pool: p.cfg.Name, Queued: p.queue.Len(), Busy: p.busy, Starting: p.cfg.Size - p.up}
	if front := p.queue.Front(); front != nil {
		e.Oldest = time.Since(front.Value.(*waiter).since)
	}
	return e
}
