//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/soak/ledger"
	"github.com/verdigris-go/verdigris/pool"
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

// loop is a loop over a pool.Map, seen by the one who ranges.
type loop struct {
	call *call
	ctx  context.Context
	how  pool.MapConfig

	mu    sync.Mutex
	tries []*attempt // one for each input that was offered
	done  []bool
}

// maps makes attempts by a Map. One of the inputs comes after hinder, and after one
// of the results stop decides whether there may be more.
func (c *call) maps(hinder func(), stop func(context.CancelFunc) bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l := &loop{call: c, ctx: ctx}
	l.how = pool.MapConfig{
		Width: c.rnd.IntN(5), Window: c.rnd.IntN(8), AsCompleted: c.rnd.IntN(2) == 0,
		Key: func(in any) string { return fmt.Sprint(in.(job).Nth) },
	}
	n := 1 + c.rnd.IntN(12)
	hindered, stopped := c.rnd.IntN(n), c.rnd.IntN(n)
	var over sync.WaitGroup
	over.Go(func() {
		defer func() { _ = recover() }()
		l.run(n, func(i int) {
			if i == hindered && hinder != nil {
				hinder()
			}
		}, func(i int) bool { return i != stopped || stop == nil || stop(cancel) })
	})
	over.Wait()
	l.end()
}

// run is the loop itself.
func (l *loop) run(n int, before func(i int), after func(i int) bool) {
	inputs := func(yield func(job) bool) {
		for i := range n {
			before(i)
			if !yield(l.offer()) {
				return
			}
		}
	}
	at := 0
	for out, err := range pool.Map(l.ctx, l, work, inputs, l.how) {
		if _, cut := errors.AsType[*pool.CutOffError](err); !cut {
			l.take(at, out, err)
		}
		if at++; !after(at - 1) {
			return
		}
	}
}

// offer is the next input.
func (l *loop) offer() job {
	a := l.call.try()
	a.stream, a.most, a.settles, a.job.Reports = false, 1, ledger.Perhaps, 0
	a.sent()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tries, l.done = append(l.tries, a), append(l.done, false)
	return a.job
}

// Do passes a call on, for the attempt whose number it has as its key.
func (l *loop) Do(ctx context.Context, req *child.Request) error {
	l.mu.Lock()
	var a *attempt
	for _, a = range l.tries {
		if child.Key(ctx) == fmt.Sprint(a.id.Nth) {
			break
		}
	}
	l.mu.Unlock()
	return front{a.caller, a.lane, func(end error) { a.soak.settled(a.id, end) }}.Do(ctx, req)
}

// Width is the pool's, if it is one.
func (l *loop) Width() int {
	if p := l.call.lane.pool; p != nil {
		return p.Width()
	}
	return 2 * l.call.lane.width
}

// take notes a result. In order it is that of the next input; else its token, or
// the error, tells whose it is.
func (l *loop) take(at int, out result, err error) {
	failed, isFailure := errors.AsType[*pool.MapError](err)
	l.mu.Lock()
	switch {
	case isFailure && (l.how.AsCompleted || failed.Index == at):
		at = failed.Index
	case err != nil:
		err = fmt.Errorf("pair %d of a map: %w", at, err)
	case l.how.AsCompleted:
		at = slices.IndexFunc(l.tries, func(a *attempt) bool { return ledger.Token(a.job.Token).Answer() == out.token })
	}
	known := at >= 0 && at < len(l.tries)
	if known {
		l.done[at] = true
	}
	l.mu.Unlock()
	if !known {
		l.call.soak.complain("call %d: a map has brought a pair that is none of its own: %v", l.call.n, err)
		return
	}
	a := l.tries[at]
	a.got(out.token, err)
}

// end notes those that have had no pair: the loop was left.
func (l *loop) end() {
	for i, a := range l.tries {
		if !l.done[i] {
			a.got(0, errBroken)
		}
		a.cancel()
	}
}

// dose is the input of a call that kills its worker.
type dose struct {
	Poison int
	Nth    int // 0 for all, unless they are told by their keys
	Way    string
	Wait   time.Duration
}

// poisonWays are the ways to die of it.
var poisonWays = map[string]func(){
	"kill":  func() { raise(9) },
	"panic": func() { panic("poison") },
	"wild":  wildPointer,
	"hang":  func() { select {} },
}

// drink is the function that is called with it.
func (l *life) drink(_ context.Context, d dose) (bool, error) {
	l.note(ledger.Line{Event: ledger.Drank, Index: d.Poison})
	time.Sleep(d.Wait)
	poisonWays[d.Way]()
	return false, nil
}

// poisons gives the same poison again and again, from one or two callers, until it
// is refused; sometimes it is let in once more.
func (c *call) poisons() {
	c.soak.happens(c.fault)
	givers := 1 + c.rnd.IntN(2)
	d := dose{Poison: c.fault.index, Way: []string{"kill", "kill", "panic", "wild", "hang"}[c.rnd.IntN(5)], Wait: time.Duration(c.rnd.IntN(2)) * time.Millisecond}
	allowed := 0
	for range 1 + c.rnd.IntN(2) {
		allowed += c.lane.deaths + givers - 1
		c.soak.write(ledger.Line{Event: ledger.Dose, Index: d.Poison, Most: allowed})
		var all sync.WaitGroup
		for g := range givers {
			all.Go(func() {
				for nth := range c.lane.deaths + 2 {
					_ = c.gives(d, g<<8+nth) // what has died of it is in the workers' ledgers
				}
			})
		}
		all.Wait()
		refused, ok := errors.AsType[*pool.QuarantinedError](c.gives(d, 1<<16))
		if !ok {
			c.soak.complain("poison %d is not refused by %s", d.Poison, c.lane.name)
			return
		}
		if !c.lane.pool.Release(refused.ID) {
			c.soak.complain("poison %d, %s, is not released by %s", d.Poison, refused.ID, c.lane.name)
		}
	}
}

// gives gives one dose and waits until no worker has it any more.
func (c *call) gives(d dose, nth int) (err error) {
	f := poison
	if nth%2 == 1 {
		f = f.Idempotent()
	}
	for since := time.Now(); time.Since(since) < worthwhile; time.Sleep(time.Millisecond) {
		ctx, cancel := context.Background(), context.CancelFunc(func() {})
		if c.lane.by == pool.ByUserKey {
			ctx, d.Nth = child.WithKey(ctx, fmt.Sprint("poison-", d.Poison)), nth
		}
		if d.Way == "hang" {
			ctx, cancel = context.WithTimeout(ctx, 4*patience)
		}
		settled := make(chan struct{}, 2)
		_, err = f.Call(ctx, front{c.lane.caller, c.lane, func(error) { settled <- struct{}{} }}, d)
		cancel()
		<-settled
		c.soak.moved.Add(1)
		if errors.Is(err, pool.ErrQuarantined) || !errors.Is(err, child.ErrNotStarted) {
			return err
		}
	}
	return err
}
