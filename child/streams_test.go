package child_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// flow says what a stream of the tests does.
type flow struct {
	N     int    // so many items; negative: without end
	Size  int    // of each in bytes, at least 8: its number comes first
	At    int    // before the item of this number, from 1,
	Then  string // this happens: a way to die, "error", "fail", "hold"
	Say   string // what it logs at its end, with the cause of its context
	Quiet bool   // it ends without an error when its context does
}

var errDry = child.RegisterError("test.errDry", errors.New("the well is dry"))

// flows brings what it is told to.
var flows = child.DefineStream("flows", func(ctx context.Context, f flow) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		defer func() { slog.Info("over "+f.Say, "cause", fmt.Sprint(context.Cause(ctx))) }()
		item := make([]byte, max(f.Size, 8))
		for n := 1; f.N < 0 || n <= f.N; n++ {
			if n == f.At && !happens(ctx, f.Then, yield) {
				return
			}
			binary.BigEndian.PutUint64(item, uint64(n))
			if !yield(item, nil) {
				return
			}
		}
	}
})

// happens reports whether the stream goes on.
func happens(ctx context.Context, what string, yield func([]byte, error) bool) bool {
	switch what {
	case "error":
		yield(nil, fmt.Errorf("after rain: %w", errDry))
	case "hold":
		<-ctx.Done()
	case "hang":
		select {}
	case "panic":
		panic("no such colour")
	case "goexit":
		runtime.Goexit()
	case "huge":
		return yield(make([]byte, 1<<20), nil)
	default:
		dieBy(what)
	}
	return false
}

// numbers is a consumer: it wants the items in order, from 1, and returns how many came
// and how the stream ended. From the item `enough` on it wants no more.
func numbers(t testing.TB, stream iter.Seq2[[]byte, error], enough int) (n int, end error) {
	t.Helper()
	for item, err := range stream {
		if end != nil {
			t.Errorf("something after the end: %x, %v", item, err)
		}
		if err != nil {
			end = err
			continue
		}
		if n++; len(item) < 8 || binary.BigEndian.Uint64(item) != uint64(n) {
			t.Fatalf("item %d is %.20x", n, item)
		}
		if n == enough {
			break
		}
	}
	return n, end
}

// eachCaller runs streams in all ways there are here.
func eachCaller(t *testing.T, cfg child.Config, test func(t *testing.T, c child.Caller)) {
	t.Run("inline", func(t *testing.T) { test(t, child.NewInline(cfg)) })
	eachProcess(t, cfg, test)
}

func TestStream(t *testing.T) {
	eachCaller(t, child.Config{Window: 4 << 10, MaxFrame: 64 << 10}, func(t *testing.T, c child.Caller) {
		for _, test := range []struct {
			name   string
			flow   flow
			enough int
			n      int
			end    error
			text   string
		}{
			{name: "nothing"},
			{name: "one", flow: flow{N: 1}, n: 1},
			{name: "many small ones", flow: flow{N: 10_000}, n: 10_000},
			{name: "larger than the window", flow: flow{N: 20, Size: 30 << 10}, n: 20},
			{name: "no more than five", flow: flow{N: -1}, enough: 5, n: 5},
			{name: "no more than the first", flow: flow{N: -1, Size: 5 << 10}, enough: 1, n: 1},
			{name: "an error", flow: flow{N: -1, At: 3, Then: "error"}, n: 2, end: errDry, text: "after rain: the well is dry"},
			{name: "an error at once", flow: flow{N: -1, At: 1, Then: "error"}, end: errDry, text: "after rain: the well is dry"},
			{name: "too large an item", flow: flow{N: -1, At: 3, Then: "huge"}, n: 2, text: "item frame: body has size 1048581, the limit is 65536"},
			{name: "a panic", flow: flow{N: 5, At: 4, Then: "panic"}, n: 3, end: child.Panicked, text: "no such colour"},
			{name: "the end of its goroutine", flow: flow{N: 5, At: 4, Then: "goexit"}, n: 3, end: child.Panicked, text: "the function called runtime.Goexit"},
		} {
			t.Run(test.name, func(t *testing.T) {
				for range 2 { // a sequence may be ranged over again
					n, err := numbers(t, flows.Call(t.Context(), c, test.flow), test.enough)
					if n != test.n || (err != nil) != (test.text != "") || test.end != nil && !errors.Is(err, test.end) || err != nil && !strings.Contains(err.Error(), test.text) {
						t.Errorf("%d items and then %v", n, err)
					}
				}
			})
		}
	})
}

// Types travel as they do in calls; a stream works on a state as a function does.
func TestStreamOfStructs(t *testing.T) {
	eachCaller(t, child.Config{Setup: theTill.With(3)}, func(t *testing.T, c child.Caller) {
		var got []point
		for p, err := range coins.Call(t.Context(), c, "c") {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p)
		}
		if !slices.Equal(got, []point{{0, 3, "c"}, {1, 3, "c"}, {2, 3, "c"}}) {
			t.Error(got)
		}
	})
	n := 0
	for _, err := range coins.Call(t.Context(), child.NewInline(child.Config{}), "c") {
		if n++; !errors.Is(err, child.ErrNotStarted) {
			t.Error(err)
		}
	}
	for _, err := range (child.Stream[int, int]{}).Call(t.Context(), child.NewInline(child.Config{}), 1) {
		if n++; err == nil || !strings.Contains(err.Error(), "not made by DefineStream") {
			t.Error(err)
		}
	}
	if n != 2 {
		t.Errorf("%d errors", n)
	}
}

var coins = child.DefineStreamOn(theTill, "till.coins", func(s *till, _ context.Context, name string) iter.Seq2[point, error] {
	return func(yield func(point, error) bool) {
		for n := range s.coins {
			if !yield(point{n, s.coins, name}, nil) {
				return
			}
		}
	}
})

// A loop that is left by force gives the call up as one that is broken off.
func TestStreamConsumerThatDies(t *testing.T) {
	eachCaller(t, child.Config{Concurrency: 2}, func(t *testing.T, c child.Caller) {
		for range 3 {
			over := make(chan any, 2)
			for _, die := range []func(){func() { panic("the loop") }, runtime.Goexit} {
				go func() {
					defer func() { over <- recover() }()
					for range flows.Call(context.Background(), c, flow{N: -1}) {
						die()
					}
				}()
			}
			for range 2 {
				if v := receiveAny(t, over); v != nil && v != "the loop" {
					t.Error(v)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if n, err := numbers(t, flows.Call(ctx, c, flow{N: 3}), 0); n != 3 || err != nil {
				t.Fatalf("%d items, %v: its worker is not free", n, err)
			}
		}
	})
}

// A stream whose context has ended is not complete, whatever its function says.
func TestStreamThatEndsQuietly(t *testing.T) {
	eachCaller(t, child.Config{Concurrency: 2}, func(t *testing.T, c child.Caller) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		n := 0
		for _, err := range flows.Call(ctx, c, flow{N: 4, At: 3, Then: "hold"}) {
			if err != nil {
				if i, ok := errors.AsType[*child.InterruptedError](err); !ok || !errors.Is(err, io.ErrNoProgress) && !errors.Is(err, context.Canceled) || n != 2 || !i.Started {
					t.Errorf("after %d: %v", n, err)
				}
				return
			}
			if n++; n == 2 {
				cancel(io.ErrNoProgress)
			}
		}
		t.Errorf("it was complete after %d items", n)
	})
}
