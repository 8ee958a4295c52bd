//go:build linux

package child_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/verdigris-go/verdigris/child"
)

// What reports: they say how far they have come, then wait until the gate is open,
// and go on to the end.
var (
	steps = child.Define("steps", func(ctx context.Context, s stepping) (int, error) {
		s.report(ctx)
		go func() { <-ctx.Done(); child.Report(ctx, child.Progress{Done: -1}) }() // too late
		return s.N, nil
	})
	stepsOut = child.DefineStream("steps.out", func(ctx context.Context, s stepping) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			s.report(ctx)
			yield(s.N, nil)
		}
	})
	asked = child.Define("steps.asked", func(ctx context.Context, _ bool) (string, error) {
		return child.Meta(ctx, "verdigris.progress"), nil
	})
)

type stepping struct {
	N    int
	Gate gate
	Note string
}

func (s stepping) report(ctx context.Context) {
	child.Report(ctx, child.Progress{Done: 1, Total: int64(s.N), Note: "first"})
	s.Gate.wait()
	for n := 2; n <= s.N; n++ {
		child.Report(ctx, child.Progress{Done: int64(n), Total: int64(s.N), Note: s.Note})
	}
}

func TestProgress(t *testing.T) {
	eachCaller(t, child.Config{}, func(t *testing.T, c child.Caller) {
		for name, call := range map[string]func(ctx context.Context, s stepping) (int, error){
			"call": func(ctx context.Context, s stepping) (int, error) { return steps.Call(ctx, c, s) },
			"stream": func(ctx context.Context, s stepping) (n int, err error) {
				for n, err = range stepsOut.Call(ctx, c, s) {
				}
				return n, err
			},
		} {
			t.Run(name, func(t *testing.T) {
				g := newGate(t)
				var got []child.Progress // of this goroutine: the race detector would tell
				ctx := child.OnProgress(t.Context(), func(p child.Progress) {
					if got = append(got, p); p.Done == 1 {
						g.open(t)
					}
				})
				const many = 100_000
				if n, err := call(ctx, stepping{N: many, Gate: g, Note: strings.Repeat("x", 1030)}); n != many || err != nil {
					t.Fatal(n, err)
				}
				first, last := got[0], got[len(got)-1]
				if first != (child.Progress{Done: 1, Total: many, Note: "first"}) {
					t.Errorf("first came %v", first)
				}
				if last.Done != many || last.Total != many || len(last.Note) > 1024 || !strings.HasSuffix(last.Note, "x ... (shortened from 1030 bytes)") {
					t.Errorf("last came %v", last)
				}
				if len(got) > many/100 {
					t.Errorf("%d reports", len(got))
				}
			})
		}
		if said, err := asked.Call(child.OnProgress(t.Context(), func(child.Progress) {}), c, true); said != "" || err != nil {
			t.Errorf("a function's own calls would ask too: %q, %v", said, err)
		}
		if n, err := steps.Call(child.OnProgress(child.OnProgress(t.Context(), func(child.Progress) { t.Error("it is shown") }), nil), c, stepping{N: 3}); n != 3 || err != nil {
			t.Error(n, err)
		}
		child.Report(t.Context(), child.Progress{}) // no function: nothing happens
	})
}

// A caller that panics over a report has left.
func TestProgressThatPanics(t *testing.T) {
	eachCaller(t, child.Config{Concurrency: 2}, func(t *testing.T, c child.Caller) {
		g := newGate(t)
		ctx := child.OnProgress(context.Background(), func(p child.Progress) { panic(p.Note) })
		func() {
			defer func() {
				if v := recover(); v != "first" {
					t.Error(v)
				}
			}()
			_, _ = steps.Call(ctx, c, stepping{N: 2, Gate: g})
			t.Error("it returned")
		}()
		g.open(t)
		if n, err := steps.Call(t.Context(), c, stepping{N: 2, Gate: g}); n != 2 || err != nil {
			t.Error(n, err)
		}
	})
}

// While a report is shown only the latest of those that come is kept, and the call
// can be left as always.
func TestSlowProgress(t *testing.T) {
	eachCaller(t, child.Config{Concurrency: 2}, func(t *testing.T, c child.Caller) {
		g := newGate(t)
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		ctx = child.OnProgress(ctx, func(child.Progress) {
			if n++; n > 1 {
				t.Error("it is shown after the caller had enough")
			}
			for range 20 { // others are not held up
				if _, err := asked.Call(context.Background(), c, true); err != nil {
					t.Error(err)
				}
			}
			cancel()
		})
		_, err := steps.Call(ctx, c, stepping{N: 2, Gate: g})
		if _, left := errors.AsType[*child.InterruptedError](err); !left || n != 1 {
			t.Errorf("%v after %d reports", err, n)
		}
		g.open(t)
	})
}

// Names of the library's own are not the user's.
func TestReservedNames(t *testing.T) {
	i := child.NewInline(child.Config{})
	for _, name := range []string{"verdigris.", "verdigris.progress", "verdigris.mine"} {
		_, err := asked.Call(child.WithMeta(t.Context(), name, "1"), i, true)
		if !errors.Is(err, child.ErrNotStarted) || !strings.Contains(err.Error(), `WithMeta was given the name "`+name+`"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := asked.Call(child.WithMeta(t.Context(), "verdigris", "1"), i, true); err != nil {
		t.Error(err)
	}
}
