//go:build linux

package main

import (
	"errors"
	"math"
	"runtime"

	"github.com/verdigris-go/verdigris/bench/measure"
)

// allocations is row M: how many objects a call leaves in the parent's heap for
// the garbage collector. One of them is the answer, which is the caller's to keep.
// It says what only a call of ours can, so there is no baseline.
func allocations(e effort) (lines []line, err error) {
	us, err := newPair(quiet())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, us.close()) }()
	for _, by := range []struct {
		name string
		*lane
	}{{"child", us.proc}, {"pool", us.pool}} {
		for _, what := range []struct {
			name   string
			call   call
			target target
		}{{"16 B", echoes(small), atMost(1)}, {"struct", mirrors, target{}}} {
			work := by.name + ", " + what.name
			scores, err := e.contest(side{work, func() (measure.Sample, error) { return by.allocates(e, what.call) }})
			if err != nil {
				return nil, err
			}
			lines = append(lines,
				alone(work+", objects a call", count, scores[0].of(fact("objects")), what.target),
				alone(work+", bytes a call", bytes, scores[0].of(fact("bytes")), target{}))
		}
	}
	return lines, nil
}

// allocates is how many objects, and bytes, this process allocates for a call.
func (l *lane) allocates(e effort, c call) (s measure.Sample, err error) {
	ctx, cancel := callContext()
	defer cancel()
	n := max(int(e.turn.Time.Microseconds()/20), e.turn.Least)
	if err := c(ctx, l); err != nil {
		return s, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		if err := c(ctx, l); err != nil {
			return s, err
		}
	}
	runtime.ReadMemStats(&after)
	s.Facts = measure.Facts{
		"objects": math.Floor(float64(after.Mallocs-before.Mallocs) / float64(n)), // as testing.AllocsPerRun: the rest is not the call's
		"bytes":   float64(after.TotalAlloc-before.TotalAlloc) / float64(n),
	}
	return s, nil
}
