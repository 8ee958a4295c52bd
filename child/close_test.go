//go:build linux

package child_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/child"
)

// Close lets what runs finish, fails what has not begun, and is for good.
func TestClose(t *testing.T) { child.EachTransport(t, testClose) }

func testClose(t *testing.T) {
	watch(t)
	w, g := up(t, child.Config{Name: "w", Stop: child.Stop{Drain: limit}, Setup: theShop.With(shopConfig{Name: "s"})}), newGate(t)
	running := async(context.Background(), w, hold, holding{Gate: g, Say: "a"})
	w.log.wait(t, "holding a")
	behind := async(context.Background(), w, double, 1)
	expect(t, "two calls", func() bool { return w.Stats().InFlight == 2 })
	closing := make(chan error, 3)
	for range cap(closing) {
		go func() { closing <- w.Close() }()
	}
	w.log.wait(t, "stopping worker")
	if _, err := double.Call(t.Context(), w, 1); !errors.Is(err, child.ErrClosed) || !errors.Is(err, child.ErrNotStarted) {
		t.Error(err)
	}
	g.open(t)
	if a := receive(t, "the running call", running); a.value != "a" || a.err != nil {
		t.Error(a)
	}
	if a := receive(t, "the call behind it", behind); a.value != 2 && (!errors.Is(a.err, child.ErrClosed) || !errors.Is(a.err, child.ErrNotStarted)) {
		t.Error(a.err) // the worker may have begun with it before it learned that it is to stop
	}
	for range cap(closing) {
		if err := receive(t, "the end of Close", closing); err != nil {
			t.Error(err)
		}
	}
	if err := w.end(); err != child.ErrClosed || !errors.Is(err, suture.ErrDoNotRestart) {
		t.Error(err)
	}
	if w.log.count("closing s") != 1 {
		t.Errorf("the state was not closed: %s", w.log)
	}
	w.Retire(errors.New("something else"))
	for range 2 {
		if err := w.Serve(t.Context()); err != child.ErrClosed {
			t.Error(err)
		}
		_, err := double.Call(t.Context(), w, 1)
		if u := as[*child.UnavailableError](t, err); !errors.Is(err, child.ErrClosed) || !strings.Contains(u.Error(), "has been closed") {
			t.Error(err)
		}
		must(t, w.Close())
	}
	if s := w.Stats(); s.PID != 0 || s.Run != 1 || s.Up {
		t.Errorf("%+v", s)
	}
}

// A worker that does not end is ended, in bounded time, and Close tells.
func TestCloseByForce(t *testing.T) { child.EachTransport(t, testCloseByForce) }

func testCloseByForce(t *testing.T) {
	watch(t)
	w, g := up(t, child.Config{Stop: child.Stop{Drain: 50 * time.Millisecond, Close: 50 * time.Millisecond, Term: 50 * time.Millisecond}}), newGate(t)
	call := async(named("a"), w, hold, holding{Gate: g, Say: "a", Stubborn: true})
	w.log.wait(t, "holding a")
	freeze(t, w.pid())
	began := time.Now()
	crash := as[*child.CrashError](t, w.Close())
	if took := time.Since(began); took > soon {
		t.Errorf("it took %v", took)
	}
	if crash.Cause != child.StopTimeout {
		t.Error(crash)
	}
	err := receive(t, "the call", call).err
	if as[*child.CrashError](t, err); !errors.Is(err, child.ErrClosed) || !errors.Is(err, child.StopTimeout) {
		t.Error(err)
	}
	if err := w.end(); !errors.Is(err, suture.ErrDoNotRestart) || !errors.Is(err, child.StopTimeout) {
		t.Error(err)
	}
	attrs := map[string]any{}
	if flattenError(attrs, err); attrs["err.worker"] != "worker" {
		t.Error(attrs)
	}
	g.open(t)
}

// A crash that only happens to come while it is closed is a crash.
func TestCrashDuringClose(t *testing.T) {
	watch(t)
	w, g := up(t, child.Config{Name: "w", Stop: child.Stop{Drain: limit}}), newGate(t)
	_, err := perishLater.Call(t.Context(), w, later{g, "exit 3"})
	must(t, err)
	call := async(named("a"), w, hold, holding{Gate: newGate(t), Say: "a", Stubborn: true})
	w.log.wait(t, "holding a")
	done := closing(w.Process)
	w.log.wait(t, "stopping worker")
	g.open(t)
	receive(t, "the end of Close", done)
	err = receive(t, "the call", call).err
	if crash := as[*child.CrashError](t, err); crash.Cause != child.Exited || errors.Is(err, child.ErrClosed) {
		t.Error(err)
	}
	if err := w.end(); !errors.Is(err, child.Exited) || !errors.Is(err, suture.ErrDoNotRestart) {
		t.Error(err)
	}
}

// Wherever it is called from, Close returns, and everything ends.
func TestCloseFromAnywhere(t *testing.T) {
	watch(t)
	steps := child.Stop{Drain: 100 * time.Millisecond, Close: 100 * time.Millisecond, Term: 100 * time.Millisecond}
	for _, test := range []struct {
		name string
		from func(t *testing.T) (closed <-chan struct{})
	}{
		{"never served", func(t *testing.T) <-chan struct{} {
			return closing(child.New(child.Config{}))
		}},
		{"a wrong configuration", func(t *testing.T) <-chan struct{} {
			return closing(child.New(child.Config{Concurrency: -1}))
		}},
		{"while it starts", func(t *testing.T) <-chan struct{} {
			g := newGate(t)
			w, _ := begin(t, child.Config{StartTimeout: limit, Setup: theShop.With(shopConfig{Name: "s", Open: "hang", Gate: g})})
			w.log.wait(t, "opening s")
			waiting := async(t.Context(), w, double, 1)
			done := closing(w.Process)
			if err := w.end(); !errors.Is(err, child.ErrClosed) || as[*child.StartError](t, err).Step != "open" {
				t.Error(err)
			}
			if err := receive(t, "the waiting call", waiting).err; !errors.Is(err, child.ErrClosed) {
				t.Error(err)
			}
			g.open(t)
			return done
		}},
		{"between two runs", func(t *testing.T) <-chan struct{} {
			w := up(t, child.Config{})
			w.Kill()
			_ = w.end()
			waiting := async(t.Context(), w, double, 1)
			done := closing(w.Process)
			if err := receive(t, "the waiting call", waiting).err; !errors.Is(err, child.ErrClosed) {
				t.Error(err)
			}
			return done
		}},
		{"a call that is settled", func(t *testing.T) <-chan struct{} {
			w, done := up(t, child.Config{Stop: steps}), make(chan struct{})
			_, err := double.Call(t.Context(), settledBy{w, func() { defer close(done); _ = w.Close() }}, 1)
			must(t, err)
			return done
		}},
		{"a log handler", func(t *testing.T) <-chan struct{} {
			h := &calls{then: make(chan func(), 1)}
			w := up(t, child.Config{Logger: slog.New(h), Stop: steps})
			done := make(chan struct{})
			h.then <- func() { defer close(done); _ = w.Close() }
			if _, err := chatter.Call(t.Context(), w, true); err != nil && !errors.Is(err, child.ErrClosed) {
				t.Error(err)
			}
			return done
		}},
		{"its own readiness", func(t *testing.T) <-chan struct{} {
			p, done := child.New(child.Config{Stop: steps}), make(chan struct{})
			served := make(chan error, 1)
			go func() {
				served <- p.ServeReady(context.Background(), func() { defer close(done); _ = p.Close() })
			}()
			if err := receive(t, "the end of Serve", served); !errors.Is(err, child.ErrClosed) {
				t.Error(err)
			}
			return done
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			began := time.Now()
			receive(t, "the end of Close", test.from(t))
			if took := time.Since(began); took > 3*soon {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func closing(p *child.Process) <-chan struct{} {
	done := make(chan struct{})
	go func() { defer close(done); _ = p.Close() }()
	return done
}

// settledBy does something when a call is settled.
type settledBy struct {
	child.Caller
	then func()
}

func (s settledBy) Do(ctx context.Context, req *child.Request) error {
	req.Settled = func(error) { s.then() }
	return s.Caller.Do(ctx, req)
}

// calls is a log handler that does something once.
type calls struct{ then chan func() }

func (c *calls) Enabled(context.Context, slog.Level) bool { return true }
func (c *calls) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c *calls) WithGroup(string) slog.Handler            { return c }
func (c *calls) Handle(context.Context, slog.Record) error {
	select {
	case f := <-c.then:
		f()
	default:
	}
	return nil
}

// A hundred that close, kill, retire and call at once: every call ends once,
// with an answer or with an error that says why.
func TestCloseByEverybody(t *testing.T) { child.EachTransport(t, testCloseByEverybody) }

func testCloseByEverybody(t *testing.T) {
	watch(t)
	for round := range 50 {
		p := child.New(child.Config{Wait: limit, Concurrency: 2, Logger: slog.New(slog.DiscardHandler)})
		served := make(chan error, 1)
		go func() {
			err := error(nil)
			for err == nil || !errors.Is(err, child.ErrClosed) {
				err = p.ServeReady(context.Background(), func() {})
			}
			served <- err
		}()
		if round%2 == 0 { // else while it starts
			expect(t, "up", func() bool { return p.Stats().Up })
		}
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				switch i % 25 {
				case 13, 14, 15:
					if err := p.Close(); err != nil && !errors.Is(err, child.KillCalled) {
						t.Error(err)
					}
				case 3:
					p.Kill()
				case 9:
					p.Retire(errors.New("retired"))
				case 10:
					_ = p.Stats()
				case 11:
					if err := p.Serve(t.Context()); !errors.Is(err, child.ErrAlreadyServed) && !errors.Is(err, child.ErrClosed) && !errors.Is(err, child.KillCalled) {
						t.Error(err)
					}
				default:
					v, err := double.Call(t.Context(), p, i)
					switch {
					case err == nil && v == 2*i, errors.Is(err, child.ErrNotStarted), errors.Is(err, child.KillCalled):
					default:
						t.Errorf("%d, %v", v, err)
					}
				}
			})
		}
		all.Wait()
		must(t, p.Close())
		if err := receive(t, "the end of Serve", served); !errors.Is(err, child.ErrClosed) {
			t.Error(err)
		}
		if s := p.Stats(); s.Up || s.PID != 0 || s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// Ten thousand calls on their way: each gets its answer, or is told that it was
// closed, once.
func TestCloseWithManyCalls(t *testing.T) { child.EachTransport(t, testCloseWithManyCalls) }

func testCloseWithManyCalls(t *testing.T) {
	watch(t)
	const many = 10_000
	w := up(t, child.Config{Concurrency: 4, Ahead: 4096, Wait: limit, Stop: child.Stop{Drain: limit}})
	var answered, closed, settled atomic.Int64
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			v, err := double.Call(context.Background(), settledBy{w, func() { settled.Add(1) }}, i)
			switch {
			case err == nil && v == 2*i:
				answered.Add(1)
			case errors.Is(err, child.ErrClosed) && errors.Is(err, child.ErrNotStarted):
				closed.Add(1)
			default:
				t.Errorf("%d, %v", v, err)
			}
		})
	}
	expect(t, "some answers", func() bool { return w.Stats().Served > 100 })
	must(t, w.Close())
	all.Wait()
	if answered.Load()+closed.Load() != many || settled.Load() != many || answered.Load() == 0 || closed.Load() == 0 {
		t.Errorf("%d answered, %d closed, %d settled", answered.Load(), closed.Load(), settled.Load())
	}
}
