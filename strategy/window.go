package strategy

import "time"

// window remembers the restarts that still count: a queue of times since the first one, oldest first. A number
// takes a third of a time.Time, and the garbage collector need not look at it.
type window struct {
	limit  int
	period time.Duration
	first  time.Time
	times  []time.Duration
	head   int
}

// add counts a restart and reports whether the budget allows it.
func (w *window) add(now time.Time) bool {
	if w.first.IsZero() {
		w.first = now
	}
	at := now.Sub(w.first)
	w.expire(at)
	w.times = append(w.times, at)
	return len(w.times)-w.head <= w.limit
}

// expire drops what is older than the period; a restart exactly one period ago still counts.
func (w *window) expire(at time.Duration) {
	for w.head < len(w.times) && at-w.times[w.head] > w.period {
		w.head++
	}
	if w.head > len(w.times)/2 {
		w.times = w.times[:copy(w.times, w.times[w.head:])]
		w.head = 0
	}
}

// used returns how many count at this time, without changing anything.
func (w *window) used(now time.Time) int {
	n, at := 0, now.Sub(w.first)
	for i := len(w.times) - 1; i >= w.head && at-w.times[i] <= w.period; i-- {
		n++
	}
	return n
}
