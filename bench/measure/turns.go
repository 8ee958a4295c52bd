//go:build linux

package measure

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Pace is how long something is repeated in a turn.
type Pace struct {
	Time  time.Duration `json:"time"`
	Least int           `json:"least"` // times, however long they take
}

// Timed repeats an operation for a turn, and times each. The processor time is
// that of this process and the others.
func Timed(long Pace, pids []int, operation func() error) (s Sample, err error) {
	if err := operation(); err != nil { // the first after a pause is not like the others
		return s, err
	}
	used, err := ProcessorTime(pids...)
	if err != nil {
		return s, err
	}
	s.Took = make([]time.Duration, 0, 1<<14)
	begin := time.Now()
	for now := begin; now.Sub(begin) < long.Time || len(s.Took) < long.Least; {
		if err := operation(); err != nil {
			return s, err
		}
		next := time.Now()
		s.Took = append(s.Took, next.Sub(now))
		now = next
	}
	s.Done, s.Wall = len(s.Took), time.Since(begin)
	now, err := ProcessorTime(pids...)
	s.CPU = now - used
	return s, err
}

// Repeat takes the times of n operations that time themselves.
func Repeat(n int, operation func() (time.Duration, error)) (s Sample, err error) {
	for range n {
		took, err := operation()
		if err != nil {
			return s, err
		}
		s.Took = append(s.Took, took)
	}
	return s, nil
}

// Together lets n goroutines repeat an operation for so long. Each makes its own
// before it begins, and a function that ends it. None is timed by itself, because
// the clock would be a part of what is measured.
func Together(n int, d time.Duration, pids []int, operation func() (do func() error, end func())) (s Sample, err error) {
	used, err := ProcessorTime(pids...)
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
			do, end := operation()
			defer end()
			for own := 0; ; own++ {
				if own > 0 && over.Load() || errs[i] != nil {
					done.Add(int64(own))
					return
				}
				errs[i] = do()
			}
		})
	}
	time.Sleep(d)
	over.Store(true)
	all.Wait()
	s.Done, s.Wall = int(done.Load()), time.Since(begin)
	now, err := ProcessorTime(pids...)
	s.CPU = now - used
	return s, errors.Join(append(errs, err)...)
}
