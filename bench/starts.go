//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// coldStarts is row C1.
func coldStarts(e effort) ([]line, error) {
	scores, err := e.contest(
		side{"child", func() (sample, error) { return repeat(e.starts, coldStart) }},
		side{"floor", func() (sample, error) { return repeat(e.starts, floor) }})
	if err != nil {
		return nil, err
	}
	return []line{
		compare("start to first answer", nanoseconds, scores[0].of(p50), baseline{"floor", scores[1].of(p50)}, atMostTimes(1.2)),
	}, nil
}

// repeat takes the times of n operations that time themselves.
func repeat(n int, operation func() (time.Duration, error)) (s sample, err error) {
	for range n {
		took, err := operation()
		if err != nil {
			return s, err
		}
		s.took = append(s.took, took)
	}
	return s, nil
}

// coldStart is the time from nothing to a worker's first answer.
func coldStart() (took time.Duration, err error) {
	ctx, cancel := callContext()
	defer cancel()
	begin := time.Now()
	l, err := oneChild(quiet())
	if err != nil {
		return 0, err
	}
	err = echoes(small)(ctx, l)
	took = time.Since(begin)
	return took, errors.Join(err, l.close())
}

// floor is the time until this very program, started again, has come to its main
// and written one byte.
func floor() (took time.Duration, err error) {
	cmd := self("floor")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	p, err := startPartner(cmd)
	if err != nil {
		return 0, err
	}
	defer p.end()
	if _, err = io.ReadFull(out, make([]byte, 1)); err != nil {
		return 0, fmt.Errorf("its first byte: %w", err)
	}
	return time.Since(begin), nil
}

// settling is how long a machine is left alone before something that is to find
// it idle.
const settling = 5 * time.Millisecond

// warmStarts is row C2.
func warmStarts(e effort) ([]line, error) {
	scores, err := e.contest(
		side{"pool", func() (sample, error) { return repeat(e.deaths, warmStart) }},
		side{"notice", func() (sample, error) { return notices(e.deaths) }})
	if err != nil {
		return nil, err
	}
	return []line{
		compare("first answer of a pool with a spare", nanoseconds, scores[0].of(p50), baseline{"notice", scores[1].of(p50)}, atMostTimes(2)),
	}, nil
}

// warmStart is the time of the first call of a pool that has all its workers.
func warmStart() (took time.Duration, err error) {
	l, _, err := sparePool()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	time.Sleep(settling)
	ctx, cancel := callContext()
	defer cancel()
	begin := time.Now()
	err = echoes(small)(ctx, l)
	return time.Since(begin), err
}
