//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/soak/ledger"
)

// attempt is one attempt of a call, before and while it is made.
type attempt struct {
	soak   *soak
	ctx    context.Context
	cancel context.CancelFunc
	lane   *lane
	job    job
	rnd    *rand.Rand
	do     func() (result, error) // makes it
}

// call makes one call, with as many attempts as it takes.
func (s *soak) call(n int) {
	f := s.plan.byCall[n]
	rnd := rand.New(rand.NewPCG(s.seed, uint64(n)))
	to := s.choose(f, rnd)
	if f != nil && f.kind.strike != nil {
		s.strikes <- &strike{fault: f, lane: to, rnd: rand.New(rand.NewPCG(s.seed, rnd.Uint64()))}
	}
	for nth, since := 1, time.Now(); ; nth++ {
		got := s.attempt(ledger.Attempt{Call: n, Nth: nth}, f, to, rnd)
		if s.again(f, got, rnd, since) {
			if nth > 3 && got == ledger.NotStarted {
				to = s.choose(f, rnd) // this one has too much to do
			}
			time.Sleep(time.Duration(min(nth, 20)) * time.Millisecond / 2)
			continue
		}
		s.write(ledger.Line{Event: ledger.End, Attempt: ledger.Attempt{Call: n, Nth: nth}, Outcome: got})
		return
	}
}

// choose draws the lane: half of the calls go to the pool, few to the spare worker.
func (s *soak) choose(f *fault, rnd *rand.Rand) *lane {
	for {
		l := s.lanes.all[0]
		if rnd.IntN(2) == 0 {
			l = s.lanes.all[rnd.IntN(len(s.lanes.all))]
		}
		if l.spare && (f == nil || f.kind.lanes == nil) && rnd.IntN(10) > 0 {
			continue
		}
		if f == nil || f.kind.lanes == nil || f.kind.lanes(l) {
			return l
		}
	}
}

// worthwhile is how long a call is tried that no worker starts.
const worthwhile = 60 * time.Second

// again decides whether a call is tried once more: one that was not started, one
// that still carries its fault, and every other one whose worker died.
func (s *soak) again(f *fault, got ledger.Outcome, rnd *rand.Rand, since time.Time) bool {
	switch {
	case time.Since(since) > worthwhile:
		return false
	case got == ledger.NotStarted, s.carried(f):
		return true
	case got == ledger.Crash, got == ledger.Interrupted, got == ledger.BadAnswer:
		return rnd.IntN(2) == 0
	}
	return false
}

// carried reports whether the fault is the call's to make, and has not happened yet.
func (s *soak) carried(f *fault) bool {
	return f != nil && f.kind.strike == nil && !s.happened.Get(f.index)
}

// attempt makes one attempt and writes what came of it.
func (s *soak) attempt(a ledger.Attempt, f *fault, to *lane, rnd *rand.Rand) ledger.Outcome {
	token := ledger.TokenOf(s.seed, a)
	try := &attempt{soak: s, lane: to, rnd: rnd, job: job{
		Call: a.Call, Nth: a.Nth, Token: uint64(token), Random: rnd.Uint64(), Load: make([]byte, size(rnd)), Want: size(rnd),
	}}
	try.do = func() (result, error) { return work.Call(try.ctx, to.caller, try.job) }
	try.ctx, try.cancel = context.WithCancel(context.Background())
	defer func() { try.cancel() }()
	switch {
	case f != nil && f.kind.strike != nil && a.Nth == 1: // it should be running when the strike comes
		try.job.Linger = time.Duration(rnd.Int64N(int64(2 * time.Millisecond)))
	case s.carried(f):
		try.carry(f)
	}
	token.Fill(try.job.Load)
	s.write(ledger.Line{Event: ledger.Sent, Attempt: a, Token: token})
	since := time.Now()
	out, err := try.do()
	took := time.Since(since)
	l := report(err, try.lane, f)
	l.Event, l.Attempt, l.Token = ledger.Got, a, out.token
	if l.Outcome == ledger.Unexpected {
		s.complain("call %d, attempt %d, on %s: %v", a.Call, a.Nth, to.name, err)
	}
	if took > slow {
		s.slowly(took, fmt.Sprintf("%v: call %d, attempt %d, on %s%s: %s", took.Round(time.Millisecond), a.Call, a.Nth, try.lane.name, withFault(f), l.Outcome))
	}
	s.write(l)
	s.moved.Add(1)
	return l.Outcome
}

// slow is how long no call should take, unless the machine has no time for it.
const slow = 3 * time.Second

// slowly keeps the slowest attempt.
func (s *soak) slowly(took time.Duration, text string) {
	s.slowest.Lock()
	defer s.slowest.Unlock()
	s.slowest.count++
	if took > s.slowest.took {
		s.slowest.took, s.slowest.text = took, text
	}
	if s.opts.verbose {
		fmt.Fprintf(s.stderr, "soak: %v: slow: %s\n", time.Since(s.began).Round(time.Millisecond), text)
	}
}

func withFault(f *fault) string {
	if f == nil {
		return ""
	}
	return " with " + f.kind.name
}

// carry puts the fault into the call.
func (a *attempt) carry(f *fault) {
	if f.kind.within > 0 {
		within := f.kind.within * time.Duration(min(a.job.Nth, 20)) // it may take that long until it is begun
		a.ctx, a.cancel = context.WithTimeout(a.ctx, within)
	}
	if f.kind.act != nil {
		a.job.Kind, a.job.Fault = f.kind.name, f.index
		return
	}
	if err := a.soak.happened.Set(f.index); err != nil {
		a.soak.complain("fault %d: %v", f.index, err)
	}
	f.kind.call(a)
}

// size draws the size of an input or output: mostly small, some beyond what is
// copied, few beyond what a pipe holds.
func size(rnd *rand.Rand) int {
	switch n := rnd.IntN(1000); {
	case n < 900:
		return rnd.IntN(200)
	case n < 995:
		return rnd.IntN(20 << 10)
	}
	return rnd.IntN(300 << 10)
}

// report puts an error into the ledger's words.
func report(err error, to *lane, f *fault) ledger.Line {
	if err == nil {
		return ledger.Line{Outcome: ledger.OK}
	}
	if crash, ok := errors.AsType[*child.CrashError](err); ok && !errors.Is(err, child.ErrNotStarted) {
		return ledger.Line{
			Outcome: ledger.Crash, Cause: causeWord(crash.Exit.Cause), PID: crash.PID, Width: to.width,
			// A pool numbers the runs of a new worker from 1 again, and the kernel gives numbers of processes anew.
			Worker: fmt.Sprintf("%s/%d/%v", crash.Worker, crash.Run, crash.Uptime),
		}
	}
	return ledger.Line{Outcome: outcomeOf(err, f)}
}

func outcomeOf(err error, f *fault) ledger.Outcome {
	if errors.Is(err, child.ErrNotStarted) {
		return ledger.NotStarted
	}
	if _, ok := errors.AsType[*child.InterruptedError](err); ok {
		return ledger.Interrupted
	}
	if e, ok := errors.AsType[*child.RemoteError](err); ok && strings.HasPrefix(e.Message, refusal) {
		return ledger.Refused
	}
	if f != nil && f.kind.name == wrongType && strings.Contains(err.Error(), "the output: ") {
		return ledger.BadAnswer
	}
	return ledger.Unexpected
}

// causeWord is a cause in one word.
func causeWord(c child.Cause) string { return strings.ReplaceAll(c.String(), " ", "-") }

// byCaller are the faults of callers.
func byCaller() []*kind {
	return []*kind{
		{name: "caller-cancels", call: func(a *attempt) {
			a.job.Linger = time.Duration(a.rnd.Int64N(int64(2 * time.Millisecond)))
			a.leaves(3 * time.Millisecond)
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
		{name: "process-closed", call: func(a *attempt) { a.do = a.closes }},
		{name: "caller-has-left", call: func(a *attempt) { a.cancel() }},
		{name: "caller-hurries", call: func(a *attempt) {
			a.ctx, a.cancel = context.WithTimeout(a.ctx, time.Duration(a.rnd.Int64N(int64(time.Millisecond))))
		}},
		{name: "caller-takes-its-time", call: func(a *attempt) { a.job.Drowsy, a.job.Want = true, 100<<10 }},
		{name: "caller-sends-too-much", call: func(a *attempt) { a.job.Load = make([]byte, maxFrame) }},
		{name: "large-both-ways", call: func(a *attempt) {
			a.job.Load, a.job.Want = make([]byte, 1<<20+a.rnd.IntN(2<<20)), 1<<20+a.rnd.IntN(2<<20)
		}},
	}
}

// leaves lets the caller go at a random time within the limit.
func (a *attempt) leaves(limit time.Duration) {
	leave := time.AfterFunc(time.Duration(a.rnd.Int64N(int64(limit))), a.cancel)
	cancel := a.cancel
	a.cancel = func() { leave.Stop(); cancel() }
}

// once makes the call in a worker of its own.
func (a *attempt) once(cfg child.Config) {
	a.lane = &lane{name: cfg.Name, width: 1}
	a.do = func() (result, error) { return child.Once(a.ctx, cfg, work, a.job) }
}

// closes makes the call on a worker that is closed at a random time, twice.
func (a *attempt) closes() (result, error) {
	p := child.New(a.soak.lanes.lone)
	a.lane = &lane{name: p.Name(), width: 1}
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
	return work.Call(a.ctx, p, a.job)
}
