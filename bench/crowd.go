//go:build linux

package main

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
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
		{"pool of one", func() (*lane, error) { return onePool(1, sentAhead) }},
		{"pool of two", func() (*lane, error) { return onePool(2, sentAhead) }},
	} {
		lane, err := l.make()
		if err != nil {
			return nil, err
		}
		ends = append(ends, lane.close)
		sides = append(sides,
			side{l.name + ", 16 B", func() (sample, error) { return lane.crowd(callers, e.turn.time, echoes(small)) }},
			side{l.name + ", struct", func() (sample, error) { return lane.crowd(callers, e.turn.time, mirrors) }})
	}
	sides = append(sides, side{channelsName, func() (sample, error) { return throughChannels(callers, e.turn.time) }})
	scores, err := e.contest(sides...)
	if err != nil {
		return nil, err
	}
	last := len(sides) - 1
	for i, s := range sides[:last] {
		lines = append(lines,
			compare(s.name, perSecond, scores[i].of(rate), baseline{channelsName, scores[last].of(rate)}, atLeast(wantedRate)),
			alone(s.name+", CPU of both ends", nanoseconds, scores[i].of(cpu), atMost(wantedCPU)))
	}
	return lines, nil
}

// crowd lets n callers call at once for so long.
func (l *lane) crowd(n int, d time.Duration, c call) (sample, error) {
	ctx, cancel := callContext()
	defer cancel()
	return together(n, d, l.pids(), func() error { return c(ctx, l) })
}

// together lets n goroutines repeat an operation for so long. None is timed by
// itself, because the clock would be a part of what is measured.
func together(n int, d time.Duration, pids []int, operation func() error) (s sample, err error) {
	used, err := processorTime(pids...)
	if err != nil {
		return s, err
	}
	var over atomic.Bool
	var all sync.WaitGroup
	var done atomic.Int64
	errs := make([]error, n)
	begin := time.Now()
	for i := range n {
		all.Go(func() {
			for own := 0; ; own++ {
				if own > 0 && over.Load() || errs[i] != nil {
					done.Add(int64(own))
					return
				}
				errs[i] = operation()
			}
		})
	}
	time.Sleep(d)
	over.Store(true)
	all.Wait()
	s.done, s.wall = int(done.Load()), time.Since(begin)
	now, err := processorTime(pids...)
	s.cpu = now - used
	return s, errors.Join(append(errs, err)...)
}

// throughChannels is the bound for B: no other process at all, a goroutine that
// answers through channels.
func throughChannels(n int, d time.Duration) (sample, error) {
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
	free := sync.Pool{New: func() any { return make(chan [small]byte, 1) }}
	return together(n, d, nil, func() error {
		a := ask{answer: free.Get().(chan [small]byte)}
		asks <- a
		<-a.answer
		free.Put(a.answer)
		return nil
	})
}
