package ring

import "time"

// A spinner decides whether a wait begins with looking again and again, which is
// good for a ten-millionth of a second where both sides have a core of their own,
// and keeps the other side from the core where they share one. It cannot know
// which it is, so it learns: each time that the budget has run out in vain it
// leaves twice as many waits alone, from leastBreak to mostBreak; each time that
// it was worth it, half as many when it fails next.
//
// One goroutine uses it. It knows no clock.
type spinner struct {
	budget time.Duration // 0: never

	left int // waits that are still left alone
	rest int // as many are, after the next failure
}

const (
	leastBreak = 16
	mostBreak  = 4096
)

// tries reports whether the next wait begins with spinning.
func (s *spinner) tries() bool {
	if s.budget == 0 {
		return false
	}
	if s.left > 0 {
		s.left--
		return false
	}
	return true
}

// learns what came of it.
func (s *spinner) learns(worth bool) {
	s.rest = max(s.rest, leastBreak)
	if worth {
		s.rest /= 2
		return
	}
	s.left, s.rest = s.rest, min(2*s.rest, mostBreak)
}

// spin looks until ready says yes, for as long as the budget.
func (s *spinner) spin(ready func() bool) bool {
	if !s.tries() {
		return false
	}
	worth := until(ready, s.budget)
	s.learns(worth)
	return worth
}

// until looks, and at its watch every few dozen looks only: that costs more.
func until(ready func() bool, limit time.Duration) bool {
	const looks = 64
	begin := time.Now()
	for {
		for range looks {
			if ready() {
				return true
			}
		}
		if time.Since(begin) >= limit {
			return false
		}
	}
}
