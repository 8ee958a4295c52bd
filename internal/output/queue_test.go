package output

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLimiter(t *testing.T) {
	l := newLimiter(10, 3)
	now := time.Unix(1000, 0)
	steps := []struct {
		after time.Duration
		want  string // y or n for each question at that time
	}{
		{0, "yyyn"},
		{50 * time.Millisecond, "n"},
		{50 * time.Millisecond, "yn"},
		{250 * time.Millisecond, "yyn"},
		{50 * time.Millisecond, "yn"},
		{time.Hour, "yyyn"},
	}
	for i, step := range steps {
		now = now.Add(step.after)
		for _, want := range step.want {
			if got := l.allow(now); got != (want == 'y') {
				t.Errorf("step %d %q: allowed %v", i, step.want, got)
			}
		}
	}
	free := newLimiter(-1, 1)
	for range 1000 {
		if !free.allow(now) {
			t.Fatal("limited")
		}
	}
}

// The times are those of the fake clock, since the test began.
func TestReportsOfLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var lines int
		type loss struct {
			at time.Duration
			n  uint64
		}
		var losses []loss
		o := Options{
			Line:    func([]byte, bool) { lines++ },
			Dropped: func(n uint64) { losses = append(losses, loss{time.Since(begin), n}) },
		}
		q := newQueue(newLimiter(1, 2))
		done := make(chan struct{})
		go func() { defer close(done); q.deliver(o) }()
		put := func(n int) {
			for range n {
				q.put([]byte("x"), false)
			}
			synctest.Wait()
		}
		put(5) // 2 of the burst pass
		time.Sleep(500 * time.Millisecond)
		put(4)
		time.Sleep(10 * time.Second)
		put(1) // passes, and the bucket has one left
		put(10)
		time.Sleep(100 * time.Millisecond)
		q.close()
		<-done
		want := []loss{{time.Second, 7}, {10600 * time.Millisecond, 9}}
		if lines != 4 || len(losses) != 2 || losses[0] != want[0] || losses[1] != want[1] {
			t.Errorf("%d lines, losses %v, want 4 and %v", lines, losses, want)
		}
	})
}

// A queue whose reader stands still stays small, and loses only the newest.
func TestQueueIsBounded(t *testing.T) {
	q := newQueue(newLimiter(-1, 1))
	long := []byte(strings.Repeat("x", 1000))
	for range 10_000 {
		q.put(long, false)
	}
	lines, dropped, closed := q.take()
	if n := len(lines); n*(1000+lineCost) > maxQueued || (n+1)*(1000+lineCost) <= maxQueued {
		t.Errorf("%d lines wait", n)
	}
	if !dropped || closed || q.dropped+uint64(len(lines)) != 10_000 {
		t.Errorf("%d lines and %d dropped", len(lines), q.dropped)
	}
	q.put(long, true)
	if lines, _, _ = q.take(); len(lines) != 1 || !lines[0].truncated {
		t.Errorf("%d lines after it was emptied", len(lines))
	}
}

// The trace of a crash with many goroutines reaches the log whole.
func TestBurstFits(t *testing.T) {
	q := newQueue(newLimiter(defaultRate, defaultBurst*defaultRate))
	for range 1000 {
		q.put([]byte(strings.Repeat("x", 150)), false)
	}
	if q.dropped != 0 {
		t.Errorf("%d lines dropped", q.dropped)
	}
}

func BenchmarkDroppedLine(b *testing.B) {
	q := newQueue(newLimiter(1, 1))
	s := newSplitter(defaultMaxLine, q.put)
	in := []byte(strings.Repeat("x\n", 32<<10))
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		s.write(in)
	}
}
