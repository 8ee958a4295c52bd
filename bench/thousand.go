//go:build linux

package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/pool"
)

// muster is what has been seen of many workers once.
type muster struct {
	start, answer, stop  time.Duration
	descriptors, threads float64 // of the parent
	lost                 float64 // answers that did not come, and processes that were left
}

// thousand is row G.
func thousand(e effort) ([]line, error) {
	values := map[string][]float64{}
	for range e.rounds {
		m, err := call1000(e.workers)
		if err != nil {
			return nil, err
		}
		for name, v := range map[string]float64{
			"start": float64(m.start), "answer": float64(m.answer), "stop": float64(m.stop),
			"descriptors": m.descriptors, "threads": m.threads, "lost": m.lost,
		} {
			values[name] = append(values[name], v)
		}
	}
	n := digits(float64(e.workers))
	return []line{
		alone("start "+n+" workers", nanoseconds, values["start"], target{}),
		alone("an answer of each", nanoseconds, values["answer"], target{}),
		alone("stop them", nanoseconds, values["stop"], target{}),
		alone("descriptors of the parent for each", count, values["descriptors"], target{}),
		alone("threads of the parent", count, values["threads"], target{}),
		alone("answers lost, processes left", count, values["lost"], atMost(0)),
	}, nil
}

// call1000 starts n workers, calls each once, and stops them.
func call1000(n int) (m muster, err error) {
	before, err := descriptors()
	if err != nil {
		return m, err
	}
	begin := time.Now()
	l, _, err := poolLane(pool.Config{Size: n, Choose: pool.RoundRobin, Worker: quiet()})
	if err != nil {
		return m, fmt.Errorf("starting %d workers: %w", n, err)
	}
	m.start = time.Since(begin)
	pids := l.pids()
	answers, took := callEach(l, n)
	m.answer, m.lost = took, float64(n-answers)
	open, err := descriptors()
	m.descriptors = (open - before) / float64(n)
	if err == nil {
		m.threads, err = threads()
	}
	begin = time.Now()
	err = errors.Join(err, l.close())
	m.stop = time.Since(begin)
	for _, pid := range pids {
		if unix.Kill(pid, 0) == nil {
			m.lost++
		}
	}
	return m, err
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
