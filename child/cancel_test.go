//go:build linux

package child_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// at once, on a machine that may be busy
const soon = 2 * time.Second

func TestCancelDoesNotKill(t *testing.T) { child.EachTransport(t, testCancelDoesNotKill) }

func testCancelDoesNotKill(t *testing.T) {
	watch(t)
	w, g := up(t, child.Config{Grace: 5 * time.Millisecond}), newGate(t)
	pid := w.pid()
	ctx, cancel := context.WithCancel(context.Background())
	settled := make(chan struct{})
	stubborn := async(ctx, settling{w, settled}, hold, holding{Gate: g, Say: "a", Stubborn: true})
	w.log.wait(t, "holding a")
	cancel()
	err := receive(t, "the cancelled call", stubborn).err
	i := as[*child.InterruptedError](t, err)
	if !i.Started || !errors.Is(err, context.Canceled) || errors.Is(err, child.ErrNotStarted) {
		t.Error(err)
	}

	// The slot stays busy: the next call is answered when the first has ended.
	next := async(context.Background(), w, double, 4)
	expect(t, "the next call on its way", func() bool { return w.Stats().InFlight == 2 })
	select {
	case <-settled:
		t.Error("the call is settled though the function runs on")
	case err := <-w.done:
		t.Fatalf("the worker is gone: %v", err)
	case <-time.After(100 * time.Millisecond): // twenty times the grace, in which a wrong kill would happen
	}
	g.open(t)
	receive(t, "settled", settled)
	if a := receive(t, "the next call", next); a.value != 8 || a.err != nil {
		t.Error(a)
	}
	if s := w.Stats(); s.PID != pid || s.Run != 1 || s.Stale != 1 || s.Served != 2 {
		t.Errorf("%+v", s)
	}
}

// A deadline holds for the function also after its caller has gone: a worker
// that hangs is not lost for good because a client has hung up. A call that
// waits behind it is told that it had not been begun.
func TestDeadlineOutlivesItsCaller(t *testing.T) {
	child.EachTransport(t, testDeadlineOutlivesItsCaller)
}

func testDeadlineOutlivesItsCaller(t *testing.T) {
	watch(t)
	w, g := up(t, child.Config{Grace: 5 * time.Millisecond, CallTimeout: 300 * time.Millisecond}), newGate(t)
	ctx, cancel := context.WithCancel(context.Background())
	stubborn := async(ctx, w, hold, holding{Gate: g, Say: "a", Stubborn: true})
	w.log.wait(t, "holding a")
	cancel()
	as[*child.InterruptedError](t, receive(t, "the cancelled call", stubborn).err)
	short, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer stop()
	behind := receive(t, "the call behind", async(short, w, double, 4)).err
	if !strings.Contains(behind.Error(), "had not begun with it") || errors.Is(behind, child.ErrNotStarted) {
		t.Error(behind)
	}
	if crash := as[*child.CrashError](t, w.end()); crash.Exit.Cause != child.Deadline {
		t.Error(crash)
	}
}

// settling is a Caller that is told when the worker is rid of the call.
type settling struct {
	child.Caller
	settled chan struct{}
}

func (s settling) Do(ctx context.Context, req *child.Request) error {
	req.Settled = func(error) { close(s.settled) }
	return s.Caller.Do(ctx, req)
}

func TestCancelEndsTheHandlersContext(t *testing.T) {
	child.EachTransport(t, testCancelEndsTheHandlersContext)
}

func testCancelEndsTheHandlersContext(t *testing.T) {
	watch(t)
	w, g := up(t, child.Config{}), newGate(t)
	ctx, cancel := context.WithCancel(context.Background())
	call := async(ctx, w, hold, holding{Gate: g, Say: "a"})
	w.log.wait(t, "holding a")
	cancel()
	receive(t, "the call", call)
	if r := w.log.wait(t, "giving up a"); r.attrs["cause"] != context.Canceled.Error() {
		t.Error(r)
	}
	wantDouble(t, w)
	g.open(t)
}

// A call that is cancelled before its turn never runs.
func TestCancelBeforeItsTurn(t *testing.T) { child.EachTransport(t, testCancelBeforeItsTurn) }

func testCancelBeforeItsTurn(t *testing.T) {
	watch(t)
	w, g := up(t, child.Config{}), newGate(t)
	ctx, cancelFirst := context.WithCancel(context.Background())
	first := async(ctx, w, hold, holding{Gate: g, Say: "first"})
	w.log.wait(t, "holding first")
	ctx, cancel := context.WithCancel(context.Background())
	second := async(ctx, w, hold, holding{Gate: g, Say: "second"})
	expect(t, "both on their way", func() bool { return w.Stats().InFlight == 2 })
	cancel()
	receive(t, "the cancelled call", second)
	cancelFirst() // a later cancel, so the worker learns of it after the other
	receive(t, "the first call", first)
	w.log.wait(t, "giving up first")
	expect(t, "nothing on its way", func() bool { return w.Stats().InFlight == 0 })
	if err := w.stop(); err != nil {
		t.Error(err)
	}
	if w.log.count("holding second") != 0 {
		t.Errorf("a cancelled call has run: %s", w.log)
	}
	g.open(t)
}

func TestCancelThatKills(t *testing.T) { child.EachTransport(t, testCancelThatKills) }

func testCancelThatKills(t *testing.T) {
	watch(t)
	w, g := up(t, child.Config{OnCancel: child.Kill, Grace: 20 * time.Millisecond}), newGate(t)
	ctx, cancel := context.WithCancel(named("a"))
	call := async(ctx, w, hold, holding{Gate: g, Say: "a", Stubborn: true})
	w.log.wait(t, "holding a")
	cancel()
	if err := receive(t, "the call", call).err; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	crash := as[*child.CrashError](t, w.end())
	if crash.Exit.Cause != child.Canceled || !crash.Exit.Cause.Ordered() || len(crash.Calls) != 1 || crash.Calls[0].Func != "hold" {
		t.Error(crash)
	}
	g.open(t)
}

// Cancels reach their calls, also when many run at once.
func TestManyCancels(t *testing.T) { child.EachTransport(t, testManyCancels) }

func testManyCancels(t *testing.T) {
	watch(t)
	w, g := up(t, child.Config{Concurrency: 8}), newGate(t)
	for range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		var calls []<-chan answer[string]
		for range 8 {
			calls = append(calls, async(ctx, w, hold, holding{Gate: g}))
		}
		expect(t, "all on their way", func() bool { return w.Stats().InFlight == 8 })
		cancel()
		for _, ch := range calls {
			receive(t, "a cancelled call", ch)
		}
		expect(t, "all given up by the worker", func() bool { return w.Stats().InFlight == 0 })
	}
	g.open(t)
}

func TestDeadline(t *testing.T) { child.EachTransport(t, testDeadline) }

func testDeadline(t *testing.T) {
	watch(t)
	for _, test := range []struct {
		name string
		cfg  child.Config
		ctx  func() (context.Context, context.CancelFunc)
	}{
		{"of the context", child.Config{}, func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(named("a"), 100*time.Millisecond)
		}},
		{"CallTimeout", child.Config{CallTimeout: 400 * time.Millisecond}, func() (context.Context, context.CancelFunc) {
			return named("a"), func() {}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Run("obeyed", func(t *testing.T) {
				cfg := test.cfg
				cfg.Grace = limit
				w, g := up(t, cfg), newGate(t)
				ctx, cancel := test.ctx()
				defer cancel()
				_, err := hold.Call(ctx, w, holding{Gate: g, Say: "a"})
				if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, child.ErrNotStarted) { // either side may have been faster
					t.Error(err)
				}
				if r := w.log.wait(t, "giving up a"); r.attrs["cause"] != context.DeadlineExceeded.Error() {
					t.Error(r)
				}
				wantDouble(t, w)
				g.open(t)
			})
			t.Run("ignored", func(t *testing.T) {
				cfg := test.cfg
				cfg.Grace = 50 * time.Millisecond
				w, g := up(t, cfg), newGate(t)
				ctx, cancel := test.ctx()
				defer cancel()
				began := time.Now()
				_, err := hold.Call(ctx, w, holding{Gate: g, Say: "a", Stubborn: true})
				if took := time.Since(began); took > soon {
					t.Errorf("the caller waited %v", took)
				}
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				crash := as[*child.CrashError](t, w.end())
				if crash.Exit.Cause != child.Deadline || crash.Observed.Signal != syscall.SIGKILL || len(crash.Calls) != 1 || crash.Calls[0].Key != "a" {
					t.Errorf("%v %v", crash, crash.Calls)
				}
				g.open(t)
			})
		})
	}
}

// A call whose time is over while it waits behind a slow one is no reason to
// kill the slow one.
func TestOnlyTheGuiltyIsKilled(t *testing.T) { child.EachTransport(t, testOnlyTheGuiltyIsKilled) }

func testOnlyTheGuiltyIsKilled(t *testing.T) {
	watch(t)
	w, g := up(t, child.Config{Grace: 5 * time.Millisecond}), newGate(t)
	slow := async(context.Background(), w, hold, holding{Gate: g, Say: "slow"})
	w.log.wait(t, "holding slow")
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		_, err := double.Call(ctx, w, 1)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	}
	// Twenty times the grace, in which a wrong kill would happen.
	select {
	case err := <-w.done:
		t.Fatal(err)
	case <-time.After(100 * time.Millisecond):
	}
	g.open(t)
	if a := receive(t, "the slow call", slow); a.value != "slow" || a.err != nil {
		t.Error(a)
	}
	wantDouble(t, w)
}

// A worker that stands still before it has begun with a call is found out too.
func TestStoppedWorkerIsKilledAtTheDeadline(t *testing.T) {
	child.EachTransport(t, testStoppedWorkerIsKilledAtTheDeadline)
}

func testStoppedWorkerIsKilledAtTheDeadline(t *testing.T) {
	watch(t)
	for _, concurrency := range []int{1, 2} {
		w, g := up(t, child.Config{Grace: 50 * time.Millisecond, Concurrency: concurrency}), newGate(t)
		var running <-chan answer[string]
		if concurrency > 1 {
			running = async(context.Background(), w, hold, holding{Gate: g, Say: "running"})
			w.log.wait(t, "holding running")
		} else {
			wantDouble(t, w)
		}
		freeze(t, w.pid())
		ctx, cancel := context.WithTimeout(named("late"), 50*time.Millisecond)
		_, err := double.Call(ctx, w, 1)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if crash := as[*child.CrashError](t, w.end()); crash.Exit.Cause != child.Deadline {
			t.Error(crash)
		}
		if running != nil {
			as[*child.CrashError](t, receive(t, "the running call", running).err)
		}
		g.open(t)
	}
}

// A caller leaves at its deadline also while its input is still being written.
func TestCallerLeavesWhileItsInputIsWritten(t *testing.T) {
	child.EachTransport(t, testCallerLeavesWhileItsInputIsWritten)
}

func testCallerLeavesWhileItsInputIsWritten(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Grace: 50 * time.Millisecond})
	freeze(t, w.pid())
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	call := async(ctx, w, echo, make([]byte, 16<<20))
	if err := receive(t, "the call", call).err; !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if crash := as[*child.CrashError](t, w.end()); crash.Exit.Cause != child.Deadline {
		t.Error(crash)
	}
}

// what a handler sees of its caller
var look = child.Define("look", func(ctx context.Context, names []string) (seen, error) {
	s := seen{Left: deadlineOf(ctx), Key: child.Key(ctx), Meta: map[string]string{}}
	for _, name := range names {
		s.Meta[name] = child.Meta(ctx, name)
	}
	return s, nil
})

type seen struct {
	Left int64
	Key  string
	Meta map[string]string
}

func TestWhatTravelsWithACall(t *testing.T) { child.EachTransport(t, testWhatTravelsWithACall) }

func testWhatTravelsWithACall(t *testing.T) {
	watch(t)
	w := up(t, child.Config{})
	ctx := child.WithMeta(named("cat.png"), child.Baggage, "tenant=7")
	got, err := look.Call(ctx, w, []string{child.TraceParent, child.Baggage, child.TraceState})
	must(t, err)
	if got.Key != "cat.png" || got.Meta[child.TraceParent] != traceparent || got.Meta[child.Baggage] != "tenant=7" || got.Meta[child.TraceState] != "" || got.Left != -1 {
		t.Errorf("%+v", got)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if got, err = look.Call(ctx, w, nil); err != nil || got.Left < 3500_000 || got.Left > 3600_000 || got.Key != "" {
		t.Errorf("%+v %v", got, err)
	}
	w = up(t, child.Config{CallTimeout: time.Minute})
	if got, err = look.Call(ctx, w, nil); err != nil || got.Left < 55_000 || got.Left > 60_000 {
		t.Errorf("%+v %v", got, err)
	}
	_, err = look.Call(child.WithKey(ctx, string(make([]byte, 10_000))), w, nil)
	if !errors.Is(err, child.ErrNotStarted) {
		t.Errorf("a key of 10,000 bytes: %v", err)
	}
	wantDouble(t, w)
}

// The context's own cause is told as well as that it has ended.
func TestCauseOfTheContext(t *testing.T) { child.EachTransport(t, testCauseOfTheContext) }

func testCauseOfTheContext(t *testing.T) {
	watch(t)
	w, g := up(t, child.Config{}), newGate(t)
	why := errors.New("the client went away")
	ctx, cancel := context.WithCancelCause(context.Background())
	call := async(ctx, w, hold, holding{Gate: g, Say: "a"})
	w.log.wait(t, "holding a")
	cancel(why)
	if err := receive(t, "the call", call).err; !errors.Is(err, why) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	_, err := double.Call(ctx, w, 1)
	if i := as[*child.InterruptedError](t, err); i.Started || !errors.Is(err, why) || !errors.Is(err, context.Canceled) || !errors.Is(err, child.ErrNotStarted) {
		t.Error(err)
	}
	g.open(t)
}
