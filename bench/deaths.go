//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/bench/measure"
	"github.com/verdigris-go/verdigris/bench/peer"
	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/child/cfault"
	"github.com/verdigris-go/verdigris/internal/ccrash"
	"github.com/verdigris-go/verdigris/pool"
)

// kills is row D1.
func kills(e effort) (lines []line, err error) {
	others := e.invite()
	defer func() { err = errors.Join(err, others.close()) }()
	return deathLines(e, 6, []demise{{"SIGKILL", true, (*victim).kill}}, others)
}

// crashes is row D2.
func crashes(e effort) ([]line, error) {
	fault := "fault in C"
	if !ccrash.HasC {
		fault = "fault in Go" // built without cgo
	}
	resident := func(how string) func(*victim) (moments, error) {
		return func(v *victim) (moments, error) {
			if ok, err := fill.Call(context.Background(), v.lane, e.resident); err != nil || !ok {
				return moments{}, fmt.Errorf("%d MiB: %v, %w", e.resident, ok, err)
			}
			return v.crash(how)
		}
	}
	plain := func(how string) func(*victim) (moments, error) {
		return func(v *victim) (moments, error) { return v.crash(how) }
	}
	heavy := fmt.Sprintf(", %d MiB resident", e.resident)
	ways := []demise{
		{"panic", true, plain(byPanic)},
		{fault, true, plain(byFault)},
		{"panic" + heavy, true, resident(byPanic)},
		{fault + heavy, true, resident(byFault)},
	}
	if cfault.Check() == nil {
		ways = append(ways, demise{fault + ", without package cfault", false, plain(byFault)})
	}
	return deathLines(e, 3, ways, nil)
}

// demise is one way to die. A worker that is noticed has package cfault.
type demise struct {
	name    string
	noticed bool
	one     func(*victim) (moments, error)
}

// moments are what follows a death, as times from it.
type moments struct {
	next time.Duration // the answer to a call that somebody else makes
	own  time.Duration // the error of the call that died; 0: there was none
}

// deathLines compares ways to die with the notice of a small child's death.
func deathLines(e effort, limit float64, ways []demise, others guests) (lines []line, err error) {
	var sides []side
	for _, w := range ways {
		v, err := newVictim(w.noticed)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, v.lane.close()) }()
		sides = append(sides, side{w.name, func() (measure.Sample, error) { return v.die(e.deaths, w) }})
	}
	sides = append(sides,
		side{"notice", func() (measure.Sample, error) { return notices(e.deaths, cat) }},
		side{"large notice", func() (measure.Sample, error) { return notices(e.deaths, large) }})
	sides = append(sides, others.sides(peer.Task{Do: peer.Kills, Times: e.deaths})...)
	scores, err := e.contest(sides...)
	if err != nil {
		return nil, err
	}
	last := len(ways)
	standard := baseline{"notice", scores[last].of(p50)}
	theirs := others.lines(", started again", nanoseconds, scores[last+2:], p50, standard)
	for i, w := range ways {
		goal := atMostTimes(limit)
		if !w.noticed {
			goal = target{}
		}
		lines = append(lines, compare(w.name+" to next answer, with a spare", nanoseconds, scores[i].of(p50), standard, goal).beside(theirs))
		if own := scores[i].of(fact(ownError)); own[0] > 0 {
			lines = append(lines, compare(w.name+" to the error of its own call", nanoseconds, own, standard, target{}))
		}
	}
	lines = append(lines, compare("no library: notice of the death of a program as large", nanoseconds, scores[last+1].of(p50), standard, target{}))
	return append(lines, theirs...), nil
}

const ownError = "own error" // a fact: nanoseconds

// victim is a pool of one worker with a spare, whose workers die.
type victim struct {
	lane *lane
	pool *pool.Pool
}

func newVictim(noticed bool) (*victim, error) {
	cfg := quiet()
	if !noticed {
		cfg.Env = []string{unnoticed + "=1"}
	}
	l, p, err := sparePool(cfg)
	return &victim{l, p}, err
}

// die lets so many workers die.
func (v *victim) die(n int, w demise) (measure.Sample, error) {
	var own []time.Duration
	s, err := measure.Repeat(n, func() (time.Duration, error) {
		if err := awaitSpare(v.pool); err != nil {
			return 0, err
		}
		time.Sleep(settling)
		m, err := w.one(v)
		own = append(own, m.own)
		return m.next, err
	})
	slices.Sort(own)
	if len(own) > 0 {
		s.Facts = measure.Facts{ownError: float64(rank(own, 0.5))}
	}
	return s, err
}

// kill is a death by kill(2) between two calls.
func (v *victim) kill() (m moments, err error) {
	ctx, cancel := callContext()
	defer cancel()
	pid, err := who.Call(ctx, v.lane, true)
	if err != nil {
		return m, err
	}
	time.Sleep(time.Millisecond)
	begin := measure.Monotonic()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		return m, err
	}
	m.next, err = v.next(ctx, pid, begin)
	return m, err
}

// appointment is far enough ahead for the call to be in the worker by then.
const appointment = 10 * time.Millisecond

// crash is a death in a call. At the same time somebody else makes another one.
func (v *victim) crash(how string) (m moments, err error) {
	ctx, cancel := callContext()
	defer cancel()
	pid, err := who.Call(ctx, v.lane, true)
	if err != nil {
		return m, err
	}
	at := measure.Monotonic() + appointment
	own := make(chan error, 1)
	go func() {
		_, err := die.Call(ctx, v.lane, death{at, how})
		m.own = measure.Monotonic() - at
		own <- err
	}()
	sleepUntil(at, 300*time.Microsecond)
	next, err := v.next(ctx, pid, at)
	died := <-own
	if _, crashed := errors.AsType[*child.CrashError](died); !crashed {
		return m, fmt.Errorf("instead of a crash by %s: %w", how, died)
	}
	m.next = next
	return m, err
}

// next calls until somebody else than the dead worker answers. A call that was
// lost with it is made again, as its caller would do.
func (v *victim) next(ctx context.Context, dead int, since time.Duration) (time.Duration, error) {
	for {
		pid, err := who.Call(ctx, v.lane, true)
		switch {
		case ctx.Err() != nil:
			return 0, fmt.Errorf("no answer after a death: %w", err)
		case err != nil:
		case pid == dead:
			return 0, fmt.Errorf("process %d has answered after its death", dead)
		default:
			return measure.Monotonic() - since, nil
		}
	}
}
