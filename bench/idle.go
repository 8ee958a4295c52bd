//go:build linux

package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/verdigris-go/verdigris/bench/measure"
	"github.com/verdigris-go/verdigris/bench/peer"
)

const (
	wantedMemoryOfOne = 2 << 20
	wantedMemoryOfTen = 1 << 20
	wantedIdleCPU     = 0.2
)

// idleWorkers is row E. The baseline "bare" is the same program waiting for
// input, without the library.
func idleWorkers(e effort) (lines []line, err error) {
	ours, err := e.open(tiny, tiny)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ours.Close()) }()
	others := e.invite()
	defer func() { err = errors.Join(err, others.close()) }()
	var theirs []line
	for _, m := range []struct {
		n      int
		what   string
		target float64
	}{{1, "memory of one (PSS)", wantedMemoryOfOne}, {10, "memory of each of ten (PSS)", wantedMemoryOfTen}} {
		mine, peers, err := memoryLines(e, ours, others, m.n, m.what, atMost(m.target))
		if err != nil {
			return nil, err
		}
		lines, theirs = append(lines, mine...), append(theirs, peers...)
	}
	used, err := idleTime(e)
	if err != nil {
		return nil, err
	}
	lines = append(lines, alone("CPU of a hundred and their parent", percent, used.of(fact("share")), atMost(wantedIdleCPU)))
	return append(lines, theirs...), nil
}

// memoryLines are those of n idle workers, ours and theirs.
func memoryLines(e effort, program *peer.Program, others guests, n int, what string, wanted target) (ours, theirs []line, err error) {
	idle, bare := peer.Task{Do: peer.Idle, Times: n}, peer.Task{Do: peer.Bare, Times: n}
	sides := []side{
		{tiny, func() (measure.Sample, error) { return memoryOfTask(program, idle) }},
		{"bare " + tiny, func() (measure.Sample, error) { return memoryOfTask(program, bare) }},
		{"pool", func() (measure.Sample, error) { return memoryOfWorkers(n) }},
		{"bare", func() (measure.Sample, error) { return memoryOfBare(n) }},
		{"empty", func() (measure.Sample, error) { return memoryOfEmpty(e, n) }},
	}
	scores, err := e.contest(append(sides, others.take(func(p *peer.Program) (measure.Sample, error) { return memoryOfTask(p, idle) })...)...)
	if err != nil {
		return nil, nil, err
	}
	memory := fact("memory")
	theirs = others.lines(", "+what, bytes, scores[5:], memory, baseline{})
	return []line{
		compare("small program, "+what, bytes, scores[0].of(memory), baseline{"bare", scores[1].of(memory)}, wanted).beside(theirs),
		compare("bench itself, "+what, bytes, scores[2].of(memory), baseline{"bare", scores[3].of(memory)}, target{}),
		alone("no library: an empty Go program, "+what, bytes, scores[4].of(memory), target{}),
	}, theirs, nil
}

// memoryOfTask is that of the processes that a program leaves idle.
func memoryOfTask(p *peer.Program, t peer.Task) (s measure.Sample, err error) {
	r, err := p.Do(t)
	if err != nil {
		return s, err
	}
	if s, err = memoryOf(r.PIDs); err != nil {
		return s, err
	}
	t.Times = 0 // so that they end
	_, err = p.Do(t)
	return s, err
}

func memoryOfWorkers(n int) (s measure.Sample, err error) {
	l, err := onePool(n, 0, quiet())
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	return memoryOf(l.pids())
}

func memoryOfBare(n int) (s measure.Sample, err error) {
	all, err := startPartners(n, "idle")
	if err != nil {
		return s, err
	}
	defer all.end()
	return memoryOf(all.pids())
}

// memoryOfEmpty is that of a Go program that has nothing in it. One more than is
// asked for is there, with which they share what workers share with their parent.
func memoryOfEmpty(e effort, n int) (s measure.Sample, err error) {
	var all partners
	defer func() { all.end() }()
	for range n + 1 {
		p, err := startPartner(exec.Command(filepath.Join(e.programs, "empty")))
		if err != nil {
			return s, err
		}
		all = append(all, p)
	}
	return memoryOf(all[:n].pids())
}

// memoryOf is the mean of some processes that have come to rest.
func memoryOf(pids []int) (s measure.Sample, err error) {
	time.Sleep(10 * settling)
	sum := 0.0
	for _, pid := range pids {
		size, err := measure.PSS(pid)
		if err != nil {
			return s, err
		}
		sum += size
	}
	s.Facts = measure.Facts{"memory": sum / float64(len(pids))}
	return s, nil
}

// idleTime is which share of a core idle workers and their parent use, in
// percent. A turn is a period of the default heartbeat.
func idleTime(e effort) (share score, err error) {
	l, err := onePool(e.idlers, 0, quiet())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	pids := l.pids()
	time.Sleep(e.window / 10)
	scores, err := e.contest(side{"pool", func() (measure.Sample, error) { return shareOfACore(e.window, pids) }})
	if err != nil {
		return nil, err
	}
	return scores[0], nil
}

func shareOfACore(window time.Duration, pids []int) (s measure.Sample, err error) {
	before, err := measure.ProcessorTime(pids...)
	if err != nil {
		return s, err
	}
	begin := time.Now()
	time.Sleep(window)
	after, err := measure.ProcessorTime(pids...)
	s.Facts = measure.Facts{"share": 100 * float64(after-before) / float64(time.Since(begin))}
	return s, err
}
