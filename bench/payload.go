//go:build linux

package main

import (
	"errors"
	"fmt"
)

// payloads is row A4.
func payloads(e effort) (lines []line, err error) {
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
		more, err := payload(e, size.bytes, size.name, size.limit, size.copying)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", size.name, err)
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

func payload(e effort, size int, name string, limit float64, copying bool) (lines []line, err error) {
	var ends []func() error
	defer func() { err = errors.Join(err, endAll(ends)) }()
	us, err := newPair()
	if err != nil {
		return nil, err
	}
	ends = append(ends, us.close)
	var base side
	if copying {
		c := newCopies(size)
		base = side{"copies", func() (sample, error) { return c.turn(e.turn) }}
	} else {
		p, err := newRawPipe(size)
		if err != nil {
			return nil, err
		}
		ends = append(ends, p.close)
		base = side{"pipe", func() (sample, error) { return p.turn(e.turn) }}
	}
	c := echoes(size)
	scores, err := e.contest(
		side{"child", func() (sample, error) { return us.proc.calls(e.turn, c) }},
		side{"pool", func() (sample, error) { return us.pool.calls(e.turn, c) }},
		base)
	if err != nil {
		return nil, err
	}
	for i, by := range []string{"child", "pool"} {
		lines = append(lines, compare(name+", "+by, nanoseconds, scores[i].of(p50), baseline{base.name, scores[2].of(p50)}, atMostTimes(limit)))
	}
	return lines, nil
}
