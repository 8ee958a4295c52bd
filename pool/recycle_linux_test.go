package pool_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
)

// processes counts the worker processes while f runs, and returns the most there were.
func processes(f func()) (most int) {
	var counting sync.WaitGroup
	done := make(chan struct{})
	counting.Go(func() {
		for {
			most = max(most, len(children()))
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	f()
	close(done)
	counting.Wait()
	return most
}

// Workers are recycled every few calls. No call fails by it, and none waits:
// there are as many callers as workers and no queue. On a slow machine it takes
// more calls until enough workers have been replaced.
func TestNoCallNoticesRecycling(t *testing.T) {
	const size, calls = 2, 10_000
	p, _, _ := serve(t, pool.Config{Size: size, MinReady: size, MaxCalls: 5, Queue: pool.NoQueue})
	most := processes(func() {
		var wg sync.WaitGroup
		for range size {
			wg.Go(func() {
				for n := 0; n < calls/size || n < 20*calls && p.Stats().Replaced < 10; n++ {
					if got, err := double.Call(context.Background(), p, n); err != nil || got != 2*n {
						t.Errorf("call %d: %d, %v", n, got, err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
	s := p.Stats()
	if s.Replaced < 10 {
		t.Errorf("only %d workers were replaced", s.Replaced)
	}
	if most > size+1 {
		t.Errorf("there were %d processes, not at most %d", most, size+1)
	}
	t.Logf("%d workers replaced, %d processes at most", s.Replaced, most)
}

// F46: a leak of 1 MiB per call is held by recycling.
func TestLeakIsBounded(t *testing.T) {
	const mib, limit = 1 << 20, 100 << 20
	p, _, _ := serve(t, pool.Config{Size: 1, Spares: 1, MaxMemory: limit})
	highest := int64(0)
	for n := range 400 {
		until(t, "a spare is ready", func() bool { return p.Stats().Spares == 1 })
		rss, err := leak.Call(t.Context(), p, true)
		if err != nil {
			t.Fatalf("call %d: %v", n, err)
		}
		highest = max(highest, rss)
	}
	s := p.Stats()
	if highest > limit+8*mib || s.Replaced < 2 {
		t.Errorf("a worker had %d MiB, %d were replaced", highest/mib, s.Replaced)
	}
	t.Logf("highest RSS %d MiB with a limit of %d, %d workers replaced", highest/mib, limit/mib, s.Replaced)
}

// Tenants must not meet: each call has a process of its own.
func TestEachCallItsOwnProcess(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 2, Spares: 2, MaxCalls: 1})
	var mu sync.Mutex
	seen := map[int]int{}
	most := processes(func() {
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				for range 10 {
					n, err := pid.Call(context.Background(), p, true)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					seen[n]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	})
	if len(seen) != 60 {
		t.Errorf("60 calls ran in %d processes", len(seen))
	}
	if most > 2+2+1 {
		t.Errorf("there were %d processes", most)
	}
}

// A worker grows old also when it has nothing to do.
func TestMaxAge(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1, MaxAge: 50 * time.Millisecond})
	before, err := pid.Call(t.Context(), p, true)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "it is replaced", func() bool { return p.Stats().Replaced >= 2 })
	if after, err := pid.Call(t.Context(), p, true); after == before || err != nil {
		t.Errorf("worker %d, then %d (%v)", before, after, err)
	}
}

// A crash costs a hand-over instead of a start: the next call does not wait for
// a state that takes for ever to open.
func TestCrashCostsAHandOver(t *testing.T) {
	dir := t.TempDir()
	d := newDoor(t, filepath.Join(dir, "door"))
	p, _, _ := serve(t, pool.Config{
		Size: 1, Spares: 1, Worker: child.Config{Setup: fewOpen.With(few{dir, 2}), StartTimeout: time.Minute},
	})
	until(t, "the spare is ready", func() bool { return p.Stats().Spares == 1 })
	_, err := crash.Call(t.Context(), p, true)
	if _, ok := errors.AsType[*child.CrashError](err); !ok {
		t.Fatal(err)
	}
	open := d.visitor(t) // the third process hangs in its open
	if n, err := double.Call(t.Context(), p, 4); n != 8 || err != nil {
		t.Error(n, err)
	}
	if s := p.Stats(); s.Up != 1 || s.Spares != 0 {
		t.Errorf("%+v", s)
	}
	open()
	until(t, "there is a spare again", func() bool { return p.Stats().Spares == 1 })
}
