//go:build linux

package main

import (
	"errors"
	"time"
)

const (
	wantedMemoryOfOne = 2 << 20
	wantedMemoryOfTen = 1 << 20
	wantedIdleCPU     = 0.2
)

// idleWorkers is row E. The baseline "bare" is this program waiting for input,
// without the library.
func idleWorkers(e effort) ([]line, error) {
	memory := func(n int) []side {
		return []side{
			{"child", func() (sample, error) { return memoryOfWorkers(n) }},
			{"bare", func() (sample, error) { return memoryOfBare(n) }},
		}
	}
	one, err := e.contest(memory(1)...)
	if err != nil {
		return nil, err
	}
	ten, err := e.contest(memory(10)...)
	if err != nil {
		return nil, err
	}
	used, err := idleTime(e)
	if err != nil {
		return nil, err
	}
	return []line{
		compare("memory of one (PSS)", bytes, one[0].of(fact("memory")), baseline{"bare", one[1].of(fact("memory"))}, atMost(wantedMemoryOfOne)),
		compare("memory of each of ten (PSS)", bytes, ten[0].of(fact("memory")), baseline{"bare", ten[1].of(fact("memory"))}, atMost(wantedMemoryOfTen)),
		alone("CPU of a hundred and their parent", percent, used.of(fact("share")), atMost(wantedIdleCPU)),
	}, nil
}

func memoryOfWorkers(n int) (s sample, err error) {
	l, err := onePool(n, 0)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	return memoryOf(l.pids())
}

func memoryOfBare(n int) (s sample, err error) {
	all, err := startPartners(n, "idle")
	if err != nil {
		return s, err
	}
	defer all.end()
	return memoryOf(all.pids())
}

// memoryOf is the mean of some processes that have come to rest.
func memoryOf(pids []int) (s sample, err error) {
	time.Sleep(10 * settling)
	sum := 0.0
	for _, pid := range pids {
		size, err := pss(pid)
		if err != nil {
			return s, err
		}
		sum += size
	}
	s.facts = facts{"memory": sum / float64(len(pids))}
	return s, nil
}

// idleTime is which share of a core idle workers and their parent use, in
// percent. A turn is a period of the default heartbeat.
func idleTime(e effort) (share score, err error) {
	l, err := onePool(e.idlers, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	pids := l.pids()
	time.Sleep(e.window / 10)
	scores, err := e.contest(side{"pool", func() (sample, error) { return shareOfACore(e.window, pids) }})
	if err != nil {
		return nil, err
	}
	return scores[0], nil
}

func shareOfACore(window time.Duration, pids []int) (s sample, err error) {
	before, err := processorTime(pids...)
	if err != nil {
		return s, err
	}
	begin := time.Now()
	time.Sleep(window)
	after, err := processorTime(pids...)
	s.facts = facts{"share": 100 * float64(after-before) / float64(time.Since(begin))}
	return s, err
}
