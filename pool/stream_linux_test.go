package pool_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
)

// course says what a stream of the tests does: so many numbers, before the one of
// number Die the end of the process, before Hang waiting for the end of its context.
type course struct {
	N, Die, Hang int
	Once         string // Die only in the first process that makes this file
}

var numbers = child.DefineStream("numbers", func(ctx context.Context, c course) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for n := 1; c.N < 0 || n <= c.N; n++ {
			switch n {
			case c.Die:
				if _, err := os.OpenFile(c.Once, os.O_CREATE|os.O_EXCL, 0o600); c.Once == "" || err == nil {
					os.Exit(7)
				}
			case c.Hang:
				<-ctx.Done()
			}
			if child.Report(ctx, child.Progress{Done: int64(n)}); !yield(n, nil) {
				return
			}
		}
	}
})

// collect takes the numbers, which must come in order, and no more than enough of them.
func collect(t *testing.T, stream iter.Seq2[int, error], enough int) (n int, end error) {
	t.Helper()
	for item, err := range stream {
		if err != nil {
			return n, err
		}
		if n++; item != n {
			t.Errorf("%d came as number %d", item, n)
		}
		if n == enough {
			break
		}
	}
	return n, nil
}

// However a stream ends, its worker's place is free afterwards.
func TestStreamsLeakNoPlace(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1, Worker: child.Config{Window: 1 << 10, Grace: 10 * time.Second}})
	for name, end := range map[string]func(ctx context.Context, stop context.CancelFunc){
		"whole": func(ctx context.Context, _ context.CancelFunc) {
			if n, err := collect(t, numbers.Call(ctx, p, course{N: 1000}), 0); n != 1000 || err != nil {
				t.Error(n, err)
			}
		},
		"break": func(ctx context.Context, _ context.CancelFunc) {
			if n, err := collect(t, numbers.Call(ctx, p, course{N: -1}), 3); n != 3 || err != nil {
				t.Error(n, err)
			}
		},
		"panic": func(ctx context.Context, _ context.CancelFunc) {
			defer func() { _ = recover() }()
			for range numbers.Call(ctx, p, course{N: -1}) {
				panic("the loop")
			}
		},
		"goexit": func(ctx context.Context, _ context.CancelFunc) {
			for range numbers.Call(ctx, p, course{N: -1}) {
				runtime.Goexit()
			}
		},
		"crash": func(ctx context.Context, _ context.CancelFunc) {
			if n, err := collect(t, numbers.Call(ctx, p, course{N: 9, Die: 5}), 0); n != 4 || !errors.As(err, new(*child.CrashError)) {
				t.Error(n, err)
			}
		},
		"cancel": func(ctx context.Context, stop context.CancelFunc) {
			n := 0
			for _, err := range numbers.Call(ctx, p, course{N: -1, Hang: 4}) {
				if n++; n == 3 {
					stop()
				} else if n > 3 && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
		},
		"deadline": func(ctx context.Context, _ context.CancelFunc) {
			ctx, stop := context.WithTimeout(ctx, 50*time.Millisecond)
			defer stop()
			if n, err := collect(t, numbers.Call(ctx, p, course{N: 9, Hang: 3}), 0); n > 2 || !errors.Is(err, context.DeadlineExceeded) {
				t.Error(n, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				ctx, stop := context.WithCancel(context.Background())
				var done sync.WaitGroup
				done.Go(func() { end(ctx, stop) })
				done.Wait()
				stop()
				until(t, "a free place", func() bool { return p.Stats().Busy == 0 })
				if n, err := double.Call(t.Context(), p, 2); n != 4 || err != nil {
					t.Fatal(n, err)
				}
			}
		})
	}
}

// Crashes in the middle of streams cost these streams, and no other.
func TestStreamsUnderCrashes(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 2, Worker: child.Config{Window: 4 << 10}})
	var all sync.WaitGroup
	for lane := range 4 {
		all.Go(func() {
			for i := range 10 {
				c, reports := course{N: 500}, 0
				if (lane+i)%5 == 0 {
					c.Die = 250
				}
				n, err := collect(t, numbers.Call(child.OnProgress(context.Background(), func(child.Progress) { reports++ }), p, c), 0)
				_, crashed := errors.AsType[*child.CrashError](err)
				switch {
				case c.Die == 0 && (n != 500 || err != nil || reports == 0):
					t.Errorf("%d items, %d reports, %v", n, reports, err)
				case c.Die > 0 && (n != 249 || !crashed):
					t.Errorf("%d items before the crash, %v", n, err)
				}
			}
		})
	}
	all.Wait()
	until(t, "free places", func() bool { return p.Stats().Busy == 0 })
	if s := p.Stats(); s.Crashed != 8 || s.Answered != 32 {
		t.Errorf("%d crashed, %d answered", s.Crashed, s.Answered)
	}
}

// An idempotent stream is tried again as long as its caller has seen nothing of it.
func TestStreamsAreRetriedBeforeTheFirstItem(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 2, Retry: pool.Retry{Attempts: 3}})
	dir := t.TempDir()
	for die, whole := range map[int]bool{1: true, 2: false} {
		n, err := collect(t, numbers.Idempotent().Call(t.Context(), p, course{N: 5, Die: die, Once: filepath.Join(dir, fmt.Sprint(die))}), 0)
		if _, crashed := errors.AsType[*child.CrashError](err); whole && (n != 5 || err != nil) || !whole && (n != die-1 || !crashed) {
			t.Errorf("it dies before item %d: %d items, %v", die, n, err)
		}
	}
}

// A loop that is busy with what a dead worker has sent does not keep its place.
func TestSlowLoopKeepsNoDeadPlace(t *testing.T) {
	for name, q := range map[string]pool.Quarantine{"without": {}, "with a quarantine": {Deaths: 3}} {
		t.Run(name, func(t *testing.T) {
			p, _, _ := serve(t, pool.Config{Size: 1, Worker: silent, Quarantine: q})
			for n, err := range numbers.Call(t.Context(), p, course{N: 9, Die: 2}) {
				if n == 1 {
					ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
					if v, err := double.Call(ctx, p, 2); v != 4 || err != nil {
						t.Errorf("while the loop is busy: %d, %v", v, err)
					}
					stop()
				} else if _, crashed := errors.AsType[*child.CrashError](err); !crashed {
					t.Error(n, err)
				}
			}
		})
	}
}

// tellAndDie reports, and dies when the door is opened.
var tellAndDie = child.Define("tell and die", func(ctx context.Context, door string) (int, error) {
	child.Report(ctx, child.Progress{Done: 1})
	if err := knock(door); err != nil {
		return 0, err
	}
	os.Exit(7)
	return 0, nil
})

// Nor does somebody who looks at its progress for long.
func TestSlowLookKeepsNoDeadPlace(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1, Worker: silent, Quarantine: pool.Quarantine{Deaths: 3}})
	d := newDoor(t, filepath.Join(t.TempDir(), "door"))
	looked := false
	ctx := child.OnProgress(t.Context(), func(child.Progress) {
		looked = true
		d.visitor(t)()
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		if v, err := double.Call(ctx, p, 2); v != 4 || err != nil {
			t.Error(v, err)
		}
	})
	_, err := tellAndDie.Call(ctx, p, d.path)
	if _, crashed := errors.AsType[*child.CrashError](err); !crashed || !looked {
		t.Error(looked, err)
	}
}
