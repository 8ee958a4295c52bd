//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/soak/ledger"
	"github.com/verdigris-go/verdigris/pool"
)

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
	a := l.named(child.Key(ctx))
	if a == nil {
		return fmt.Errorf("a map has made a call with the key %q, which no input has", child.Key(ctx))
	}
	return front{a.caller, a.lane, func(end error) { a.soak.settled(a.id, end) }}.Do(ctx, req)
}

func (l *loop) named(key string) *attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.tries {
		if key == fmt.Sprint(a.id.Nth) {
			return a
		}
	}
	return nil
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
	var a *attempt
	if at >= 0 && at < len(l.tries) {
		a, l.done[at] = l.tries[at], true
	}
	l.mu.Unlock()
	if a == nil {
		l.call.soak.complain("call %d: a map has brought a pair that is none of its own: %v", l.call.n, err)
		return
	}
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
