//go:build linux

package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/verdigris-go/verdigris/bench/measure"
	"github.com/verdigris-go/verdigris/bench/peer"
)

const (
	callers      = 64
	wantedRate   = 300_000
	wantedCPU    = 3000 // ns a call
	sentAhead    = 64   // calls on their way to a worker of a pool
	channelsName = "channels"
)

// crowds is row B.
func crowds(e effort) (lines []line, err error) {
	var ends []func() error
	defer func() { err = errors.Join(err, endAll(ends)) }()
	var sides []side
	for _, l := range []struct {
		name string
		make func() (*lane, error)
	}{
		{"child", func() (*lane, error) { return oneChild(quiet()) }},
		{"pool of one", func() (*lane, error) { return onePool(1, sentAhead, quiet()) }},
		{"pool of two", func() (*lane, error) { return onePool(2, sentAhead, quiet()) }},
	} {
		lane, err := l.make()
		if err != nil {
			return nil, err
		}
		ends = append(ends, lane.close)
		sides = append(sides,
			side{l.name + ", 16 B", func() (measure.Sample, error) { return lane.crowd(callers, e.turn.Time, echoes(small)) }},
			side{l.name + ", struct", func() (measure.Sample, error) { return lane.crowd(callers, e.turn.Time, mirrors) }})
	}
	sides = append(sides, side{channelsName, func() (measure.Sample, error) { return throughChannels(callers, e.turn.Time) }})
	last := len(sides) - 1
	others := e.invite()
	ends = append(ends, others.close)
	pace := measure.Pace{Time: e.turn.Time}
	sides = append(sides, others.sides(peer.Task{Do: peer.Crowd, Size: small, Callers: callers, Pace: pace})...)
	sides = append(sides, others.sides(peer.Task{Do: peer.Crowd, Callers: callers, Pace: pace})...)
	scores, err := e.contest(sides...)
	if err != nil {
		return nil, err
	}
	standard := baseline{channelsName, scores[last].of(rate)}
	theirs := map[string][]line{
		"16 B":   others.lines(", 16 B", perSecond, scores[last+1:], rate, standard),
		"struct": others.lines(", struct", perSecond, scores[last+1+len(others):], rate, standard),
	}
	for i, s := range sides[:last] {
		_, what, _ := strings.Cut(s.name, ", ")
		lines = append(lines,
			compare(s.name, perSecond, scores[i].of(rate), standard, atLeast(wantedRate)).beside(theirs[what]),
			alone(s.name+", CPU of both ends", nanoseconds, scores[i].of(cpu), atMost(wantedCPU)))
	}
	return append(append(lines, theirs["16 B"]...), theirs["struct"]...), nil
}

// crowd lets n callers call at once for so long, each with a context of its own.
func (l *lane) crowd(n int, d time.Duration, c call) (measure.Sample, error) {
	all, cancel := callContext()
	defer cancel()
	return measure.Together(n, d, l.pids(), func() (func() error, func()) {
		ctx, cancel := context.WithTimeout(all, patience)
		return func() error { return c(ctx, l) }, cancel
	})
}

// throughChannels is the bound for B: no other process at all, a goroutine that
// answers through channels.
func throughChannels(n int, d time.Duration) (measure.Sample, error) {
	type ask struct {
		payload [small]byte
		answer  chan [small]byte
	}
	asks := make(chan ask, n)
	defer close(asks)
	go func() {
		for a := range asks {
			a.answer <- a.payload
		}
	}()
	return measure.Together(n, d, nil, func() (func() error, func()) {
		a := ask{answer: make(chan [small]byte, 1)}
		return func() error { asks <- a; <-a.answer; return nil }, func() {}
	})
}
