//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/bench/measure"
	"github.com/verdigris-go/verdigris/bench/peer"
	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/ccrash"
	"github.com/verdigris-go/verdigris/pool"
)

// kills is row D1.
func kills(e effort) (lines []line, err error) {
	others := e.invite()
	defer func() { err = errors.Join(err, others.close()) }()
	return deathLines(e, 6, []dying{{"SIGKILL", (*victim).kill}}, others)
}

// crashes is row D2.
func crashes(e effort) ([]line, error) {
	fault := "fault in C"
	if !ccrash.HasC {
		fault = "fault in Go" // built without cgo
	}
	resident := func(how string) func(*victim) (time.Duration, error) {
		return func(v *victim) (time.Duration, error) {
			if ok, err := fill.Call(context.Background(), v.lane, e.resident); err != nil || !ok {
				return 0, fmt.Errorf("%d MiB: %v, %w", e.resident, ok, err)
			}
			return v.crash(how)
		}
	}
	plain := func(how string) func(*victim) (time.Duration, error) {
		return func(v *victim) (time.Duration, error) { return v.crash(how) }
	}
	heavy := fmt.Sprintf(", %d MiB resident", e.resident)
	return deathLines(e, 3, []dying{
		{"panic", plain(byPanic)},
		{fault, plain(byFault)},
		{"panic" + heavy, resident(byPanic)},
		{fault + heavy, resident(byFault)},
	}, nil)
}

// dying is one way to die; what it returns is the time from the death to the
// next answer.
type dying struct {
	name string
	one  func(*victim) (time.Duration, error)
}

// deathLines compares ways to die with the notice of a small child's death.
func deathLines(e effort, limit float64, ways []dying, others guests) (lines []line, err error) {
	v, err := newVictim()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.lane.close()) }()
	var sides []side
	for _, w := range ways {
		sides = append(sides, side{w.name, func() (measure.Sample, error) {
			return measure.Repeat(e.deaths, func() (time.Duration, error) {
				if err := awaitSpare(v.pool); err != nil {
					return 0, err
				}
				time.Sleep(settling)
				return w.one(v)
			})
		}})
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
		lines = append(lines, compare(w.name+" to next answer, with a spare", nanoseconds, scores[i].of(p50),
			standard, atMostTimes(limit)).beside(theirs))
	}
	lines = append(lines, compare("no library: notice of the death of a program as large", nanoseconds, scores[last+1].of(p50), standard, target{}))
	return append(lines, theirs...), nil
}

// victim is a pool of one worker with a spare, whose workers die.
type victim struct {
	lane *lane
	pool *pool.Pool
}

func newVictim() (*victim, error) {
	l, p, err := sparePool()
	return &victim{l, p}, err
}

// kill is the time from kill(2) to the next answer.
func (v *victim) kill() (time.Duration, error) {
	ctx, cancel := callContext()
	defer cancel()
	pid, err := who.Call(ctx, v.lane, true)
	if err != nil {
		return 0, err
	}
	time.Sleep(time.Millisecond)
	begin := measure.Monotonic()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		return 0, err
	}
	return v.next(ctx, pid, begin)
}

// appointment is far enough ahead for the call to be in the worker by then.
const appointment = 10 * time.Millisecond

// crash is the time from the death of a worker in a call to the next answer.
func (v *victim) crash(how string) (time.Duration, error) {
	ctx, cancel := callContext()
	defer cancel()
	pid, err := who.Call(ctx, v.lane, true)
	if err != nil {
		return 0, err
	}
	at := measure.Monotonic() + appointment
	_, err = die.Call(ctx, v.lane, death{at, how})
	if _, crashed := errors.AsType[*child.CrashError](err); !crashed {
		return 0, fmt.Errorf("instead of a crash by %s: %w", how, err)
	}
	return v.next(ctx, pid, at)
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
