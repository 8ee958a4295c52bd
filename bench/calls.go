//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/verdigris-go/verdigris/bench/measure"
	"github.com/verdigris-go/verdigris/bench/peer"
	"github.com/verdigris-go/verdigris/child"
)

// small is the payload of one caller's calls, in bytes.
const small = 16

// field of those who pass small messages to and fro, one caller each.
type contenders struct {
	raw    *rawPipe
	free   *rawPipe // the same, not pinned
	goPipe *goPipe
	pair
	ends []func() error
}

func newContenders(size int) (c *contenders, err error) {
	c = &contenders{}
	defer func() {
		if err != nil {
			_ = c.close() // the first error says why
		}
	}()
	if c.raw, err = newRawPipe(size, lastCore()); err != nil {
		return c, err
	}
	c.ends = append(c.ends, c.raw.close)
	if c.free, err = newRawPipe(size, free); err != nil {
		return c, err
	}
	c.ends = append(c.ends, c.free.close)
	if c.goPipe, err = newGoPipe(size); err != nil {
		return c, err
	}
	c.ends = append(c.ends, c.goPipe.close)
	if c.pair, err = newPair(quiet()); err != nil {
		return c, err
	}
	c.ends = append(c.ends, c.pair.close)
	return c, nil
}

func (c *contenders) close() error { return endAll(c.ends) }

// sides are ours first: child, pool, Go pipe, pipe.
func (c *contenders) sides(e effort, size int) []side {
	return append(c.pair.sides(e, size), []side{
		{"Go pipe", func() (measure.Sample, error) { return c.goPipe.turn(e.turn) }},
		{"pipe", func() (measure.Sample, error) { return c.raw.turn(e.turn) }},
	}...)
}

// loneCaller is row A1.
func loneCaller(e effort) (lines []line, err error) {
	c, err := newContenders(small)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	others := e.invite()
	defer func() { err = errors.Join(err, others.close()) }()
	sides := append(c.sides(e, small), side{"free pipe", func() (measure.Sample, error) { return c.free.turn(e.turn) }})
	scores, err := e.contest(append(sides, others.sides(peer.Task{Do: peer.Calls, Size: small, Pace: e.turn})...)...)
	if err != nil {
		return nil, err
	}
	standard := baseline{"pipe", scores[3].of(p50)}
	theirs := others.lines("", nanoseconds, scores[5:], p50, standard)
	for i, by := range []string{"child", "pool"} {
		ours, goPipe := scores[i], scores[2]
		lines = append(lines,
			compare(by, nanoseconds, ours.of(p50), standard, atMostTimes(1.1)).beside(theirs),
			compare(by+", beside a Go pipe", nanoseconds, ours.of(p50), baseline{"Go pipe", goPipe.of(p50)}, target{}),
			compare(by+", p99", nanoseconds, ours.of(p99), baseline{"Go pipe", goPipe.of(p99)}, atMostTimes(1)),
			compare(by+", CPU of both ends", nanoseconds, ours.of(cpu), baseline{"pipe", scores[3].of(cpu)}, target{}),
		)
	}
	lines = append(lines, compare("no library: a pipe that is not pinned", nanoseconds, scores[4].of(p50), standard, target{}))
	for _, n := range []int{1, 2, 4} {
		busy, err := busyLines(e, n, c.sides(e, small)[:3])
		if err != nil {
			return nil, err
		}
		lines = append(lines, busy...)
	}
	return append(lines, theirs...), nil
}

// busyLines are those beside n processes that keep a core busy each. The last
// of the sides is what the others are compared with.
func busyLines(e effort, n int, sides []side) (lines []line, err error) {
	b, err := e.burners(n)
	if err != nil {
		return nil, err
	}
	defer b.end()
	scores, err := e.contest(sides...)
	if err != nil {
		return nil, err
	}
	last := len(sides) - 1
	for i, s := range sides[:last] {
		work := fmt.Sprintf("%s, %d busy", s.name, n)
		lines = append(lines,
			compare(work, nanoseconds, scores[i].of(p50), baseline{sides[last].name, scores[last].of(p50)}, atMostTimes(1)),
			compare(work+", p99", nanoseconds, scores[i].of(p99), baseline{sides[last].name, scores[last].of(p99)}, target{}),
		)
	}
	return lines, nil
}

// lowLatencyCaller is row A2.
func lowLatencyCaller(e effort) (lines []line, err error) {
	cfg := quiet()
	if !switchOn(&cfg, "LowLatency") {
		return []line{absent("child", "Config.LowLatency")}, nil
	}
	fast, err := newPair(cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, fast.close()) }()
	c, err := newContenders(small)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	for _, n := range []int{0, 1, 2, 4} {
		more, err := lowLatencyBeside(e, n, append(fast.sides(e, small), c.sides(e, small)...))
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

// lowLatencyBeside compares with the default, while so many cores are kept busy,
// and, if none is, with a pipe. The sides are child and pool, the same by
// default, and the pipes.
func lowLatencyBeside(e effort, busy int, sides []side) (lines []line, err error) {
	b, err := e.burners(busy)
	if err != nil {
		return nil, err
	}
	defer b.end()
	scores, err := e.contest(sides...)
	if err != nil {
		return nil, err
	}
	pipe := baseline{"pipe", scores[len(sides)-1].of(p50)}
	for i, by := range []string{"child", "pool"} {
		fast, standard := scores[i].of(p50), baseline{"default", scores[i+2].of(p50)}
		if busy > 0 {
			lines = append(lines, compare(fmt.Sprintf("%s, %d busy", by, busy), nanoseconds, fast, standard, atMostTimes(1.1)))
			continue
		}
		lines = append(lines,
			compare(by, nanoseconds, fast, pipe, atMostTimes(0.1)),
			compare(by+", beside the default", nanoseconds, fast, standard, target{}),
			compare(by+", CPU of both ends", nanoseconds, scores[i].of(cpu), baseline{"default", scores[i+2].of(cpu)}, target{}))
	}
	return lines, nil
}

// pausingCaller is row A3.
func pausingCaller(e effort) (lines []line, err error) {
	c, err := newContenders(small)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	for _, pause := range []time.Duration{time.Millisecond, 10 * time.Millisecond} {
		scores, err := e.contest(c.pausing(e, pause)...)
		if err != nil {
			return nil, err
		}
		for i, by := range []string{"child", "pool"} {
			lines = append(lines, compare(fmt.Sprintf("%s, %v between calls", by, pause), nanoseconds,
				scores[i].of(p50), baseline{"Go pipe", scores[2].of(p50)}, atMostTimes(1)))
		}
	}
	return lines, nil
}

func (c *contenders) pausing(e effort, pause time.Duration) []side {
	echo, buf := echoes(small), make([]byte, small)
	by := func(caller child.Caller) func() (measure.Sample, error) {
		return func() (measure.Sample, error) {
			ctx, cancel := callContext()
			defer cancel()
			return pausing(e.pauses, pause, func() error { return echo(ctx, caller) })
		}
	}
	return []side{
		{"child", by(c.proc)},
		{"pool", by(c.pool)},
		{"Go pipe", func() (measure.Sample, error) {
			return pausing(e.pauses, pause, func() error { return c.goPipe.roundTrip(buf) })
		}},
	}
}
