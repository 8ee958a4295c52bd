//go:build linux

package child_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// shop is a state: something that is opened, used and closed.
type shop struct{ name string }

type shopConfig struct {
	Name  string
	Open  string // what open does: "", or "fail", "panic", "hang", "exit", "print"
	Close string // what close does
	Gate  gate
}

var errNoKeys = child.RegisterError("test.errNoKeys", errors.New("the keys are lost"))

var (
	theShop = child.DefineState("shop", openShop, closeShop)
	sell    = child.DefineOn(theShop, "shop.sell", func(s *shop, _ context.Context, what string) (string, error) {
		return s.name + " sells " + what, nil
	})
	otherShop = child.DefineState("other", func(context.Context, bool) (*int, error) { return new(int), nil }, nil)
	count     = child.DefineOn(otherShop, "other.count", func(n *int, _ context.Context, by int) (int, error) { *n += by; return *n, nil })
)

var shopConfigs = map[*shop]shopConfig{}

func openShop(ctx context.Context, c shopConfig) (*shop, error) {
	slog.Info("opening " + c.Name)
	s := &shop{c.Name}
	shopConfigs[s] = c
	return s, behave(c.Open, c.Gate)
}

func closeShop(s *shop) error {
	slog.Info("closing " + s.name)
	c := shopConfigs[s]
	return behave(c.Close, c.Gate)
}

func behave(how string, g gate) error {
	switch how {
	case "fail":
		return errors.Join(errors.New("cannot"), errNoKeys)
	case "panic":
		panic("the door is stuck")
	case "hang":
		g.wait()
	case "exit":
		os.Stderr.WriteString("no more shops\n")
		os.Exit(4)
	case "fatal":
		ways["C segfault"]()
	case "print":
		os.Stdout.WriteString("printed on stdout\n")
		os.Stderr.WriteString("printed on stderr\n")
	}
	return nil
}

// ignoreTerm makes the worker deaf to SIGTERM, also after a shutdown has come.
var ignoreTerm = child.Define("ignore.term", func(context.Context, bool) (bool, error) {
	go func() {
		for {
			signal.Ignore(syscall.SIGTERM)
			time.Sleep(time.Millisecond)
		}
	}()
	return true, nil
})

func TestGracefulStop(t *testing.T) { child.EachTransport(t, testGracefulStop) }

func testGracefulStop(t *testing.T) {
	watch(t)
	w, g := up(t, child.Config{Concurrency: 2, Setup: theShop.With(shopConfig{Name: "Ann's"})}), newGate(t)
	if v, err := sell.Call(t.Context(), w, "tea"); v != "Ann's sells tea" || err != nil {
		t.Error(v, err)
	}
	running := async(context.Background(), w, hold, holding{Gate: g, Say: "a"})
	w.log.wait(t, "holding a")
	ctx, cancel := context.WithCancel(t.Context())
	beside := async(ctx, w, hold, holding{Gate: g, Say: "b"})
	w.log.wait(t, "holding b")
	behind := async(context.Background(), w, double, 1)
	expect(t, "three calls", func() bool { return w.Stats().InFlight == 3 })
	w.halt()
	w.log.wait(t, "stopping worker")
	cancel()
	receive(t, "the call beside it", beside)
	w.log.wait(t, "giving up b") // so the worker knows that it stops, and has room
	g.open(t)
	if a := receive(t, "the running call", running); a.value != "a" || a.err != nil {
		t.Error(a)
	}
	err := receive(t, "the call behind it", behind).err
	if !errors.Is(err, child.ErrNotStarted) || !strings.HasSuffix(err.Error(), ": it was stopped") {
		t.Error(err)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
	// The last records are there when Serve has returned.
	if w.log.count("closing Ann's") != 1 {
		t.Errorf("not closed: %s", w.log)
	}
}

// Each step of the ladder ends what the one before did not, in bounded time.
func TestStopLadder(t *testing.T) { child.EachTransport(t, testStopLadder) }

func testStopLadder(t *testing.T) {
	watch(t)
	steps := child.Stop{Drain: 150 * time.Millisecond, Close: 150 * time.Millisecond, Term: 150 * time.Millisecond}
	if steps.Limit() != 450*time.Millisecond || (child.Stop{}).Limit() != 4*time.Second {
		t.Errorf("limits %v, %v", steps.Limit(), (child.Stop{}).Limit())
	}
	t.Run("ladder", func(t *testing.T) {
		for _, test := range []struct {
			name    string
			state   string // what close does
			prepare func(t *testing.T, w *worker, g gate) <-chan answer[string]
			atLeast time.Duration
			signal  syscall.Signal
		}{
			{"a function that obeys", "", func(t *testing.T, w *worker, g gate) <-chan answer[string] {
				return nil
			}, 0, 0},
			{"a function that never ends", "", func(t *testing.T, w *worker, g gate) <-chan answer[string] {
				return async(named("a"), w, hold, holding{Gate: g, Say: "a", Stubborn: true})
			}, steps.Drain, 0},
			{"a state that never closes", "hang", func(t *testing.T, w *worker, g gate) <-chan answer[string] {
				return nil
			}, steps.Drain, 0},
			{"ignores SIGTERM", "hang", func(t *testing.T, w *worker, g gate) <-chan answer[string] {
				_, err := ignoreTerm.Call(t.Context(), w, true)
				must(t, err)
				return nil
			}, steps.Drain, 0},
			{"stopped by SIGSTOP", "", func(t *testing.T, w *worker, g gate) <-chan answer[string] {
				freeze(t, w.pid())
				return nil
			}, steps.Drain + steps.Close, 0},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				g := newGate(t)
				w := up(t, child.Config{Name: "w", Stop: steps, Setup: theShop.With(shopConfig{Name: "s", Close: test.state, Gate: g})})
				pid := w.pid()
				call := test.prepare(t, w, g)
				if call != nil {
					w.log.wait(t, "holding a")
				}
				began := time.Now()
				err := w.stop()
				if took := time.Since(began); took < test.atLeast || took > steps.Limit()+soon {
					t.Errorf("it took %v", took)
				}
				if exists(pid) {
					t.Error("it lives")
				}
				g.open(t)
				if test.atLeast == 0 {
					if err != nil {
						t.Error(err)
					}
					return
				}
				crash := as[*child.CrashError](t, err)
				if crash.Exit.Cause != child.StopTimeout || !strings.Contains(err.Error(), "did not stop in time") {
					t.Errorf("%v, %+v", err, crash.Exit)
				}
				if crash.Observed.Code != 75 && test.atLeast == steps.Drain {
					t.Errorf("the end of its lifeline was not its own: %+v", crash.Exit)
				}
				if call != nil {
					c := as[*child.CrashError](t, receive(t, "the call", call).err)
					if c.Exit.Cause != child.StopTimeout || c.Calls[0].Key != "a" || crash.Calls[0].Key != "a" {
						t.Error(c)
					}
				}
			})
		}
	})
}

// The last two steps, with a worker that lives on without its channels.
func TestStopByForce(t *testing.T) {
	watch(t)
	for _, test := range []struct {
		role   string
		signal syscall.Signal
	}{
		{"fake: deaf to shutdown", syscall.SIGTERM},
		{"fake: deaf to everything", syscall.SIGKILL},
	} {
		cfg := fake(test.role)
		cfg.Stop = child.Stop{Drain: 50 * time.Millisecond, Close: 50 * time.Millisecond, Term: 500 * time.Millisecond}
		w := up(t, cfg)
		crash := as[*child.CrashError](t, w.stop())
		if crash.Exit.Cause != child.StopTimeout || crash.Observed.Signal != test.signal {
			t.Errorf("%s: %+v", test.role, crash.Exit)
		}
	}
}

func TestFailedClose(t *testing.T) {
	watch(t)
	for _, test := range []struct{ how, record string }{
		{"fail", "cannot\nthe keys are lost"},
		{"panic", "panic: the door is stuck"},
	} {
		w := up(t, child.Config{Setup: theShop.With(shopConfig{Name: "s", Close: test.how})})
		if err := w.stop(); err != nil {
			t.Error(err)
		}
		if r := w.log.wait(t, "closing the state failed"); r.attrs["error"] != test.record || r.level != slog.LevelError {
			t.Errorf("%+v", r)
		}
	}
	// An exit of its own, or a crash, while closing is no orderly end.
	x := up(t, child.Config{Setup: theShop.With(shopConfig{Name: "s", Close: "exit"})})
	if crash := as[*child.CrashError](t, x.stop()); crash.Exit.Cause != child.Exited || crash.Observed.Code != 4 {
		t.Error(crash)
	}
	w := up(t, child.Config{Setup: theShop.With(shopConfig{Name: "s", Close: "fatal"})})
	if crash := as[*child.CrashError](t, w.stop()); crash.Exit.Cause != child.Segfault {
		t.Error(crash)
	}
}

func TestKill(t *testing.T) {
	watch(t)
	w, g := up(t, child.Config{Name: "w", Stop: child.Stop{Drain: limit}}), newGate(t)
	call := async(named("a"), w, hold, holding{Gate: g, Say: "a", Stubborn: true})
	w.log.wait(t, "holding a")
	began := time.Now()
	w.halt() // asked first, as a supervisor does
	w.Kill()
	w.Kill()
	crash := as[*child.CrashError](t, w.end())
	if took := time.Since(began); took > soon {
		t.Errorf("it took %v", took)
	}
	if crash.Exit.Cause != child.KillCalled || !crash.Exit.Cause.Ordered() {
		t.Error(crash)
	}
	as[*child.CrashError](t, receive(t, "the call", call).err)
	w.Kill()
	g.open(t)
}

// A start is interrupted at once, and cleaned up.
func TestStopWhileStarting(t *testing.T) {
	watch(t)
	for _, how := range []string{"halt", "kill", "both"} {
		g := newGate(t)
		w, _ := begin(t, child.Config{StartTimeout: limit, Setup: theShop.With(shopConfig{Name: "s", Open: "hang", Gate: g})})
		w.log.wait(t, "opening s")
		pid := w.pid()
		began := time.Now()
		if how != "kill" {
			w.halt()
		}
		if how != "halt" {
			w.Kill()
		}
		start := as[*child.StartError](t, w.end())
		if took := time.Since(began); took > soon || start.Step != "open" || exists(pid) {
			t.Errorf("%s: took %v, %v", how, took, start)
		}
		if how == "halt" && !errors.Is(start, context.Canceled) {
			t.Error(start)
		}
		g.open(t)
	}
}

// F13: SIGTERM does nothing to a stopped process before it is continued. A
// worker that is stopped ends at that step and does not wait for SIGKILL.
func TestStopOfAStoppedWorker(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Stop: child.Stop{Drain: 50 * time.Millisecond, Close: 50 * time.Millisecond, Term: limit}})
	freeze(t, w.pid())
	began := time.Now()
	crash := as[*child.CrashError](t, w.stop())
	if took := time.Since(began); took > limit/2 || crash.Observed.Signal == syscall.SIGKILL {
		t.Errorf("it took %v: %v", took, crash)
	}
}
