//go:build linux

package main

import (
	"errors"
	"fmt"

	"github.com/verdigris-go/verdigris/bench/measure"
	"github.com/verdigris-go/verdigris/bench/peer"
)

// payloads is row A4.
func payloads(e effort) (lines []line, err error) {
	others := e.invite()
	defer func() { err = errors.Join(err, others.close()) }()
	for _, size := range []struct {
		bytes   int
		name    string
		limit   float64
		copying bool // the baseline is copies, else pipe
	}{
		{1 << 10, "1 KiB", 1.2, false},
		{64 << 10, "64 KiB", 0.9, false},
		{1 << 20, "1 MiB", 2.0, true},
		{16 << 20, "16 MiB", 1.2, true},
	} {
		more, err := payload(e, others, size.bytes, size.name, size.limit, size.copying)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", size.name, err)
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

func payload(e effort, others guests, size int, name string, limit float64, copying bool) (lines []line, err error) {
	var ends []func() error
	defer func() { err = errors.Join(err, endAll(ends)) }()
	us, err := newPair(quiet())
	if err != nil {
		return nil, err
	}
	ends = append(ends, us.close)
	var base side
	if copying {
		c := newCopies(size)
		base = side{"copies", func() (measure.Sample, error) { return c.turn(e.turn) }}
	} else {
		p, err := newRawPipe(size, lastCore())
		if err != nil {
			return nil, err
		}
		ends = append(ends, p.close)
		base = side{"pipe", func() (measure.Sample, error) { return p.turn(e.turn) }}
	}
	sides := append(us.sides(e, size), base)
	few := measure.Pace{Time: e.turn.Time, Least: min(e.turn.Least, 2)} // some take a tenth of a second each
	scores, err := e.contest(append(sides, others.sides(peer.Task{Do: peer.Calls, Size: size, Pace: few})...)...)
	if err != nil {
		return nil, err
	}
	standard := baseline{base.name, scores[2].of(p50)}
	theirs := others.lines(", "+name, nanoseconds, scores[3:], p50, standard)
	for i, by := range []string{"child", "pool"} {
		lines = append(lines, compare(name+", "+by, nanoseconds, scores[i].of(p50), standard, atMostTimes(limit)).beside(theirs))
	}
	return append(lines, theirs...), nil
}
