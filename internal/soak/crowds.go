//go:build linux

package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// byCrowd are the faults that take many attempts at once.
func byCrowd() []*kind {
	isPool := func(l *lane) bool { return l.pool != nil }
	isShort := func(l *lane) bool { return l.short }
	return []*kind{
		{name: "queue-overrun", lanes: isShort, crowd: func(c *call) {
			c.burst(12, func(a *attempt) { a.job.Linger = 2 * time.Millisecond })
		}},
		{name: "queue-timeout", rare: true, lanes: isShort, crowd: func(c *call) {
			c.burst(7, func(a *attempt) { a.job.Linger = 15 * time.Millisecond })
		}},
		{name: "queue-deadline", lanes: isPool, crowd: func(c *call) {
			c.lane.pool.Pause()
			defer c.lane.pool.Resume()
			c.burst(6, func(a *attempt) {
				a.ctx, a.cancel = context.WithTimeout(a.ctx, time.Duration(a.rnd.Int64N(int64(8*time.Millisecond))))
			})
		}},
		{name: "queue-cancelled", lanes: isPool, crowd: func(c *call) {
			c.lane.pool.Pause()
			defer c.lane.pool.Resume()
			c.burst(6, func(a *attempt) { a.leaves(8 * time.Millisecond) })
		}},
		{name: "queue-resized", gentle: true, lanes: isPool, crowd: (*call).queuesWhileResized},
		{name: "calls-back", lanes: func(l *lane) bool { return l.pool != nil && !l.short }, crowd: (*call).callsBack},
		{name: "poison", lanes: func(l *lane) bool { return l.deaths > 0 }, crowd: (*call).poisons},
		{name: "map-whole", gentle: true, crowd: func(c *call) { c.maps(nil, nil) }},
		{name: "map-broken", gentle: true, crowd: func(c *call) { c.maps(nil, func(context.CancelFunc) bool { return false }) }},
		{name: "map-loop-panics", gentle: true, crowd: func(c *call) {
			c.maps(nil, func(context.CancelFunc) bool { panic("no more of this") })
		}},
		{name: "map-cut-off", gentle: true, crowd: func(c *call) {
			c.maps(nil, func(cancel context.CancelFunc) bool { cancel(); return true })
		}},
		{name: "map-inputs-block", gentle: true, crowd: func(c *call) {
			c.maps(func() { time.Sleep(5 * time.Millisecond) }, func(context.CancelFunc) bool { return false })
		}},
		{name: "map-inputs-panic", gentle: true, crowd: func(c *call) { c.maps(func() { panic("no more inputs") }, nil) }},
	}
}

// burst makes attempts at once.
func (c *call) burst(n int, set func(*attempt)) {
	var all sync.WaitGroup
	for range n {
		a := c.try()
		set(a)
		all.Go(func() { a.make() })
	}
	all.Wait()
}

// queuesWhileResized has calls wait while the pool becomes another size.
func (c *call) queuesWhileResized() {
	p, size := c.lane.pool, 1+c.rnd.IntN(c.lane.most)
	resize := func(n int) {
		if err := patiently(func(ctx context.Context) error { return p.Resize(ctx, n) }); err != nil && !errors.Is(err, errAgain) {
			c.soak.complain("resizing %s: %v", c.lane.name, err)
		}
	}
	p.Pause()
	var all sync.WaitGroup
	all.Go(func() { c.burst(12, func(*attempt) {}) })
	time.Sleep(time.Millisecond)
	resize(size)
	p.Resume()
	all.Wait()
	resize(c.lane.size)
}

// callsBack makes a call whose function has another one made, in the same pool.
func (c *call) callsBack() {
	c.soak.callers.Store(c.n, c)
	defer c.soak.callers.Delete(c.n)
	a := c.try()
	a.stream, a.most, a.job.Back = false, 1, true
	a.make()
	c.closed()
}
