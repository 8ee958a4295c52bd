//go:build linux

package child_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/child"
)

// Under a plain suture.Supervisor a worker comes back, and calls that came
// meanwhile are answered by the next run.
func TestRestartedBySuture(t *testing.T) {
	watch(t)
	sup := suture.New("sup", suture.Spec{EventHook: func(suture.Event) {}})
	p := child.New(child.Config{Name: "w"})
	sup.Add(p)
	ctx, stop := context.WithCancel(context.Background())
	done := sup.ServeBackground(ctx)
	expect(t, "the first run", func() bool { return p.Stats().Up })

	first, err := pid.Call(ctx, p, true)
	must(t, err)
	for run := range 3 {
		_, err = perish.Call(ctx, p, "exit 3")
		crash := as[*child.CrashError](t, err)
		if crash.Run != uint64(run+1) {
			t.Errorf("run %d", crash.Run)
		}
		wantDouble(t, p)
	}
	second, err := pid.Call(ctx, p, true)
	if err != nil || second == first || p.Stats().Run != 4 {
		t.Errorf("pid %d, then %d, run %d, %v", first, second, p.Stats().Run, err)
	}
	stop()
	receive(t, "the end of suture", done)
	_, err = double.Call(context.Background(), p, 1)
	if u := as[*child.UnavailableError](t, err); u.Waited > 0 {
		t.Error("it waited")
	}
}

// run serves a Process the way a supervisor does that tells when it gives up.
func run(t testing.TB, p *child.Process) (ready <-chan struct{}, done <-chan error, stop context.CancelFunc) {
	ctx, stop := context.WithCancel(context.Background())
	r, d := make(chan struct{}), make(chan error, 1)
	go func() { d <- p.ServeReady(ctx, func() { close(r) }) }()
	t.Cleanup(stop)
	return r, d, stop
}

func TestCallsWaitForTheNextRun(t *testing.T) {
	watch(t)
	p := child.New(child.Config{Name: "w"})
	ready, done, _ := run(t, p)
	receive(t, "ready", ready)
	must(t, syscall.Kill(p.Stats().PID, syscall.SIGKILL))
	receive(t, "the first end", done)

	var calls []<-chan answer[int]
	for i := range 20 {
		calls = append(calls, async(context.Background(), p, double, i))
	}
	_, _, stop := run(t, p)
	for i, ch := range calls {
		if a := receive(t, "a waiting call", ch); a.value != 2*i || a.err != nil {
			t.Error(a)
		}
	}
	stop()
}

func TestUnavailable(t *testing.T) {
	watch(t)
	down := func(t *testing.T, cfg child.Config) *child.Process {
		cfg.Name = "w"
		p := child.New(cfg)
		ready, done, _ := run(t, p)
		receive(t, "ready", ready)
		must(t, syscall.Kill(p.Stats().PID, syscall.SIGKILL))
		receive(t, "the end", done)
		return p
	}
	call := func(t *testing.T, ctx context.Context, p *child.Process) (*child.UnavailableError, time.Duration) {
		t.Helper()
		began := time.Now()
		_, err := double.Call(ctx, p, 1)
		if !errors.Is(err, child.ErrNotStarted) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v", err)
		}
		return as[*child.UnavailableError](t, err), time.Since(began)
	}

	t.Run("never served", func(t *testing.T) {
		u, took := call(t, t.Context(), child.New(child.Config{Name: "w"}))
		if took > time.Second || !u.Since.IsZero() || u.LastExit != nil || u.Waited != 0 || !strings.Contains(u.Error(), "put it under a supervisor or call Serve") {
			t.Errorf("%v %+v", took, u)
		}
	})
	t.Run("waited in vain", func(t *testing.T) {
		before := time.Now()
		p := down(t, child.Config{Wait: 50 * time.Millisecond})
		u, took := call(t, t.Context(), p)
		crash := as[*child.CrashError](t, u.LastExit)
		if took < 50*time.Millisecond || u.Waited < 50*time.Millisecond || u.Waited > took || u.Since.Before(before) || u.Worker != "w" {
			t.Errorf("took %v: %+v", took, u)
		}
		want := fmt.Sprintf("worker w is not available: no worker came up in time (waited %v); last: worker w (pid %d, run 1) was killed from outside by SIGKILL (the kernel's log tells if that was the OOM killer)",
			u.Waited.Round(time.Millisecond), crash.PID)
		if u.Error() != want {
			t.Errorf("%q\nwant %q", u, want)
		}
	})
	t.Run("no wait", func(t *testing.T) {
		u, took := call(t, t.Context(), down(t, child.Config{Wait: child.NoWait}))
		if took > time.Second || u.Waited > 0 {
			t.Errorf("%v %+v", took, u)
		}
	})
	t.Run("own deadline first", func(t *testing.T) {
		p := down(t, child.Config{Wait: limit})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := double.Call(ctx, p, 1)
		i := as[*child.InterruptedError](t, err)
		if i.Started || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, child.ErrNotStarted) {
			t.Error(err)
		}
	})
	t.Run("retired while waiting", func(t *testing.T) {
		p := down(t, child.Config{Wait: limit})
		waiting := async(t.Context(), p, double, 1)
		cause := errors.New("too many restarts")
		p.Retire(cause)
		p.Retire(nil)
		err := receive(t, "the waiting call", waiting).err
		if u := as[*child.UnavailableError](t, err); !strings.Contains(u.Error(), "nobody serves it any more") || u.LastExit == nil {
			t.Error(err)
		}
		if u, took := call(t, t.Context(), p); took > time.Second || u.LastExit == nil {
			t.Errorf("%v %+v", took, u)
		}
	})
	t.Run("served anew after it was retired", func(t *testing.T) {
		p := down(t, child.Config{})
		p.Retire(errors.New("for now"))
		ready, done, stop := run(t, p)
		receive(t, "ready", ready)
		wantDouble(t, p)
		stop()
		if err := receive(t, "the end", done); err != nil {
			t.Error(err)
		}
	})
	t.Run("retired while up, then dead", func(t *testing.T) {
		p := child.New(child.Config{Wait: limit})
		ready, done, _ := run(t, p)
		receive(t, "ready", ready)
		p.Retire(errors.New("this was the last run"))
		wantDouble(t, p)
		must(t, syscall.Kill(p.Stats().PID, syscall.SIGKILL))
		receive(t, "the end", done)
		if u, took := call(t, t.Context(), p); took > time.Second || !strings.Contains(u.Error(), "this was the last run") {
			t.Errorf("%v %v", took, u)
		}
	})
	t.Run("while it stops for good", func(t *testing.T) {
		p, g := child.New(child.Config{Wait: limit}), newGate(t)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- p.Serve(ctx) }()
		expect(t, "up", func() bool { return p.Stats().Up })
		running := async(context.Background(), p, hold, holding{Gate: g, Say: "a"})
		expect(t, "a call", func() bool { return p.Stats().InFlight == 1 })
		stop()
		expect(t, "down", func() bool { return !p.Stats().Up })
		if _, took := call(t, t.Context(), p); took > time.Second {
			t.Errorf("a call waited %v for a worker that stops for good", took)
		}
		g.open(t)
		receive(t, "the running call", running)
		receive(t, "the end", done)
	})
	t.Run("as a log value", func(t *testing.T) {
		u, _ := call(t, t.Context(), down(t, child.Config{Wait: child.NoWait}))
		attrs := map[string]any{}
		flattenError(attrs, u)
		if attrs["err.worker"] != "w" || attrs["err.since"] == nil || attrs["err.last_exit.cause"] != "killed from outside" {
			t.Error(attrs)
		}
	})
}

func TestServeTwice(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Wait: 200 * time.Millisecond})
	if err := w.Serve(t.Context()); err != child.ErrAlreadyServed {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Serve(ended); err != child.ErrAlreadyServed {
		t.Error(err)
	}
	must(t, syscall.Kill(w.pid(), syscall.SIGKILL))
	as[*child.CrashError](t, w.end())

	// The Serve that was refused has not retired what another one served.
	if _, err := double.Call(t.Context(), w, 1); !strings.Contains(as[*child.UnavailableError](t, err).Reason, "came up in time") {
		t.Error(err)
	}
	waiting := async(t.Context(), w, double, 4)
	_, done, stop := run(t, w.Process)
	if a := receive(t, "a call", waiting); a.value != 8 || a.err != nil {
		t.Error(a)
	}
	stop()
	if err := receive(t, "the end", done); err != nil {
		t.Error(err)
	}
}

// Whatever is done to a Process at once, everything ends, nothing is left.
func TestEverythingAtOnce(t *testing.T) { child.EachTransport(t, testEverythingAtOnce) }

func testEverythingAtOnce(t *testing.T) {
	watch(t)
	for range 12 {
		p := child.New(child.Config{Wait: 20 * time.Millisecond, Grace: time.Millisecond})
		ctx, stop := context.WithCancel(context.Background())
		served := make(chan struct{})
		go func() {
			defer close(served)
			for range 3 {
				_ = p.Serve(ctx)
			}
		}()
		var all []<-chan struct{}
		for i := range 100 {
			done := make(chan struct{})
			all = append(all, done)
			go func() {
				defer close(done)
				switch i % 10 {
				case 0:
					_ = p.Serve(ctx)
				case 1:
					p.Kill()
				case 2:
					p.Retire(errors.New("retired"))
				case 3:
					_ = p.Stats()
				default:
					c, cancel := context.WithTimeout(ctx, time.Duration(i)*time.Millisecond)
					defer cancel()
					if v, err := double.Call(c, p, i); err == nil && v != 2*i {
						t.Errorf("a wrong answer: %d for %d", v, i)
					}
				}
			}()
		}
		for i, done := range all[:50] {
			if i%10 != 0 { // one of these may be the one that serves
				receive(t, "one of the first half", done)
			}
		}
		stop()
		for _, done := range all {
			receive(t, "everybody", done)
		}
		receive(t, "the end of Serve", served)
		if s := p.Stats(); s.Up || s.PID != 0 || s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// serveAgain serves a worker whenever it has ended, until it is told to stop.
func serveAgain(t *testing.T, p *child.Process) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_ = p.Serve(ctx)
		}
	}()
	return func() {
		cancel()
		receive(t, "the end of Serve", done)
	}
}

// A worker that dies while nothing runs is nobody's error: calls that meet it go
// to the next one.
func TestDeathsOfIdleWorkersAreNotSeen(t *testing.T) {
	watch(t)
	p := child.New(child.Config{Wait: limit})
	stop := serveAgain(t, p)
	expect(t, "a worker", func() bool { return p.Stats().Up })
	var met int
	for i := range 1000 {
		run := p.Stats().Run
		if pid := p.Stats().PID; i%25 == 24 && pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if v, err := double.Call(t.Context(), p, i); v != 2*i || err != nil {
			t.Fatalf("call %d: %d, %v", i, v, err)
		}
		if p.Stats().Run > run {
			met++
		}
	}
	if met < 30 {
		t.Errorf("only %d calls met a death", met)
	}
	stop()
}

// The replacement dies, too, and the next one: each call is told of its own death,
// and the call after them is answered.
func TestDeathsInARow(t *testing.T) {
	watch(t)
	p := child.New(child.Config{Wait: limit})
	stop := serveAgain(t, p)
	expect(t, "a worker", func() bool { return p.Stats().Up })
	for run := range uint64(3) {
		_, err := perish.Call(t.Context(), p, "SIGKILL")
		if crash := as[*child.CrashError](t, err); crash.Run != run+1 || crash.Cause != child.Killed {
			t.Error(err)
		}
	}
	wantDouble(t, p)
	if s := p.Stats(); s.Run != 4 {
		t.Errorf("%+v", s)
	}
	stop()
}
