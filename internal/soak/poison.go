//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/soak/ledger"
	"github.com/verdigris-go/verdigris/pool"
)

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
