package strategy

import "time"

// window remembers the restarts that still count: a queue of times, oldest first.
type window struct {
	limit  int
	period time.Duration
	times  []time.Time
	head   int
}

// add counts a restart and reports whether the budget allows it.
func (w *window) add(now time.Time) bool {
	w.expire(now)
	w.times = append(w.times, now)
	return len(w.times)-w.head <= w.limit
}

// expire drops what is older than the period; a restart exactly one period ago still counts.
func (w *window) expire(now time.Time) {
	for w.head < len(w.times) && now.Sub(w.times[w.head]) > w.period {
		w.head++
	}
	if w.head > len(w.times)/2 {
		w.times = w.times[:copy(w.times, w.times[w.head:])]
		w.head = 0
	}
}

// used returns how many count at this time, without changing anything.
func (w *window) used(now time.Time) int {
	n := 0
	for i := len(w.times) - 1; i >= w.head && now.Sub(w.times[i]) <= w.period; i-- {
		n++
	}
	return n
}
