//go:build linux

package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/soak/ledger"
)

// byCaller are the faults of callers.
func byCaller() []*kind {
	return []*kind{
		{name: "caller-cancels", stream: sometimes, call: func(a *attempt) {
			a.job.Linger = time.Duration(a.rnd.Int64N(int64(2 * time.Millisecond)))
			a.leaves(3 * time.Millisecond)
		}},
		{name: "caller-cancels-writing", call: func(a *attempt) {
			a.job.Load = make([]byte, 1<<20+a.rnd.IntN(4<<20))
			a.leaves(8 * time.Millisecond)
		}},
		{name: "once", call: func(a *attempt) { a.once(a.soak.lanes.lone) }},
		{name: "once-cancelled", call: func(a *attempt) {
			a.leaves(30 * time.Millisecond)
			a.once(a.soak.lanes.lone)
		}},
		{name: "once-no-worker", call: func(a *attempt) {
			cfg := a.soak.lanes.lone
			cfg.Exe = "/bin/true"
			a.once(cfg)
		}},
		{name: "process-closed", call: func(a *attempt) { a.lane, a.most, a.do = &lane{name: "lone", width: 1}, 1, a.closes }},
		{name: "caller-has-left", stream: sometimes, call: func(a *attempt) { a.cancel() }},
		{name: "caller-hurries", stream: sometimes, call: func(a *attempt) {
			a.ctx, a.cancel = context.WithTimeout(a.ctx, time.Duration(a.rnd.Int64N(int64(time.Millisecond))))
		}},
		{name: "caller-takes-its-time", call: func(a *attempt) { a.job.Drowsy, a.job.Want = true, 100<<10 }},
		{name: "caller-sends-too-much", call: func(a *attempt) { a.job.Load = make([]byte, maxFrame) }},
		{name: "large-both-ways", call: func(a *attempt) {
			a.job.Load, a.job.Want = make([]byte, 1<<20+a.rnd.IntN(2<<20)), 1<<20+a.rnd.IntN(2<<20)
		}},
		{name: "progress-flood", stream: sometimes, gentle: true, call: func(a *attempt) { a.job.Reports = 20_000 }},
		{name: "progress-slow-show", stream: sometimes, gentle: true, call: func(a *attempt) {
			a.job.Reports, a.show = 100, func(child.Progress) { time.Sleep(5 * time.Millisecond) }
		}},
		{name: "progress-show-panics", stream: sometimes, gentle: true, call: func(a *attempt) {
			a.job.Reports, a.show = 100, func(child.Progress) { panic("cannot be shown") }
			a.do = a.recovers
		}},
	}
}

// byStreamCaller are the faults of those who take the results of a stream.
func byStreamCaller() []*kind {
	all := []*kind{
		{name: "stream-broken", gentle: true, call: func(a *attempt) { a.stops(func() error { return errBroken }) }},
		{name: "stream-loop-panics", gentle: true, call: func(a *attempt) {
			a.stops(func() error { panic("no more of this") })
			a.do = a.recovers
		}},
		{name: "stream-loop-goexits", gentle: true, call: func(a *attempt) {
			a.stops(func() error { runtime.Goexit(); return nil })
			a.do = a.recovers
		}},
		{name: "stream-once", call: func(a *attempt) { a.once(a.soak.lanes.lone) }},
		{name: "stream-once-broken", call: func(a *attempt) {
			a.once(a.soak.lanes.lone)
			a.stops(func() error { return errBroken })
		}},
		{name: "stream-cancelled", call: func(a *attempt) { a.stops(func() error { a.cancel(); return nil }) }},
		{name: "stream-slow-consumer", gentle: true, call: func(a *attempt) { // more than is sent ahead
			a.job.Items, a.job.Size = 40, 40<<10+a.rnd.IntN(40<<10)
			a.body = func(int) error { time.Sleep(time.Millisecond); return nil }
		}},
		{name: "stream-deadline", call: func(a *attempt) {
			a.job.Items, a.job.Pace = 100, time.Millisecond
			a.ctx, a.cancel = context.WithTimeout(a.ctx, time.Duration(5+a.rnd.IntN(40))*time.Millisecond)
		}},
		{name: "stream-deadline-in-loop", call: func(a *attempt) {
			a.job.Items, a.job.Size = 100, 1<<10
			a.body = func(int) error { time.Sleep(time.Millisecond); return nil }
			a.ctx, a.cancel = context.WithTimeout(a.ctx, time.Duration(5+a.rnd.IntN(40))*time.Millisecond)
		}},
	}
	for _, k := range all {
		k.stream = always
	}
	return all
}

// stops does something at one of the results, which are many. No other must come.
func (a *attempt) stops(what func() error) {
	a.job.Items, a.job.Size = 1+a.rnd.IntN(100), a.rnd.IntN(40<<10)
	at := a.rnd.IntN(a.job.Items)
	a.body = func(index int) error {
		switch {
		case index > at:
			return fmt.Errorf("result %d came after the caller had left at %d", index, at)
		case index == at:
			return what()
		}
		return nil
	}
}

// recovers makes the attempt on a goroutine that may not come to its end.
func (a *attempt) recovers() (out result, err error) {
	err = errBroken
	var over sync.WaitGroup
	over.Go(func() {
		defer func() { _ = recover() }()
		out, err = a.ask()
	})
	over.Wait()
	return out, err
}

// leaves lets the caller go at a random time within the limit.
func (a *attempt) leaves(limit time.Duration) {
	leave := time.AfterFunc(time.Duration(a.rnd.Int64N(int64(limit))), a.cancel)
	cancel := a.cancel
	a.cancel = func() { leave.Stop(); cancel() }
}

// once makes the call in a worker of its own.
func (a *attempt) once(cfg child.Config) {
	a.lane, a.most, a.settles, a.job.Reports = &lane{name: cfg.Name, width: 1}, 1, ledger.Unheard, 0
	a.do = func() (result, error) {
		if a.stream {
			return result{}, a.drain(child.OnceStream(a.ctx, cfg, flow, a.job))
		}
		return child.Once(a.ctx, cfg, work, a.job)
	}
}

// closes makes the call on a worker that is closed at a random time, twice.
func (a *attempt) closes() (result, error) {
	p := child.New(a.soak.lanes.lone)
	a.caller = p
	a.job.Linger = time.Duration(a.rnd.Int64N(int64(10 * time.Millisecond)))
	var all sync.WaitGroup
	defer all.Wait()
	begun := make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	all.Go(func() {
		defer begin()
		_ = p.ServeReady(context.Background(), begin) // how it ends is up to the moment
	})
	for range 2 {
		after := time.Duration(a.rnd.Int64N(int64(60 * time.Millisecond)))
		all.Go(func() {
			time.Sleep(after)
			_ = p.Close()
		})
	}
	<-begun
	return a.ask()
}
