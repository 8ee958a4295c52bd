//go:build linux

package main

import (
	"errors"
	"runtime"
)

// allocations is row M: how many objects a call leaves in the parent's heap for
// the garbage collector. It says what only a call of ours can, so there is no
// baseline.
func allocations(e effort) (lines []line, err error) {
	us, err := newPair()
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
		}{{"16 B", echoes(small), atMost(0)}, {"struct", mirrors, target{}}} {
			var objects, size []float64
			for range e.rounds {
				n, b, err := by.allocates(e, what.call)
				if err != nil {
					return nil, err
				}
				objects, size = append(objects, n), append(size, b)
			}
			lines = append(lines,
				alone(by.name+", "+what.name+", objects a call", count, objects, what.target),
				alone(by.name+", "+what.name+", bytes a call", bytes, size, target{}))
		}
	}
	return lines, nil
}

// allocates is how many objects, and bytes, this process allocates for a call.
func (l *lane) allocates(e effort, c call) (objects, size float64, err error) {
	ctx, cancel := callContext()
	defer cancel()
	n := max(int(e.turn.time.Microseconds()/20), e.turn.least)
	if err := c(ctx, l); err != nil {
		return 0, 0, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		if err := c(ctx, l); err != nil {
			return 0, 0, err
		}
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n), float64(after.TotalAlloc-before.TotalAlloc) / float64(n), nil
}
