package pool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
	"github.com/verdigris-go/verdigris/strategy"
	"github.com/verdigris-go/verdigris/tree"
)

func TestManyCallers(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 3, Queue: 500})
	var wg sync.WaitGroup
	for n := range 500 {
		wg.Go(func() {
			if got, err := double.Call(t.Context(), p, n); err != nil || got != 2*n {
				t.Errorf("double(%d) = %d, %v", n, got, err)
			}
		})
	}
	wg.Wait()
	if s := p.Stats(); s.Busy != 0 || s.Queued != 0 {
		t.Errorf("after all calls: %+v", s)
	}
}

func TestCallsSpreadOverWorkers(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 3, MinReady: 3})
	d := newDoor(t, filepath.Join(t.TempDir(), "door"))
	pids := make(chan int, 3)
	for range 3 {
		go func() {
			n, err := hold.Call(context.Background(), p, d.path)
			if err != nil {
				t.Error(err)
			}
			pids <- n
		}()
	}
	for _, open := range []func(){d.visitor(t), d.visitor(t), d.visitor(t)} { // all three at the same time
		open()
	}
	seen := map[int]bool{<-pids: true, <-pids: true, <-pids: true}
	if len(seen) != 3 {
		t.Errorf("3 calls ran in %d workers", len(seen))
	}
}

func TestCrashFailsOnlyItsOwnCall(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 2, MinReady: 2})
	d := newDoor(t, filepath.Join(t.TempDir(), "door"))
	held := make(chan error, 1)
	go func() {
		_, err := hold.Call(context.Background(), p, d.path)
		held <- err
	}()
	open := d.visitor(t)
	_, err := crash.Call(t.Context(), p, true)
	c, ok := errors.AsType[*child.CrashError](err)
	if !ok || c.Observed.Code != 7 || len(c.Calls) != 1 || c.Calls[0].Func != "crash" {
		t.Fatalf("%#v", err)
	}
	open()
	if err := <-held; err != nil {
		t.Errorf("the other worker's call: %v", err)
	}
	until(t, "the dead worker is replaced", func() bool { return p.Stats().Up == 2 })
}

// Bad input must not be able to stop a service, whatever the pool's intensity.
func TestThousandCrashes(t *testing.T) {
	p, ended, _ := serve(t, pool.Config{})
	jobs := make(chan int)
	var wg sync.WaitGroup
	var wrong atomic.Int64
	for range 8 {
		wg.Go(func() {
			for range jobs {
				_, err := crash.Call(context.Background(), p, true)
				if _, ok := errors.AsType[*child.CrashError](err); !ok {
					wrong.Add(1)
				}
			}
		})
	}
	for n := range 1000 {
		jobs <- n
	}
	close(jobs)
	wg.Wait()
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d of 1,000 calls did not fail with their own crash", n)
	}
	if got, err := double.Call(t.Context(), p, 21); err != nil || got != 42 {
		t.Errorf("after 1,000 crashes: %d, %v", got, err)
	}
	select {
	case err := <-ended:
		t.Errorf("the pool gave up: %v", err)
	default:
	}
}

func TestIdleDeathsCount(t *testing.T) {
	p, ended, _ := serve(t, pool.Config{Size: 1, Intensity: strategy.Intensity{Restarts: 2, Period: time.Minute}})
	for n := range 3 {
		until(t, "a worker is up", func() bool { return p.Stats().Up == 1 })
		before := p.Stats().Workers[0].PID
		syscall.Kill(before, syscall.SIGKILL)
		until(t, "it is gone", func() bool { s := p.Stats(); return n == 2 || s.Workers[0].PID != before })
	}
	err := <-ended
	gaveUp, ok := errors.AsType[*tree.IntensityError](err)
	if !ok || gaveUp.Limit != 2 {
		t.Fatalf("3 idle deaths, 2 allowed: %v", err)
	}
	_, err = double.Call(t.Context(), p, 1)
	if u, ok := errors.AsType[*child.UnavailableError](err); !ok || !strings.Contains(u.Reason, "gave up") || !errors.Is(err, child.ErrNotStarted) {
		t.Errorf("a call to a pool that gave up: %v", err)
	}
}

func TestWorkersThatCannotStart(t *testing.T) {
	p := pool.New(pool.Config{Size: 2, Worker: child.Config{Setup: brokenState.With(true)}})
	waiting := make(chan error, 1)
	served := make(chan error, 1)
	go func() { served <- p.Serve(t.Context()) }()
	until(t, "the pool is served", func() bool { return p.Stats().Condition != pool.Stopped || len(served) > 0 })
	go func() {
		_, err := double.Call(context.Background(), p, 1)
		waiting <- err
	}()
	err := <-served
	if g, ok := errors.AsType[*tree.IntensityError](err); !ok || !strings.Contains(g.Error(), "no luck") {
		t.Fatalf("Serve: %v", err)
	}
	if u, ok := errors.AsType[*child.UnavailableError](<-waiting); !ok || u.LastExit == nil {
		t.Errorf("a waiting call: %v", u)
	}
}

func withTimeout(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// One worker that hangs in its start holds up neither the others nor the
// replacement of those that die.
func TestHangingStart(t *testing.T) {
	dir := t.TempDir()
	d := newDoor(t, filepath.Join(dir, "door"))
	p, _, _ := serve(t, pool.Config{Size: 3, MinReady: 2, Worker: child.Config{Setup: oneHangs.With(dir), StartTimeout: time.Minute}})
	open := d.visitor(t)
	_, err := crash.Call(t.Context(), p, true)
	if _, ok := errors.AsType[*child.CrashError](err); !ok {
		t.Fatal(err)
	}
	until(t, "the dead one is replaced", func() bool { return p.Stats().Up == 2 })
	open()
	until(t, "the slow one is up too", func() bool { return p.Stats().Up == 3 })
}

func TestQueueIsBounded(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1, Queue: 2})
	d := newDoor(t, filepath.Join(t.TempDir(), "door"))
	results := make(chan error, 3)
	go func() { _, err := hold.Call(context.Background(), p, d.path); results <- err }()
	open := d.visitor(t)
	for n := range 2 {
		go func() { _, err := double.Call(context.Background(), p, n); results <- err }()
	}
	until(t, "two calls wait", func() bool { return p.Stats().Queued == 2 })
	_, err := double.Call(t.Context(), p, 3)
	full, ok := errors.AsType[*pool.OverloadedError](err)
	if !ok || full.Queued != 2 || full.Busy != 1 || full.Oldest <= 0 || !errors.Is(err, child.ErrNotStarted) {
		t.Fatalf("the fourth call: %v", err)
	}
	open()
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestNoQueue(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1, Queue: pool.NoQueue})
	d := newDoor(t, filepath.Join(t.TempDir(), "door"))
	done := make(chan error, 1)
	go func() { _, err := hold.Call(context.Background(), p, d.path); done <- err }()
	open := d.visitor(t)
	if _, err := double.Call(t.Context(), p, 3); !isOverloaded(err) {
		t.Error(err)
	}
	open()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func isOverloaded(err error) bool {
	_, ok := errors.AsType[*pool.OverloadedError](err)
	return ok
}

func TestCancelWhileQueued(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1})
	d := newDoor(t, filepath.Join(t.TempDir(), "door"))
	done := make(chan error, 1)
	go func() { _, err := hold.Call(context.Background(), p, d.path); done <- err }()
	open := d.visitor(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	left := errors.New("the client has hung up")
	queued := make(chan error, 1)
	go func() { _, err := double.Call(ctx, p, 1); queued <- err }()
	until(t, "it waits", func() bool { return p.Stats().Queued == 1 })
	cancel(left)
	if err := <-queued; !errors.Is(err, context.Canceled) || !errors.Is(err, left) || !errors.Is(err, child.ErrNotStarted) {
		t.Error(err)
	}
	if s := p.Stats(); s.Queued != 0 || s.Busy != 1 {
		t.Errorf("%+v", s)
	}
	open()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n, err := double.Call(t.Context(), p, 4); n != 8 || err != nil {
		t.Error(n, err)
	}
}

// A caller that leaves does not free the worker: the function runs on, and the
// next call waits for it instead of being sent behind it.
func TestCancelKeepsTheWorkerBusy(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1})
	d := newDoor(t, filepath.Join(t.TempDir(), "door"))
	before, err := pid.Call(t.Context(), p, true)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { _, err := hold.Call(ctx, p, d.path); left <- err }()
	open := d.visitor(t)
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) || errors.Is(err, child.ErrNotStarted) {
		t.Error(err)
	}
	if s := p.Stats(); s.Busy != 1 {
		t.Errorf("%+v", s)
	}
	next := make(chan int, 1)
	go func() { n, _ := pid.Call(context.Background(), p, true); next <- n }()
	until(t, "the next call waits", func() bool { return p.Stats().Queued == 1 })
	open()
	if after := <-next; after != before {
		t.Errorf("worker %d was replaced by %d", before, after)
	}
}

// Idle workers that die are never noticed by a caller: a call that met one had
// not been started, and goes to another.
func TestIdleDeathsAreInvisible(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 2, Intensity: strategy.Intensity{Restarts: 1 << 20, Period: time.Second}})
	for n := range 300 {
		if n%3 == 0 {
			if victim := p.Stats().Workers[rand.IntN(2)]; victim.Up {
				syscall.Kill(victim.PID, syscall.SIGKILL)
			}
		}
		if got, err := double.Call(t.Context(), p, n); err != nil || got != 2*n {
			t.Fatalf("call %d: %d, %v", n, got, err)
		}
	}
}

func TestUnserved(t *testing.T) {
	p := pool.New(pool.Config{Name: "p", Size: 1})
	_, err := double.Call(t.Context(), p, 1)
	if u, ok := errors.AsType[*child.UnavailableError](err); !ok || !strings.Contains(u.Error(), "pool p is not available: nobody serves it") {
		t.Error(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx) }()
	until(t, "it is up", func() bool { return p.Stats().Up == 1 })
	stop()
	if err := <-served; err != nil {
		t.Errorf("an orderly stop: %v", err)
	}
	_, err = double.Call(t.Context(), p, 1)
	if u, ok := errors.AsType[*child.UnavailableError](err); !ok || !strings.Contains(u.Error(), "it was stopped") {
		t.Error(err)
	}
	if s := p.Stats(); !downAndNeverUp.MatchString(s.String()) {
		t.Errorf("%v", s)
	}
}

// No worker comes up: the call is told after Wait, not never.
func TestWaitIsBounded(t *testing.T) {
	dir := t.TempDir()
	d := newDoor(t, filepath.Join(dir, "door"))
	p := pool.New(pool.Config{Size: 1, Worker: child.Config{Setup: oneHangs.With(dir), Wait: 50 * time.Millisecond}})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx) }()
	d.visitor(t)
	_, err := double.Call(t.Context(), p, 1)
	if u, ok := errors.AsType[*child.UnavailableError](err); !ok || u.Waited < 50*time.Millisecond {
		t.Error(err)
	}
	stop()
	<-served
}

// A pool that gives up is restarted by its supervisor, and a call that waits
// meanwhile is answered by the next life.
func TestParentRestartsPool(t *testing.T) {
	p := pool.New(pool.Config{Size: 1, Intensity: strategy.Intensity{Restarts: strategy.NoRestarts}})
	var mu sync.Mutex
	runs := 0
	root, err := tree.New(tree.Spec{Children: []tree.Child{{ID: "pool", Service: p}}, OnEvent: func(e tree.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Path == "root/pool" && e.Kind == tree.EventStarted {
			runs++
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := root.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := root.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(p.Stats().Workers[0].PID, syscall.SIGKILL)
	if n, err := double.Call(t.Context(), p, 5); n != 10 || err != nil {
		t.Errorf("a call while the pool is restarted: %d, %v", n, err)
	}
	if err := root.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if runs != 2 {
		t.Errorf("the pool was started %d times, not 2", runs)
	}
}

func TestUnderSuture(t *testing.T) {
	p := pool.New(pool.Config{Size: 2})
	host := suture.NewSimple("host")
	host.Add(p)
	ctx, stop := context.WithCancel(t.Context())
	done := host.ServeBackground(ctx)
	until(t, "it is up", func() bool { return p.Stats().Up == 2 })
	if n, err := double.Call(t.Context(), p, 5); n != 10 || err != nil {
		t.Error(n, err)
	}
	stop()
	<-done
}

// All workers stop at the same time: a pool needs no longer than one of them.
func TestStopLimit(t *testing.T) {
	one := pool.New(pool.Config{Size: 1}).StopLimit()
	if many := pool.New(pool.Config{Size: 100}).StopLimit(); many != one {
		t.Errorf("100 workers may take %v, one %v", many, one)
	}
}

func TestBadConfig(t *testing.T) {
	p := pool.New(pool.Config{
		Name: "bad", Size: -1, MinReady: -2, Queue: -3, Intensity: strategy.Intensity{Restarts: -9}, Max: -4, Idle: 1, Spares: -5,
		Surge: -6, Choose: 7, Ahead: -8, QueueTimeout: -9, MaxCalls: -10, MaxAge: 11, MaxMemory: 12, Jitter: 1.3,
	})
	err := p.Serve(t.Context())
	for _, part := range []string{
		`"bad"`, "Size -1", "MinReady -2", "Queue -3", "Intensity", "Max -4", "Idle 1ns", "Spares -5", "Surge -6",
		"Choose invalid", "Ahead -8", "QueueTimeout -9ns", "MaxCalls -10", "MaxAge 11ns", "MaxMemory 12", "Jitter 1.3",
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %s", err, part)
		}
	}
	if err != nil && strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
	if _, again := double.Call(t.Context(), p, 1); again == nil || again.Error() != err.Error() {
		t.Errorf("a call says %v", again)
	}
	if bad := pool.New(pool.Config{Worker: child.Config{Concurrency: -1}}).Serve(t.Context()); bad == nil || !strings.Contains(bad.Error(), "Concurrency") {
		t.Errorf("a bad worker: %v", bad)
	}
}

// Everything at once, and then nothing is left: no place taken, nobody queued.
func TestStorm(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 3, Queue: 10, Worker: child.Config{Concurrency: 2}})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for n := range 40 {
				ctx, cancel := context.WithCancel(t.Context())
				switch rand.IntN(4) {
				case 0:
					_, _ = crash.Call(ctx, p, true)
				case 1:
					go cancel()
					_, _ = double.Call(ctx, p, n)
				default:
					got, err := double.Call(ctx, p, n)
					_, crashed := errors.AsType[*child.CrashError](err) // shared its worker with a crash
					if !crashed && !isOverloaded(err) && (err != nil || got != 2*n) {
						t.Errorf("double(%d) = %d, %v", n, got, err)
					}
				}
				cancel()
			}
		})
	}
	wg.Wait()
	until(t, "all places are free", func() bool { s := p.Stats(); return s.Busy == 0 && s.Queued == 0 && s.Up == 3 })
}

// touchy is an input whose encoding may panic.
type touchy struct{ N int }

func (x touchy) MarshalBinary() ([]byte, error) {
	if x.N < 0 {
		panic("touchy")
	}
	return []byte{byte(x.N)}, nil
}

func (x *touchy) UnmarshalBinary(b []byte) error {
	x.N = int(b[0])
	return nil
}

var touch = child.Define("touch", func(_ context.Context, x touchy) (int, error) { return 2 * x.N, nil })

// An input whose encoding panics takes no place with it.
func TestPanicInEncodingLeaksNoPlace(t *testing.T) {
	for name, q := range map[string]pool.Quarantine{"without": {}, "with a quarantine": {Deaths: 3}} {
		t.Run(name, func(t *testing.T) {
			p, _, _ := serve(t, pool.Config{Size: 1, Worker: silent, Quarantine: q})
			if q.Deaths > 0 {
				mortal(t, p, meal{Poison: "exit"}) // now inputs are looked at
			}
			if _, err := touch.Call(t.Context(), p, touchy{-1}); err == nil || !errors.Is(err, child.ErrNotStarted) || !strings.Contains(err.Error(), "touchy") {
				t.Error(err)
			}
			if n := p.Stats().Busy; n != 0 {
				t.Errorf("%d places are lost", n)
			}
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
			defer stop()
			if v, err := touch.Call(ctx, p, touchy{2}); v != 4 || err != nil {
				t.Error(v, err)
			}
		})
	}
}
