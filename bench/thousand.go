//go:build linux

package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/bench/measure"
	"github.com/verdigris-go/verdigris/pool"
)

// thousand is row G.
func thousand(e effort) ([]line, error) {
	scores, err := e.contest(side{"pool", func() (measure.Sample, error) { return muster(e.workers) }})
	if err != nil {
		return nil, err
	}
	n := digits(float64(e.workers))
	what := func(name string) []float64 { return scores[0].of(fact(name)) }
	return []line{
		alone("start "+n+" workers", nanoseconds, what("start"), target{}),
		alone("an answer of each", nanoseconds, what("answer"), target{}),
		alone("stop them", nanoseconds, what("stop"), target{}),
		alone("descriptors of the parent for each", count, what("descriptors"), target{}),
		alone("threads of the parent", count, what("threads"), target{}),
		alone("answers lost, processes left", count, what("lost"), atMost(0)),
	}, nil
}

// muster starts n workers, calls each once, and stops them. Lost are answers
// that did not come, and processes that were left.
func muster(n int) (s measure.Sample, err error) {
	before, err := descriptors()
	if err != nil {
		return s, err
	}
	begin := time.Now()
	l, _, err := poolLane(pool.Config{Size: n, Choose: pool.RoundRobin, Worker: quiet()})
	if err != nil {
		return s, fmt.Errorf("starting %d workers: %w", n, err)
	}
	s.Facts = measure.Facts{"start": float64(time.Since(begin))}
	pids := l.pids()
	answers, took := callEach(l, n)
	s.Facts["answer"] = float64(took)
	open, err := descriptors()
	s.Facts["descriptors"] = (open - before) / float64(n)
	if err == nil {
		s.Facts["threads"], err = threads()
	}
	begin = time.Now()
	err = errors.Join(err, l.close())
	s.Facts["stop"] = float64(time.Since(begin))
	s.Facts["lost"] = float64(n - answers + stillThere(pids))
	return s, err
}

// stillThere counts the processes that exist.
func stillThere(pids []int) (n int) {
	for _, pid := range pids {
		if unix.Kill(pid, 0) == nil {
			n++
		}
	}
	return n
}

// callEach makes n calls at once to n workers that take one each, and counts
// the workers that have answered.
func callEach(l *lane, n int) (answers int, took time.Duration) {
	ctx, cancel := callContext()
	defer cancel()
	pids := make([]int, n)
	var all sync.WaitGroup
	begin := time.Now()
	for i := range n {
		all.Go(func() { pids[i], _ = who.Call(ctx, l, true) }) // no answer is a lost one
	}
	all.Wait()
	took = time.Since(begin)
	for _, pid := range pids {
		if pid != 0 {
			answers++
		}
	}
	return answers, took
}
