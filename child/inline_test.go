package child_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// till is a state for tests that run on every system.
type till struct{ coins, closed int }

var errEmpty = child.RegisterError("test.errEmpty", errors.New("the till is empty"))

var (
	tills   []*till // in this process
	theTill = child.DefineState("till", func(_ context.Context, coins int) (*till, error) {
		switch {
		case coins < 0:
			panic("debts")
		case coins == 0:
			return nil, errEmpty
		}
		t := &till{coins: coins}
		tills = append(tills, t)
		return t, nil
	}, func(t *till) error { t.closed++; return nil })
	take  = child.DefineOn(theTill, "till.take", func(t *till, _ context.Context, n int) (int, error) { t.coins -= n; return t.coins, nil })
	twist = child.Define("twist", func(_ context.Context, how string) (int, error) {
		if how == "goexit" {
			runtime.Goexit()
		}
		panic(how)
	})
	patient = child.Define("patient", func(ctx context.Context, _ bool) (bool, error) {
		_, hasDeadline := ctx.Deadline()
		entered <- hasDeadline
		<-ctx.Done()
		left <- ctx.Err()
		return true, ctx.Err()
	})
	outside = child.Define("outside", func(ctx context.Context, _ bool) (bool, error) { return ctx.Value(privateKey{}) != nil, nil })

	entered, left = make(chan bool, 1), make(chan error, 1) // of this process
)

type privateKey struct{}

func TestInlinePanic(t *testing.T) {
	i := child.NewInline(child.Config{Name: "w"})
	for how, value := range map[string]string{"no such colour": "no such colour", "goexit": "the function called runtime.Goexit"} {
		_, err := twist.Call(child.WithKey(t.Context(), "cat.png"), i, how)
		crash, ok := errors.AsType[*child.CrashError](err)
		if !ok || crash.Exit.Cause != child.Panicked || crash.Reported.Panic.Value != value || crash.Reported.Panic.Stack == "" || len(crash.Calls) != 1 || crash.Calls[0].Key != "cat.png" {
			t.Fatalf("%T %v", err, err)
		}
		if want := " crashed with a panic: " + value + ", in child_test.init.func"; !strings.Contains(err.Error(), want) || !strings.HasSuffix(err.Error(), ", while running twist [cat.png]") {
			t.Errorf("%q", err)
		}
	}
}

func TestInlineState(t *testing.T) {
	tills = nil
	i := child.NewInline(child.Config{Name: "w", Setup: theTill.With(10)})
	for want := 9; want > 7; want-- {
		if n, err := take.Call(t.Context(), i, 1); n != want || err != nil {
			t.Error(n, err)
		}
	}
	if err := i.Close(); err != nil || len(tills) != 1 || tills[0].closed != 1 {
		t.Error(err, tills)
	}
	if err := i.Close(); err != nil || tills[0].closed != 1 {
		t.Error("closed twice", err)
	}
	if n, err := take.Call(t.Context(), i, 1); n != 9 || err != nil || len(tills) != 2 {
		t.Error(n, err)
	}
	_, err := take.Call(t.Context(), child.NewInline(child.Config{Name: "w"}), 1)
	if s, ok := errors.AsType[*child.StateError](err); !ok || s.Needs != "till" {
		t.Error(err)
	}
	for coins, text := range map[int]string{0: `opening the state "till": the till is empty`, -1: `opening the state "till" panicked: debts`} {
		i := child.NewInline(child.Config{Name: "w", Setup: theTill.With(coins)})
		_, callErr := take.Call(t.Context(), i, 1)
		for _, err := range []error{callErr, i.Serve(t.Context())} {
			if s, ok := errors.AsType[*child.StartError](err); !ok || s.Step != "open" || err.Error() != "worker w did not start (open): "+text {
				t.Errorf("%T %v", err, err)
			}
			if errors.Is(err, errEmpty) != (coins == 0) || !errors.Is(err, child.ErrNotStarted) {
				t.Error(err)
			}
		}
	}
}

func TestInlineIsServed(t *testing.T) {
	tills = nil
	i := child.NewInline(child.Config{Setup: theTill.With(5)})
	ctx, stop := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- i.ServeReady(ctx, func() { close(ready) }) }()
	<-ready
	if len(tills) != 1 {
		t.Error("ready before the state is open")
	}
	stop()
	if err := <-done; err != nil || tills[0].closed != 1 {
		t.Error(err)
	}
}

func TestInlineDeadlineAndCancel(t *testing.T) {
	i := child.NewInline(child.Config{CallTimeout: 10 * time.Millisecond})
	_, err := patient.Call(t.Context(), i, true)
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, child.ErrNotStarted) {
		t.Error(err)
	}
	if !<-entered {
		t.Error("the function does not see CallTimeout as its deadline")
	}
	if <-left == nil {
		t.Error("its context has not ended")
	}

	i = child.NewInline(child.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := patient.Call(ctx, i, true); done <- err }()
	<-entered
	waiting, giveUp := context.WithCancel(t.Context())
	giveUp()
	if _, err := twist.Call(waiting, i, "x"); !errors.Is(err, child.ErrNotStarted) || !errors.Is(err, context.Canceled) {
		t.Errorf("a call that waits for its turn: %v", err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || errors.Is(err, child.ErrNotStarted) {
		t.Error(err)
	}
	<-left
}

// Values of the caller's context stay on the caller's side, as with a worker.
func TestInlineHidesTheCallersContext(t *testing.T) {
	ctx := context.WithValue(t.Context(), privateKey{}, 1)
	if seen, err := outside.Call(ctx, child.NewInline(child.Config{}), true); seen || err != nil {
		t.Error(seen, err)
	}
}

// The state stays open while a function works on it.
func TestInlineCloseWaits(t *testing.T) {
	i := child.NewInline(child.Config{Name: "w", Stop: child.Stop{Drain: 20 * time.Millisecond}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := patient.Call(ctx, i, true); done <- err }()
	<-entered
	if err := i.Close(); err == nil || !strings.Contains(err.Error(), "functions still run") {
		t.Error(err)
	}
	cancel()
	<-done
	<-left
	if err := i.Close(); err != nil {
		t.Error(err)
	}

	i = child.NewInline(child.Config{Stop: child.Stop{Drain: time.Minute}})
	ctx, cancel = context.WithCancel(t.Context())
	go func() { _, err := patient.Call(ctx, i, true); done <- err }()
	<-entered
	closed := make(chan error, 1)
	go func() { closed <- i.Close() }()
	select {
	case err := <-closed:
		t.Errorf("it did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	cancel()
	<-done
	<-left
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
