package pool_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
	"github.com/verdigris-go/verdigris/strategy"
)

var (
	// gamble dies half of the time.
	gamble = child.Define("gamble", func(_ context.Context, r record) (bool, error) {
		r.add()
		if rand.IntN(2) == 0 {
			os.Exit(7)
		}
		return true, nil
	})

	// shaky dies the first so many times.
	shaky = child.Define("shaky", func(_ context.Context, s shakes) (int, error) {
		if s.Record.add(); s.Record.count() <= s.Deaths {
			os.Exit(7)
		}
		return s.Record.count(), nil
	})
)

type shakes struct {
	Record record
	Deaths int
}

// soon is a backoff that a test can wait for.
var soon = strategy.Backoff{Initial: time.Millisecond, Max: time.Millisecond}

// F63: a worker that dies takes one call of 200 with it.
func TestOneCrashLosesOneCall(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 4, MinReady: 4, Queue: 200, Worker: silent})
	var wg sync.WaitGroup
	var lost atomic.Int64
	for n := range 200 {
		wg.Go(func() {
			m := meal{N: n}
			if n == 57 {
				m.Poison = "exit"
			}
			switch got, err := eat.Call(t.Context(), p, m); {
			case err != nil:
				lost.Add(1)
				if _, ok := errors.AsType[*child.CrashError](err); !ok || n != 57 {
					t.Errorf("call %d: %v", n, err)
				}
			case got != 2*n:
				t.Errorf("call %d: %d", n, got)
			}
		})
	}
	wg.Wait()
	if lost.Load() != 1 {
		t.Errorf("%d calls are lost", lost.Load())
	}
}

// F64: of functions that die half of the time, callers who try again and again make
// no more attempts than the budget says. Workers count.
func TestRetriesAreWithinTheBudget(t *testing.T) {
	const calls, budget, reserve = 100, 0.2, 10
	p, _, _ := serve(t, pool.Config{Size: 4, Queue: calls, Worker: silent, Retry: pool.Retry{Attempts: 50, Budget: budget, Backoff: soon}})
	r := newRecord(t)
	var wg sync.WaitGroup
	var failed atomic.Int64
	for range calls {
		wg.Go(func() {
			if _, err := gamble.Idempotent().Call(t.Context(), p, r); err != nil {
				failed.Add(1)
				if errors.Is(err, child.ErrNotStarted) || !errors.Is(err, child.Exited) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	attempts := r.count()
	if attempts > (1+budget)*calls+reserve || attempts < calls+reserve {
		t.Errorf("%d calls were begun %d times", calls, attempts)
	}
	if s := p.Stats(); s.Retried != uint64(attempts-calls) || s.RetriesDenied == 0 || s.Calls != calls {
		t.Errorf("%d attempts, but %+v", attempts, s.Counters)
	}
	t.Logf("%d calls were begun %d times, %d failed", calls, attempts, failed.Load())
}

// A call is tried again if that is harmless and allowed, else it is not.
func TestRetry(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 2, Worker: silent, Retry: pool.Retry{Attempts: 3, Backoff: soon}})
	again := shaky.Idempotent()
	t.Run("until it succeeds", func(t *testing.T) {
		s := shakes{newRecord(t), 2}
		if n, err := again.Call(t.Context(), p, s); n != 3 || err != nil {
			t.Error(n, err)
		}
	})
	t.Run("until the attempts are used up", func(t *testing.T) {
		s := shakes{newRecord(t), 100}
		_, err := again.Call(t.Context(), p, s)
		e, ok := errors.AsType[*pool.RetryError](err)
		if !ok || e.Attempts != 3 || len(e.Errors) != 3 || e.GaveUp != pool.OutOfAttempts || e.Func != "shaky" || s.Record.count() != 3 {
			t.Fatalf("%#v after %d runs", err, s.Record.count())
		}
		if crash, ok := errors.AsType[*child.CrashError](err); !ok || crash != e.Errors[2] || errors.Is(err, child.ErrNotStarted) {
			t.Error(err)
		}
	})
	t.Run("not without a promise", func(t *testing.T) {
		s := shakes{newRecord(t), 100}
		_, err := shaky.Call(t.Context(), p, s)
		if _, plain := err.(*child.CrashError); !plain || s.Record.count() != 1 {
			t.Errorf("%v after %d runs", err, s.Record.count())
		}
	})
	t.Run("not after an answer", func(t *testing.T) {
		_, err := deny.Idempotent().Call(t.Context(), p, newRecord(t))
		if _, plain := err.(*child.RemoteError); !plain {
			t.Error(err)
		}
	})
	t.Run("a call that found no worker", func(t *testing.T) {
		p := pool.New(pool.Config{Retry: pool.Retry{Attempts: 3, Backoff: soon}})
		_, err := double.Call(t.Context(), p, 1) // nobody serves it
		e, ok := errors.AsType[*pool.RetryError](err)
		if !ok || e.Attempts != 3 || !errors.Is(err, child.ErrNotStarted) {
			t.Error(err)
		}
	})
}

// burst yields so many numbers, and dies then.
var burst = child.DefineStream("burst", func(_ context.Context, b bursts) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		b.Record.add()
		for n := range b.N {
			if !yield(n, nil) {
				return
			}
		}
		if b.Record.count() <= b.Deaths {
			os.Exit(7)
		}
	}
})

type bursts struct {
	Record    record
	N, Deaths int
}

// F64: a stream is tried again as a call is, unless its caller has seen a part of it.
// F63: its input is recognised.
func TestRetriesOfStreams(t *testing.T) {
	p, _, _ := serve(t, pool.Config{
		Size: 1, Worker: silent, Retry: pool.Retry{Attempts: 3, Backoff: soon}, Quarantine: pool.Quarantine{Deaths: 3},
	})
	for _, test := range []struct{ n, deaths, want int }{{0, 2, 3}, {0, 0, 1}, {3, 0, 1}, {3, 1, 1}} {
		b := bursts{newRecord(t), test.n, test.deaths}
		got, last := 0, error(nil)
		for _, err := range burst.Idempotent().Call(t.Context(), p, b) {
			if last = err; err == nil {
				got++
			}
		}
		_, crashed := last.(*child.CrashError)
		if runs := b.Record.count(); runs != test.want || got != test.n || crashed != (test.n > 0 && test.deaths > 0) {
			t.Errorf("%+v: %d runs, %d items, %v", test, runs, got, last)
		}
	}
	b := bursts{newRecord(t), 1, 100}
	var last error
	for range 4 {
		for _, err := range burst.Call(t.Context(), p, b) {
			last = err
		}
	}
	refusal(t, last)
	if b.Record.count() != 3 {
		t.Errorf("%d deaths", b.Record.count())
	}
}

var deny = child.Define("deny", func(_ context.Context, r record) (bool, error) {
	r.add()
	return false, fmt.Errorf("run %d", r.count())
})

// The wait before an attempt ends with its context, and is not begun if that will end
// before.
func TestRetryWaits(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1, Worker: silent, Retry: pool.Retry{Attempts: 3, Backoff: strategy.Backoff{Initial: 1e6 * time.Hour, Max: 1e6 * time.Hour}}})
	s := shakes{newRecord(t), 1}
	_, err := shaky.Idempotent().Call(withTimeout(t, time.Minute), p, s)
	if _, plain := err.(*child.CrashError); !plain {
		t.Errorf("%T: %v", err, err)
	}
	s.Deaths = 100
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, 1)
	go func() { _, err := shaky.Idempotent().Call(ctx, p, s); results <- err }()
	until(t, "its worker has died, and is replaced", func() bool { w := p.Stats(); return w.Workers[0].Run == 3 && w.Busy == 0 && w.Up == 1 })
	cancel()
	err = result(t, results)
	e, _ := errors.AsType[*pool.RetryError](err)
	if e == nil || e.Attempts != 1 || e.GaveUp != pool.OutOfTime || !errors.Is(err, context.Canceled) || !errors.Is(err, child.Exited) || errors.Is(err, child.ErrNotStarted) {
		t.Error(err)
	}
	if n := s.Record.count(); n != 2 {
		t.Errorf("%d runs", n)
	}
}

// F63, F64: retries are no way around the quarantine.
func TestRetriesOfPoison(t *testing.T) {
	p, _, _ := serve(t, pool.Config{
		Size: 2, Worker: silent, Retry: pool.Retry{Attempts: 10, Budget: 10, Backoff: soon}, Quarantine: pool.Quarantine{Deaths: 3},
	})
	poison := meal{Record: newRecord(t), Poison: "exit"}
	_, err := eat.Idempotent().Call(t.Context(), p, poison)
	e, _ := errors.AsType[*pool.RetryError](err)
	if e == nil || e.Attempts != 4 || e.GaveUp != pool.Final || !errors.Is(err, pool.ErrQuarantined) || !errors.Is(err, child.Exited) || errors.Is(err, child.ErrNotStarted) {
		t.Errorf("%v", err)
	}
	_, err = eat.Idempotent().Call(t.Context(), p, poison)
	if _, plain := err.(*pool.QuarantinedError); !plain {
		t.Errorf("%T: %v", err, err)
	}
	if n := poison.Record.count(); n != 3 {
		t.Errorf("%d deaths", n)
	}
}

// listener is a Caller that hears how its calls are settled.
type listener struct {
	child.Caller
	ends chan error
}

func (l listener) Do(ctx context.Context, req *child.Request) error {
	req.Settled = func(end error) { l.ends <- end }
	return l.Caller.Do(ctx, req)
}

// Who stands in front of a pool hears once how a call has ended, however often it was
// tried.
func TestSettledByAPool(t *testing.T) {
	p, _, _ := serve(t, pool.Config{
		Size: 1, Worker: child.Config{Grace: 5 * time.Millisecond, Logger: silent.Logger},
		Retry: pool.Retry{Attempts: 3, Backoff: soon}, Quarantine: pool.Quarantine{Deaths: 2},
	})
	l := listener{p, make(chan error, 10)}
	hear := func() error {
		t.Helper()
		select {
		case end := <-l.ends:
			if len(l.ends) > 0 {
				t.Errorf("it hears more: %v", <-l.ends)
			}
			return end
		case <-time.After(10 * time.Second):
			t.Fatal("it hears nothing")
			return nil
		}
	}
	if _, err := shaky.Idempotent().Call(t.Context(), l, shakes{newRecord(t), 1}); err != nil {
		t.Error(err)
	}
	if end := hear(); end != nil {
		t.Error("answered by the second worker:", end)
	}
	_, _ = shaky.Idempotent().Call(t.Context(), l, shakes{newRecord(t), 100})
	if end, ok := hear().(*child.CrashError); !ok {
		t.Error("dead, dead and refused:", end)
	}
	until(t, "the worker is replaced", func() bool { return p.Stats().Up == 1 })
	_, err := chew.Call(withTimeout(t, 200*time.Millisecond), l, []byte("bad"))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if end, _ := hear().(*child.CrashError); end == nil || end.Cause != child.Deadline {
		t.Error("dead after its caller has left:", end)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = double.Call(ended, l, 1)
	if end := hear(); !errors.Is(err, context.Canceled) || end != err {
		t.Error("never begun:", end)
	}
}

// A caller that leaves in the pause before an attempt has not made it.
func TestAttemptsThatAreNotMade(t *testing.T) {
	p := pool.New(pool.Config{Retry: pool.Retry{Attempts: 2, Backoff: strategy.Backoff{Initial: 1000 * time.Hour, Max: 1000 * time.Hour}}})
	ctx, leave := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, leave)
	_, err := double.Call(ctx, p, 1) // nobody serves it
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if s := p.Stats(); s.Retried != 0 || s.Interrupted != 1 || s.Calls != 1 {
		t.Errorf("%+v", s.Counters)
	}
}
