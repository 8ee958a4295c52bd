//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/verdigris-go/verdigris/bench/measure"
	"github.com/verdigris-go/verdigris/bench/peer"
)

// coldStarts is row C1.
func coldStarts(e effort) (lines []line, err error) {
	ours, err := e.open(tiny, tiny)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ours.Close()) }()
	others := e.invite()
	defer func() { err = errors.Join(err, others.close()) }()
	start := peer.Task{Do: peer.Starts, Times: e.starts}
	sides := []side{
		{tiny, asking(ours, start)},
		{"floor of " + tiny, asking(ours, peer.Task{Do: peer.Floor, Times: e.starts})},
		{"child", func() (measure.Sample, error) { return measure.Repeat(e.starts, coldStart) }},
		{"floor", func() (measure.Sample, error) { return measure.Repeat(e.starts, floor) }},
	}
	scores, err := e.contest(append(sides, others.sides(start)...)...)
	if err != nil {
		return nil, err
	}
	theirs := others.lines("", nanoseconds, scores[4:], p50, baseline{})
	return append([]line{
		compare("small program, start to first answer", nanoseconds, scores[0].of(p50), baseline{"floor", scores[1].of(p50)}, atMostTimes(1.2)).beside(theirs),
		compare("bench itself, start to first answer", nanoseconds, scores[2].of(p50), baseline{"floor", scores[3].of(p50)}, target{}),
	}, theirs...), nil
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
		side{"pool", func() (measure.Sample, error) { return measure.Repeat(e.deaths, warmStart) }},
		side{"notice", func() (measure.Sample, error) { return notices(e.deaths, cat) }})
	if err != nil {
		return nil, err
	}
	return []line{
		compare("first answer of a pool with a spare", nanoseconds, scores[0].of(p50), baseline{"notice", scores[1].of(p50)}, atMostTimes(2)),
	}, nil
}

// warmStart is the time of the first call of a pool that has all its workers.
func warmStart() (took time.Duration, err error) {
	l, _, err := sparePool(quiet())
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
