package pool_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
)

// holdOne makes a worker busy until open is called; done is what became of the call.
func holdOne(t *testing.T, p *pool.Pool) (open func(), done <-chan error) {
	t.Helper()
	d := newDoor(t, filepath.Join(t.TempDir(), "door"))
	result := make(chan error, 1)
	go func() { _, err := hold.Call(context.Background(), p, d.path); result <- err }()
	return d.visitor(t), result
}

// F65: of a burst a hundred times as large as the pool, only calls that are
// still in time are sent.
func TestBurstOfDeadlines(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 2, MinReady: 2, Queue: 1000, Choose: pool.RoundRobin})
	var wg sync.WaitGroup
	var sent atomic.Int64
	deadline := time.Now().Add(100 * time.Millisecond)
	for range 200 {
		wg.Go(func() {
			ctx, cancel := context.WithDeadline(t.Context(), deadline)
			defer cancel()
			_, err := work.Call(ctx, p, deadline.UnixNano())
			switch {
			case err == nil:
				sent.Add(1)
			case !errors.Is(err, context.DeadlineExceeded):
				t.Error(err)
			case !errors.Is(err, child.ErrNotStarted):
				sent.Add(1)
			}
		})
	}
	wg.Wait()
	until(t, "no call runs on without its caller", func() bool { return p.Stats().Busy == 0 }) // or a worker would be passed over
	var begun, dead int64
	for range 2 { // one after the other
		n, err := counts.Call(t.Context(), p, true)
		if err != nil {
			t.Fatal(err)
		}
		begun, dead = begun+n[0], dead+n[1]
	}
	if dead > 0 || begun > sent.Load() || begun == 200 {
		t.Errorf("of 200 calls %d were begun by workers, %d of them after their deadline; callers know of %d", begun, dead, sent.Load())
	}
}

func TestQueueTimeout(t *testing.T) {
	const limit = 30 * time.Millisecond
	p, _, _ := serve(t, pool.Config{Size: 1, QueueTimeout: limit})
	open, held := holdOne(t, p)
	_, err := double.Call(t.Context(), p, 1)
	late, ok := errors.AsType[*pool.QueueTimeoutError](err)
	if !ok || late.Limit != limit || late.Waited < limit || late.Queued != 1 || late.Busy != 1 {
		t.Fatalf("%#v", err)
	}
	if !errors.Is(err, child.ErrNotStarted) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it matches the wrong errors: %v", err)
	}
	if s := p.Stats(); s.Queued != 0 || s.Busy != 1 {
		t.Errorf("%+v", s)
	}
	open()
	if err := <-held; err != nil { // the time in which a call runs is not limited by it
		t.Error(err)
	}
	if n, err := double.Call(t.Context(), p, 2); n != 4 || err != nil {
		t.Error(n, err)
	}
}

// A context that has ended already takes no worker's time, not even of a free one.
func TestDeadOnArrival(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1, MaxCalls: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancelLate := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancelLate()
	for _, ctx := range []context.Context{ctx, late} {
		if _, err := double.Call(ctx, p, 1); !errors.Is(err, ctx.Err()) || !errors.Is(err, child.ErrNotStarted) {
			t.Error(err)
		}
	}
	if s := p.Stats(); s.Replaced > 0 || s.Leaving > 0 || s.Up != 1 || len(s.Workers) != 1 {
		t.Errorf("%+v", s)
	}
}

// F66: the caller leaves at any moment: while the call is queued, while it is
// being written (the input is larger than a pipe), while the worker has it. No
// place is lost, and what the worker gets is always a whole frame.
func TestCancelAtAnyMoment(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1})
	before, err := pid.Call(t.Context(), p, true)
	if err != nil {
		t.Fatal(err)
	}
	input := make([]byte, 1<<18)
	var outcomes [3]int // answered; left before it was started; left later
	for round := range 300 {
		var wg sync.WaitGroup
		results := make([]error, 3) // one is sent, the others are queued
		ctx, cancel := context.WithCancel(t.Context())
		for i := range results {
			wg.Go(func() { _, results[i] = echo.Call(ctx, p, input) })
		}
		stop := time.AfterFunc(time.Duration(round%60)*100*time.Microsecond, cancel)
		wg.Wait()
		stop.Stop()
		cancel()
		for _, err := range results {
			switch {
			case err == nil:
				outcomes[0]++
			case !errors.Is(err, context.Canceled):
				t.Fatalf("round %d: %v", round, err)
			case errors.Is(err, child.ErrNotStarted):
				outcomes[1]++
			default:
				outcomes[2]++
			}
		}
	}
	until(t, "all places are free", func() bool { s := p.Stats(); return s.Busy == 0 && s.Queued == 0 })
	if after, err := pid.Call(t.Context(), p, true); after != before || err != nil {
		t.Errorf("worker %d was replaced by %d (%v)", before, after, err)
	}
	t.Logf("answered %d, left before the start %d, later %d", outcomes[0], outcomes[1], outcomes[2])
}

// Calls beyond Concurrency are sent ahead, as many as Ahead says, and no more.
func TestAhead(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1, Ahead: 1})
	open, held := holdOne(t, p)
	results := make(chan error, 2)
	for n := range 2 {
		go func() { _, err := double.Call(context.Background(), p, n); results <- err }()
	}
	until(t, "one is sent ahead and one is queued", func() bool {
		s := p.Stats()
		return s.Busy == 2 && s.Queued == 1 && s.Workers[0].InFlight == 2
	})
	open()
	for _, err := range []error{<-held, <-results, <-results} {
		if err != nil {
			t.Error(err)
		}
	}
}

// The same key is served by the same worker, and by the same also when others
// have died.
func TestByKey(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 3, MinReady: 3, Choose: pool.ByKey})
	keys := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}
	homes := func() map[string]int {
		pids := map[string]int{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 5 {
			for _, key := range keys {
				wg.Go(func() {
					n, err := pid.Call(child.WithKey(context.Background(), key), p, true)
					mu.Lock()
					defer mu.Unlock()
					if err != nil || pids[key] != 0 && pids[key] != n {
						t.Errorf("key %s was at %d, is at %d (%v)", key, pids[key], n, err)
					}
					pids[key] = n
				})
			}
		}
		wg.Wait()
		return pids
	}
	before := homes()
	victim := before["a"]
	_, err := crash.Call(child.WithKey(t.Context(), "a"), p, true)
	if c, ok := errors.AsType[*child.CrashError](err); !ok || c.PID != victim {
		t.Fatalf("the crash was not in worker %d: %v", victim, err)
	}
	until(t, "it is replaced", func() bool { return p.Stats().Up == 3 })
	for key, after := range homes() {
		if before[key] != victim && after != before[key] {
			t.Errorf("key %s moved from %d to %d, which did not die", key, before[key], after)
		}
	}
}
