//go:build linux

package child_test

import (
	"bytes"
	"context"
	"errors"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/wire"
)

// make it as large as asked for
var inflate = child.Define("inflate", func(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil })

// Large messages cross both ways at once, without anybody waiting for the other.
func TestLargeMessagesCross(t *testing.T) { child.EachTransport(t, testLargeMessagesCross) }

func testLargeMessagesCross(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Concurrency: 4})
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			in := bytes.Repeat([]byte{byte(i), 1, 2, 3}, 4<<20)
			for range 2 {
				out, err := echo.Call(t.Context(), w, in)
				if err != nil || !bytes.Equal(in, out) {
					t.Errorf("%d bytes came back, %v", len(out), err)
				}
			}
		})
	}
	all.Wait()
}

func TestEverySize(t *testing.T) { child.EachTransport(t, testEverySize) }

func testEverySize(t *testing.T) {
	watch(t)
	w := up(t, child.Config{})
	for _, around := range []int{0, 1 << 8, 4 << 10, 16 << 10, 64 << 10, 1 << 20, 2 << 20} {
		for n := max(around-40, 0); n <= around+40; n += 5 {
			in := bytes.Repeat([]byte{byte(n)}, n)
			if out, err := echo.Call(t.Context(), w, in); err != nil || !bytes.Equal(in, out) {
				t.Fatalf("%d bytes: %d came back, %v", n, len(out), err)
			}
		}
	}
}

// Whatever exceeds MaxFrame is refused where it would be sent, the worker lives
// on, and the next call is answered.
func TestMaxFrame(t *testing.T) { child.EachTransport(t, testMaxFrame) }

func testMaxFrame(t *testing.T) {
	watch(t)
	cfg := child.Config{MaxFrame: 64 << 10}
	w := up(t, cfg)
	for name, c := range map[string]child.Caller{"process": w, "inline": child.NewInline(cfg)} {
		_, err := echo.Call(t.Context(), c, make([]byte, 64<<10))
		if size, ok := errors.AsType[*wire.SizeError](err); !ok || size.Limit != 64<<10 || !errors.Is(err, child.ErrNotStarted) || !strings.Contains(err.Error(), "call bench.echo was not sent") {
			t.Errorf("%s: a large input: %v", name, err)
		}
		_, err = inflate.Call(t.Context(), c, 64<<10)
		if r := as[*child.RemoteError](t, err); !strings.Contains(r.Message, "the limit is 65536") || errors.Is(err, child.ErrNotStarted) {
			t.Errorf("%s: a large output: %v", name, err)
		}
		if out, err := inflate.Call(t.Context(), c, 60<<10); len(out) != 60<<10 || err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := w.Stats(); s.Run != 1 || !s.Up {
		t.Errorf("%+v", s)
	}
}

// many kinds of data
type everything struct {
	S     string
	B     []byte
	M     map[string][]int
	T     time.Time
	P     *everything
	F     float64
	I     int64
	Big   *big.Int
	Empty struct{}
}

var mirror = child.Define("mirror", func(_ context.Context, e everything) (everything, error) { return e, nil })

func TestEverythingComesBack(t *testing.T) { child.EachTransport(t, testEverythingComesBack) }

func testEverythingComesBack(t *testing.T) {
	watch(t)
	w := up(t, child.Config{})
	in := everything{
		S: "héllo", B: []byte{0, 255}, M: map[string][]int{"a": {1, -2}, "": nil}, T: time.Date(2026, 2, 3, 4, 5, 6, 789_012_345, time.UTC),
		P: &everything{S: "inner"}, F: 0.1, I: -1 << 63, Big: new(big.Int).Lsh(big.NewInt(1), 100),
	}
	for name, c := range map[string]child.Caller{"process": w, "inline": child.NewInline(child.Config{})} {
		out, err := mirror.Call(t.Context(), c, in)
		if err != nil || out.S != in.S || !bytes.Equal(out.B, in.B) || len(out.M) != 2 || out.M["a"][1] != -2 || !out.T.Equal(in.T) ||
			out.P.S != "inner" || out.F != in.F || out.I != in.I || out.Big.Cmp(in.Big) != 0 {
			t.Errorf("%s: %+v %v", name, out, err)
		}
		_, err = mirror.Call(t.Context(), c, everything{S: "\xff"})
		if err == nil || !errors.Is(err, child.ErrNotStarted) {
			t.Errorf("%s: a text that is no UTF-8: %v", name, err)
		}
	}
}

// Many callers, many calls on their way, every answer to its own caller.
func TestAnswersFindTheirCallers(t *testing.T) { child.EachTransport(t, testAnswersFindTheirCallers) }

func testAnswersFindTheirCallers(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Concurrency: 4, Ahead: 8})
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			for n := range 50 {
				v := i*1000 + n
				if out, err := double.Call(t.Context(), w, v); out != 2*v || err != nil {
					t.Errorf("%d for %d, %v", out, v, err)
				}
			}
		})
	}
	all.Wait()
	if s := w.Stats(); s.Served != 2000 || s.Stale != 0 || s.InFlight != 0 {
		t.Errorf("%+v", s)
	}
}

// No answer of a call that was given up reaches another one.
func TestLateAnswersReachNobody(t *testing.T) { child.EachTransport(t, testLateAnswersReachNobody) }

func testLateAnswersReachNobody(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Concurrency: 2, Grace: limit})
	var all sync.WaitGroup
	var late, gone atomic.Int64
	for i := range 8 {
		all.Go(func() {
			for n := range 150 {
				v := i*1000 + n
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(n%10)*40*time.Microsecond)
				out, err := double.Call(ctx, w, v)
				cancel()
				if err == nil && out != 2*v {
					t.Errorf("%d for %d", out, v)
				}
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				if i, ok := errors.AsType[*child.InterruptedError](err); ok {
					late.Add(1)
					if i.Started {
						gone.Add(1)
					}
				}
			}
		})
	}
	all.Wait()
	expect(t, "nothing on its way", func() bool { return w.Stats().InFlight == 0 })
	wantDouble(t, w)
	if s := w.Stats(); s.Run != 1 || s.Stale == 0 || s.Stale > uint64(gone.Load()) {
		t.Errorf("%+v, %d callers have left, %d of them when the call was sent", s, late.Load(), gone.Load())
	}
}
