//go:build linux

package child_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// told is a Caller that hears how its calls are settled.
type told struct {
	child.Caller
	ends chan error
}

func hearing(c child.Caller) told { return told{c, make(chan error, 100)} }

func (l told) Do(ctx context.Context, req *child.Request) error {
	req.Settled = func(end error) { l.ends <- end }
	return l.Caller.Do(ctx, req)
}

// once is what it hears next, if that is all.
func (l told) once(t *testing.T) error {
	t.Helper()
	end := receive(t, "the end of the call", l.ends)
	if len(l.ends) > 0 {
		t.Errorf("it is told twice: %v", <-l.ends)
	}
	return end
}

// Who stands in front of a worker is told how each call has ended there, also
// when its caller has left.
func TestSettledTellsTheEnd(t *testing.T) { child.EachTransport(t, testSettledTellsTheEnd) }

func testSettledTellsTheEnd(t *testing.T) {
	watch(t)
	t.Run("answered", func(t *testing.T) {
		w := hearing(up(t, child.Config{}))
		wantDouble(t, w)
		if end := w.once(t); end != nil {
			t.Error(end)
		}
	})
	t.Run("refused", func(t *testing.T) {
		w := hearing(up(t, child.Config{}))
		_, err := deny.Call(context.Background(), w, "plain")
		if end := w.once(t); as[*child.RemoteError](t, err) != end {
			t.Error(end)
		}
	})
	t.Run("died", func(t *testing.T) {
		w := hearing(up(t, child.Config{}))
		_, err := perish.Call(context.Background(), w, "exit 3")
		if end := w.once(t); as[*child.CrashError](t, err) != end {
			t.Error(end)
		}
	})
	t.Run("died after its caller had left", func(t *testing.T) {
		p, g := up(t, child.Config{Grace: 5 * time.Millisecond}), newGate(t)
		w := hearing(p)
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		_, err := hold.Call(ctx, w, holding{Gate: g, Say: "a", Stubborn: true})
		as[*child.InterruptedError](t, err)
		if end := as[*child.CrashError](t, w.once(t)); end.Cause != child.Deadline || end.Innocent {
			t.Error(end)
		}
	})
	t.Run("answered after its caller had left", func(t *testing.T) {
		p, g := up(t, child.Config{}), newGate(t)
		w := hearing(p)
		ctx, cancel := context.WithCancel(context.Background())
		call := async(ctx, w, hold, holding{Gate: g, Say: "a", Stubborn: true})
		p.log.wait(t, "holding a")
		cancel()
		as[*child.InterruptedError](t, receive(t, "the call", call).err)
		if len(w.ends) > 0 {
			t.Errorf("it is settled while it runs: %v", <-w.ends)
		}
		g.open(t)
		if end := w.once(t); end != nil {
			t.Error(end)
		}
	})
	t.Run("never begun", func(t *testing.T) {
		p, g := up(t, child.Config{Ahead: 1}), newGate(t)
		w := hearing(p)
		async(context.Background(), p, hold, holding{Gate: g, Say: "a", Stubborn: true})
		p.log.wait(t, "holding a")
		behind := async(context.Background(), w, double, 1)
		expect(t, "a call behind", func() bool { return p.Stats().InFlight == 2 })
		p.Kill()
		err := receive(t, "the call behind", behind).err
		if end := w.once(t); as[*child.NotStartedError](t, err) != end {
			t.Error(end)
		}
	})
	t.Run("never sent", func(t *testing.T) {
		w := hearing(child.New(child.Config{}))
		_, err := double.Call(context.Background(), w, 1)
		if end := w.once(t); as[*child.UnavailableError](t, err) != end {
			t.Error(end)
		}
	})
}

// What a call has held, its input for one, can be forgotten when it is settled, also
// if its caller has left long before its time is up.
func TestSettledCallIsForgotten(t *testing.T) { child.EachTransport(t, testSettledCallIsForgotten) }

func testSettledCallIsForgotten(t *testing.T) {
	watch(t)
	p := up(t, child.Config{CallTimeout: time.Hour})
	settled, gone := make(chan error, 2), make(chan bool)
	leaveHolding(t, p, settled, gone)
	if end := receive(t, "the end of the call", settled); end != nil {
		t.Error(end)
	}
	expect(t, "the call to be forgotten", func() bool {
		runtime.GC()
		select {
		case <-gone:
			return true
		default:
			return false
		}
	})
}

// leaveHolding makes a call that holds something, leaves it while it runs, and lets it end.
func leaveHolding(t *testing.T, p *worker, settled chan error, gone chan bool) {
	held := new([1 << 16]byte)
	runtime.AddCleanup(held, func(gone chan bool) { close(gone) }, gone)
	ctx, cancel := context.WithCancel(context.Background())
	g := newGate(t)
	call := async(ctx, holder{p, settled, held}, hold, holding{Gate: g, Say: "a", Stubborn: true})
	p.log.wait(t, "holding a")
	cancel()
	as[*child.InterruptedError](t, receive(t, "the call", call).err)
	g.open(t)
}

// holder is a Caller whose calls hold something until they are settled.
type holder struct {
	child.Caller
	settled chan error
	held    *[1 << 16]byte
}

func (h holder) Do(ctx context.Context, req *child.Request) error {
	req.Settled = func(end error) { h.held[0]++; h.settled <- end }
	return h.Caller.Do(ctx, req)
}

var waitAndPerish = child.Define("wait.and.perish", func(_ context.Context, p later) (int, error) { p.Gate.wait(); ways[p.Way](); return 7, nil })

// F63: of several calls that run in a worker, one brings it down. Where it is
// known which, the others are innocent, also if they are of the same function.
func TestInnocent(t *testing.T) {
	watch(t)
	t.Run("panic", func(t *testing.T) {
		w, g := up(t, child.Config{Concurrency: 2}), newGate(t)
		beside := async(context.Background(), w, waitAndPerish, later{Gate: newGate(t), Way: "panic"})
		guilty := async(context.Background(), w, waitAndPerish, later{Gate: g, Way: "panic"})
		expect(t, "two calls run", func() bool { return w.Stats().InFlight == 2 })
		g.open(t)
		if crash := as[*child.CrashError](t, receive(t, "the guilty", guilty).err); crash.Innocent || crash.Cause != child.Panicked {
			t.Error(crash)
		}
		if crash := as[*child.CrashError](t, receive(t, "the call beside", beside).err); !crash.Innocent {
			t.Error(crash)
		}
	})
	t.Run("deadline", func(t *testing.T) {
		w, g := up(t, child.Config{Concurrency: 2, Grace: 5 * time.Millisecond}), newGate(t)
		beside := async(context.Background(), w, hold, holding{Gate: g, Say: "b", Stubborn: true})
		w.log.wait(t, "holding b")
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		late := hearing(w)
		_, err := hold.Call(ctx, late, holding{Gate: g, Say: "a", Stubborn: true})
		as[*child.InterruptedError](t, err)
		if crash := as[*child.CrashError](t, late.once(t)); crash.Innocent || crash.Cause != child.Deadline {
			t.Error(crash)
		}
		if crash := as[*child.CrashError](t, receive(t, "the call beside", beside).err); !crash.Innocent {
			t.Error(crash)
		}
	})
	t.Run("nobody knows", func(t *testing.T) {
		w, g := up(t, child.Config{Concurrency: 2}), newGate(t)
		beside := async(context.Background(), w, hold, holding{Gate: g, Say: "b", Stubborn: true})
		w.log.wait(t, "holding b")
		_, err := perish.Call(context.Background(), w, "exit 3")
		for _, err := range []error{err, receive(t, "the call beside", beside).err} {
			if crash := as[*child.CrashError](t, err); crash.Innocent {
				t.Error(crash)
			}
		}
	})
}

// A promise of the caller reaches whoever stands in front of a worker.
func TestIdempotent(t *testing.T) {
	var seen []bool
	c := callerFunc(func(_ context.Context, req *child.Request) error {
		seen = append(seen, req.Idempotent())
		return errors.New("that is all")
	})
	marked := double.Idempotent()
	_, _ = double.Call(t.Context(), c, 1)
	_, _ = marked.Call(t.Context(), c, 1)
	_, _ = double.Idempotent().Call(t.Context(), c, 1)
	_, _ = double.Call(t.Context(), c, 1)
	if want := []bool{false, true, true, false}; len(seen) != 4 || [4]bool(seen) != [4]bool(want) {
		t.Errorf("%v, not %v", seen, want)
	}
	if marked.Name() != double.Name() {
		t.Error(marked.Name())
	}
}

type callerFunc func(context.Context, *child.Request) error

func (f callerFunc) Do(ctx context.Context, req *child.Request) error { return f(ctx, req) }
