//go:build linux

package main

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/verdigris-go/verdigris/internal/soak/ledger"
)

// call is one call of the plan, with its attempts. Only tried and visit may be used
// by several goroutines.
type call struct {
	soak  *soak
	n     int
	fault *fault // nil: none
	lane  *lane
	rnd   *rand.Rand
	tried atomic.Int64 // attempts so far

	mu      sync.Mutex
	over    bool // no more visits
	visited sync.WaitGroup
}

// call makes one call, with as many attempts as it takes.
func (s *soak) call(n int) {
	c := &call{soak: s, n: n, fault: s.plan.byCall[n], rnd: rand.New(rand.NewPCG(s.seed, uint64(n)))}
	c.lane = c.choose()
	if k := c.strike(); k != nil {
		s.strikes <- k
	}
	if f := c.fault; f != nil && f.kind.crowd != nil {
		s.happens(f)
		f.kind.crowd(c)
		c.fault = nil
	}
	for since := time.Now(); ; {
		a := c.try()
		a.carry()
		got := a.make()
		if !c.again(got, since) {
			s.write(ledger.Line{Event: ledger.End, Attempt: a.id, Outcome: got})
			return
		}
		if a.id.Nth > 3 && got == ledger.NotStarted {
			c.lane = c.choose() // this one has too much to do
		}
		time.Sleep(time.Duration(min(a.id.Nth, 20)) * time.Millisecond / 2)
	}
}

// strike is the fault that the parent makes while the call runs, or nil.
func (c *call) strike() *strike {
	if c.fault == nil || c.fault.kind.strike == nil {
		return nil
	}
	return &strike{fault: c.fault, lane: c.lane, rnd: rand.New(rand.NewPCG(c.soak.seed, c.rnd.Uint64()))}
}

// choose draws the lane, from those that the fault may come to.
func (c *call) choose() *lane {
	var fit []*lane
	for _, l := range c.soak.lanes.all {
		if c.fault == nil || c.fault.kind.fits(l) {
			fit = append(fit, l)
		}
	}
	return draw(c.rnd, fit)
}

// draw draws a lane, each as often as its share says.
func draw(rnd *rand.Rand, lanes []*lane) *lane {
	sum := 0
	for _, l := range lanes {
		sum += l.share
	}
	at := rnd.IntN(sum)
	for _, l := range lanes {
		if at -= l.share; at < 0 {
			return l
		}
	}
	panic("shares do not add up")
}

// worthwhile is how long a call is tried that no worker starts.
const worthwhile = 60 * time.Second

// again decides whether a call is tried once more: one that was not started, one
// that still carries its fault, and every other one whose worker died.
func (c *call) again(got ledger.Outcome, since time.Time) bool {
	switch {
	case time.Since(since) > worthwhile:
		return false
	case got == ledger.NotStarted, c.carried():
		return true
	case got == ledger.Crash, got == ledger.Interrupted, got == ledger.BadAnswer:
		return c.rnd.IntN(2) == 0
	}
	return false
}

// carried reports whether the fault is the call's to make, and has not happened yet.
func (c *call) carried() bool {
	return c.fault != nil && c.fault.kind.strike == nil && !c.soak.happened.Get(c.fault.index)
}

// visit makes an attempt on behalf of a worker that runs another one of the same
// call; false: the call is over.
func (c *call) visit(f func()) bool {
	c.mu.Lock()
	if c.over {
		c.mu.Unlock()
		return false
	}
	c.visited.Add(1)
	c.mu.Unlock()
	defer c.visited.Done()
	f()
	return true
}

// closed waits for the visits, and lets no more in.
func (c *call) closed() {
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	c.visited.Wait()
}
