//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/soak/ledger"
)

// attempt is one attempt of a call, before and while it is made.
type attempt struct {
	soak   *soak
	call   *call
	id     ledger.Attempt
	lane   *lane
	ctx    context.Context
	cancel context.CancelFunc
	caller child.Caller // the lane's, or another one
	job    job
	rnd    *rand.Rand

	stream  bool
	most    int // executions that are allowed; more than 1: the call is sent as idempotent
	settles string
	inside  bool // it comes from a function that runs in the same lane: it must not wait

	body func(index int) error  // takes a result of a stream; nil: nothing is done with it
	show func(p child.Progress) // takes a report, if any are made
	do   func() (result, error) // makes it
}

// errBroken says that the caller has had enough.
var errBroken = errors.New("the caller has had enough")

// try begins another attempt; what is not said later is drawn.
func (c *call) try() *attempt {
	s, nth := c.soak, int(c.tried.Add(1))
	a := &attempt{
		soak: s, call: c, id: ledger.Attempt{Call: c.n, Nth: nth}, lane: c.lane, caller: c.lane.caller, most: 1, settles: ledger.Once,
		rnd: rand.New(rand.NewPCG(s.seed, uint64(c.n)<<16+uint64(nth))),
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.job = job{
		Call: c.n, Nth: nth, Token: uint64(ledger.TokenOf(s.seed, a.id)), Random: a.rnd.Uint64(),
		Load: make([]byte, size(a.rnd)), Want: size(a.rnd),
	}
	a.do = a.ask
	if a.lane.attempts > 1 && a.rnd.IntN(2) == 0 {
		a.most = a.lane.attempts
	}
	if a.rnd.IntN(20) == 0 {
		a.job.Reports = 1 + a.rnd.IntN(3)
	}
	if a.lane.fat && a.rnd.IntN(10) == 0 {
		a.job.Keep = 4 << 20
	}
	if a.rnd.IntN(8) == 0 {
		a.streams(a.rnd)
	}
	return a
}

// streams makes the attempt one of a stream: mostly a short one, some long, some of
// more than is sent ahead.
func (a *attempt) streams(rnd *rand.Rand) {
	a.stream, a.job.Items, a.job.Size = true, rnd.IntN(12), size(rnd)
	switch n := rnd.IntN(100); {
	case n < 5:
		a.job.Items, a.job.Size = 100+rnd.IntN(200), rnd.IntN(100)
	case n < 8:
		a.job.Items, a.job.Size = 30+rnd.IntN(20), 20<<10+rnd.IntN(40<<10)
	}
	a.job.At = a.job.Items
}

// carry puts the call's fault into the attempt.
func (a *attempt) carry() {
	f := a.call.fault
	switch {
	case f != nil && f.kind.strike != nil && a.id.Nth == 1: // it should be running when the strike comes
		a.job.Linger = time.Duration(a.rnd.Int64N(int64(2 * time.Millisecond)))
		a.job.Pace = a.job.Linger / time.Duration(a.job.Items+1)
		return
	case !a.call.carried():
		return
	}
	k := f.kind
	if a.stream = k.stream == always || k.stream == sometimes && a.rnd.IntN(5) == 0; a.stream {
		a.job.Items, a.job.Size = 1+a.rnd.IntN(20), a.rnd.IntN(2<<10)
		a.job.At = a.rnd.IntN(a.job.Items + 1)
	}
	if k.within > 0 {
		within := k.within * time.Duration(min(a.id.Nth, 20)) // it may take that long until it is begun
		a.ctx, a.cancel = context.WithTimeout(a.ctx, within)
	}
	if k.act != nil {
		a.job.Kind, a.job.Fault, a.job.Reports, a.job.Drowsy, a.job.Always = k.name, f.index, 0, k.drowsy, k.again
		if k.again {
			a.most = a.lane.attempts
		}
		return
	}
	a.soak.happens(f)
	k.call(a)
}

// happens notes that a fault happens now.
func (s *soak) happens(f *fault) {
	if err := s.happened.Set(f.index); err != nil {
		s.complain("fault %d: %v", f.index, err)
	}
}

// make makes the attempt and writes what came of it.
func (a *attempt) make() ledger.Outcome {
	a.sent()
	since := time.Now()
	out, err := a.do()
	a.soak.clock(a, since, a.got(out.token, err))
	a.cancel()
	return a.outcome(err)
}

// sent writes that the attempt is made.
func (a *attempt) sent() {
	ledger.Token(a.job.Token).Fill(a.job.Load)
	l := ledger.Line{
		Event: ledger.Sent, Attempt: a.id, Token: ledger.Token(a.job.Token), Lane: a.lane.name, Most: a.most,
		Shape: ledger.Call, Reports: a.job.Reports, Settles: a.settles,
	}
	if a.stream {
		l.Shape, l.Items = ledger.Stream, a.job.Items
	}
	a.soak.write(l)
}

// got writes what the attempt has come to.
func (a *attempt) got(token ledger.Token, err error) ledger.Outcome {
	l := a.report(err)
	l.Event, l.Attempt, l.Token = ledger.Got, a.id, token
	if l.Outcome == ledger.Unexpected {
		a.soak.complain("call %d, attempt %d, on %s%s: %v", a.id.Call, a.id.Nth, a.lane.name, a.withFault(), err)
	}
	a.soak.write(l)
	a.soak.moved.Add(1)
	return l.Outcome
}

func (a *attempt) withFault() string {
	if a.call.fault == nil {
		return ""
	}
	return " with " + a.call.fault.kind.name
}

// ask makes the attempt as it is.
func (a *attempt) ask() (result, error) {
	if a.job.Reports > 0 {
		a.ctx = child.OnProgress(a.ctx, a.shown)
	}
	if a.lane.keyed {
		a.ctx = child.WithKey(a.ctx, fmt.Sprint("key-", a.job.Random%16))
	}
	to := front{a.caller, a.lane, func(end error) { a.soak.settled(a.id, end) }}
	if a.stream {
		f := flow
		if a.most > 1 {
			f = f.Idempotent()
		}
		return result{}, a.drain(f.Call(a.ctx, to, a.job))
	}
	f := work
	if a.most > 1 {
		f = f.Idempotent()
	}
	return f.Call(a.ctx, to, a.job)
}

// drain takes the results of a stream.
func (a *attempt) drain(from iter.Seq2[item, error]) error {
	for it, err := range from {
		if err != nil {
			return err
		}
		a.soak.write(ledger.Line{Event: ledger.Item, Attempt: a.id, Index: it.index, Token: it.token})
		if a.job.Drowsy {
			time.Sleep(10 * time.Millisecond)
		}
		if a.body == nil {
			continue
		}
		if err := a.body(it.index); err != nil {
			return err
		}
	}
	return nil
}

// shown takes a report.
func (a *attempt) shown(p child.Progress) {
	var token ledger.Token
	if _, err := fmt.Sscanf(p.Note, "%x", (*uint64)(&token)); err != nil || p.Total != int64(a.job.Reports) {
		token = 0
	}
	a.soak.write(ledger.Line{Event: ledger.Shown, Attempt: a.id, Index: int(max(p.Done, 0)), Token: token})
	if a.show != nil {
		a.show(p)
	}
}

// slow is how long no call should take, unless the machine has no time for it.
const slow = 3 * time.Second

// clock keeps the slowest attempt.
func (s *soak) clock(a *attempt, since time.Time, got ledger.Outcome) {
	took := time.Since(since)
	if took < slow {
		return
	}
	text := fmt.Sprintf("%v: call %d, attempt %d, on %s%s: %s", took.Round(time.Millisecond), a.id.Call, a.id.Nth, a.lane.name, a.withFault(), got)
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
