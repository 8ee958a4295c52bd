//go:build linux

package child_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

type attachment struct {
	Name string
	Data []byte
}

var (
	echoBytes = child.Define("large.bytes", func(_ context.Context, b []byte) ([]byte, error) { return b, keep(b) })
	echoText  = child.Define("large.text", func(_ context.Context, s string) (string, error) { return s, keep([]byte(s)) })
	echoFile  = child.Define("large.file", func(_ context.Context, a attachment) (attachment, error) { return a, keep(a.Data) })
	// echoSlowly lets others run on the way.
	echoSlowly = child.Define("large.slowly", func(ctx context.Context, b []byte) ([]byte, error) {
		time.Sleep(time.Millisecond)
		return b, keep(b)
	})
	repeated = child.DefineStream("large.stream", func(_ context.Context, b []byte) iter.Seq2[[]byte, error] {
		return func(yield func([]byte, error) bool) {
			for range 5 {
				if !yield(b, nil) {
					return
				}
			}
			if err := keep(b); err != nil {
				yield(nil, err)
			}
		}
	})
)

// keep keeps some inputs of earlier calls, and checks that they, which are all of
// one byte, have not changed, and that this one is whole.
func keep(b []byte) error {
	inbox.mu.Lock()
	defer inbox.mu.Unlock()
	inbox.inputs[inbox.n%len(inbox.inputs)] = b
	inbox.n++
	for i, b := range inbox.inputs {
		if !uniform(b) {
			return fmt.Errorf("input %d of %d bytes is torn, or has changed after its call", i, len(b))
		}
	}
	return nil
}

var inbox struct {
	mu     sync.Mutex
	inputs [4][]byte
	n      int
}

func uniform(b []byte) bool { return len(b) == 0 || bytes.Count(b, b[:1]) == len(b) }

// Values of all sizes arrive and come back. An input is the caller's again when its call has returned, and an answer is
// its own for ever.
func TestLargeValues(t *testing.T) {
	for _, concurrency := range []int{1, 4} {
		t.Run(fmt.Sprint(concurrency, " at once"), func(t *testing.T) {
			watch(t)
			w := up(t, child.Config{Concurrency: concurrency, MaxFrame: 64 << 20})
			var callers sync.WaitGroup
			for g := range 3 {
				callers.Go(func() {
					r := rand.New(rand.NewPCG(uint64(g), 1))
					var answers [][]byte
					for i := range 15 {
						size := []int{0, 1, 15 << 10, 16 << 10, 40_000, 64 << 10, 300_000, 1 << 20, 3 << 20}[r.IntN(9)] + r.IntN(100)
						if i == 10 && g == 0 {
							size = 16 << 20
						}
						in := bytes.Repeat([]byte{byte('a' + g)}, size)
						out, err := echoSome(t.Context(), w, i, in)
						if err != nil {
							t.Error(err)
							return
						}
						if !bytes.Equal(in, out) {
							t.Errorf("%d bytes came back as %d", len(in), len(out))
							return
						}
						clear(in)
						answers = append(answers, out)
					}
					for _, a := range answers {
						if !uniform(a) || len(a) > 0 && a[0] != byte('a'+g) {
							t.Errorf("an answer of %d bytes has changed", len(a))
						}
					}
				})
			}
			callers.Wait()
		})
	}
}

// echoSome sends b in one of the ways.
func echoSome(ctx context.Context, c child.Caller, way int, b []byte) ([]byte, error) {
	switch way % 5 {
	case 0, 1:
		return echoBytes.Call(ctx, c, b)
	case 2:
		s, err := echoText.Call(ctx, c, string(b))
		return []byte(s), err
	case 3:
		a, err := echoFile.Call(ctx, c, attachment{strings.Repeat("n", 100), b})
		return a.Data, err
	}
	var last []byte
	for item, err := range repeated.Call(ctx, c, b) {
		if err != nil {
			return nil, err
		}
		last = item
	}
	return last, nil
}

// Callers that leave while their inputs are on their way, and write to them at once: whatever runs has been given what
// was sent.
func TestLeavingLargeCalls(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Grace: 10 * time.Second})
	var callers sync.WaitGroup
	for g := range 2 {
		callers.Go(func() {
			in := make([]byte, 16<<20)
			for i := range 6 {
				copy(in, bytes.Repeat([]byte{byte(i + 1)}, len(in)))
				ctx, leave := context.WithTimeout(t.Context(), time.Duration(3*g*i)*time.Millisecond)
				_, err := echoSlowly.Call(ctx, w, in)
				leave()
				copy(in, "scribbled over") // at once
				clear(in[len(in)-100:])
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	if _, err := echoBytes.Call(t.Context(), w, []byte("aaa")); err != nil {
		t.Error(err)
	}
}
