package ring

import (
	"testing"
	"time"
)

// The more often it was in vain, the less often it is tried.
func TestSpinner(t *testing.T) {
	for _, test := range []struct {
		name   string
		worth  func(i int) bool
		tries  [2]int // of the first 100,000 waits
		budget time.Duration
	}{
		{"off", func(int) bool { return true }, [2]int{0, 0}, 0},
		{"always", func(int) bool { return true }, [2]int{100_000, 100_000}, 1},
		{"never", func(int) bool { return false }, [2]int{20, 40}, 1},
		{"once in two", func(i int) bool { return i%2 == 0 }, [2]int{5_000, 15_000}, 1},
		{"nine of ten", func(i int) bool { return i%10 != 0 }, [2]int{30_000, 60_000}, 1},
		{"not at first", func(i int) bool { return i > 8 }, [2]int{80_000, 99_000}, 1},
	} {
		s, tries := spinner{budget: test.budget}, 0
		for range 100_000 {
			if s.tries() {
				s.learns(test.worth(tries))
				tries++
			}
		}
		if tries < test.tries[0] || tries > test.tries[1] {
			t.Errorf("%s: %d tries", test.name, tries)
		}
	}
}

func TestUntil(t *testing.T) {
	n := 0
	if !until(func() bool { n++; return n == 1000 }, time.Hour) || until(func() bool { return false }, time.Microsecond) {
		t.Error("it ends when it is ready, or late")
	}
}
