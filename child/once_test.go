//go:build linux

package child_test

import (
	"context"
	"errors"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

func TestOnce(t *testing.T) {
	watch(t)
	if v, err := child.Once(t.Context(), child.Config{}, double, 21); v != 42 || err != nil {
		t.Error(v, err)
	}
	cfg := child.Config{Setup: theShop.With(shopConfig{Name: "Ann's"})}
	if v, err := child.Once(t.Context(), cfg, sell, "tea"); v != "Ann's sells tea" || err != nil {
		t.Error(v, err)
	}
	_, err := child.Once(t.Context(), child.Config{}, perish, "panic")
	as[*child.CrashError](t, err)
	_, err = child.Once(t.Context(), child.Config{}, deny, "registered")
	if !errors.Is(err, errTeapot) {
		t.Error(err)
	}
	_, err = child.Once(t.Context(), child.Config{}, sell, "tea")
	as[*child.StateError](t, err)
}

// When the context ends, so does Once: the worker is of no use to anybody else.
func TestOnceEndsWithItsContext(t *testing.T) {
	watch(t)
	for _, test := range []struct {
		name string
		cfg  child.Config
		want error
	}{
		{"in the function", child.Config{}, context.DeadlineExceeded},
		{"in the start", child.Config{Setup: theShop.With(shopConfig{Open: "hang", Gate: newGate(t)})}, context.DeadlineExceeded},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		began := time.Now()
		_, err := child.Once(ctx, test.cfg, hold, holding{Gate: newGate(t), Stubborn: true})
		cancel()
		if took := time.Since(began); took > 300*time.Millisecond+time.Second {
			t.Errorf("%s: it took %v", test.name, took)
		}
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
		if n := len(children(t)); n != 0 {
			t.Errorf("%s: %d processes are left", test.name, n)
		}
	}
}

// Concurrency is how many functions run at once, and not one more.
func TestConcurrency(t *testing.T) {
	watch(t)
	for _, n := range []int{1, 3} {
		w, g := up(t, child.Config{Concurrency: n, Wait: child.NoWait}), newGate(t)
		var calls []<-chan answer[string]
		for range n + 2 {
			calls = append(calls, async(context.Background(), w, hold, holding{Gate: g}))
		}
		w.log.waitN(t, "holding", n)
		expect(t, "all on their way", func() bool { return w.Stats().InFlight == n+2 })
		must(t, syscall.Kill(w.pid(), syscall.SIGKILL))
		crashed := 0
		for _, ch := range calls {
			err := receive(t, "a call", ch).err
			if _, ok := errors.AsType[*child.CrashError](err); ok {
				crashed++
			} else if !errors.Is(err, child.ErrNotStarted) {
				t.Error(err)
			}
		}
		if crashed != n {
			t.Errorf("%d calls had been started, want %d", crashed, n)
		}
		g.open(t)
	}
}

// What does not fit into the window waits in the parent, and is not lost with
// the worker: the next run answers it.
func TestBeyondTheWindow(t *testing.T) {
	watch(t)
	log, g := newRecorder(), newGate(t)
	p := child.New(child.Config{Ahead: -1, Logger: slog.New(log)})
	ready, done, _ := run(t, p)
	receive(t, "ready", ready)
	running := async(context.Background(), p, hold, holding{Gate: g})
	log.wait(t, "holding") // it has begun, so it is not sent again
	var waiting []<-chan answer[int]
	for i := range 5 {
		waiting = append(waiting, async(context.Background(), p, double, i))
	}
	ctx, cancel := context.WithCancel(context.Background())
	given := async(ctx, p, double, 1)
	cancel()
	if err := receive(t, "a call given up in the parent", given).err; !errors.Is(err, child.ErrNotStarted) {
		t.Error(err)
	}
	if n := p.Stats().InFlight; n != 1 {
		t.Errorf("%d are on their way", n)
	}
	must(t, syscall.Kill(p.Stats().PID, syscall.SIGKILL))
	receive(t, "the first end", done)
	if err := receive(t, "the running call", running).err; err == nil {
		t.Error("no error")
	}
	_, done, stop := run(t, p)
	for i, ch := range waiting {
		if a := receive(t, "a waiting call", ch); a.value != 2*i || a.err != nil {
			t.Error(a)
		}
	}
	stop()
	if err := receive(t, "the second end", done); err != nil {
		t.Error(err)
	}
	g.open(t)
}

// GOTRACEBACK=crash makes the runtime end with SIGABRT; the cause stays the cause.
func TestTracebackCrash(t *testing.T) {
	watch(t)
	for way, cause := range map[string]child.Cause{"unsafe fault": child.Segfault, "panic elsewhere": child.Panicked, "map writes": child.Fatal} {
		_, err := child.Once(t.Context(), child.Config{Env: []string{"GOTRACEBACK=crash"}, Dir: t.TempDir()}, perish, way)
		if e := as[*child.CrashError](t, err); e.Cause != cause || e.Observed.Signal != syscall.SIGABRT {
			t.Errorf("%s: %+v", way, e)
		}
	}
}
