//go:build linux

package child_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/ccrash"
	"github.com/verdigris-go/verdigris/wire"
)

// partway is a death in the middle of an answer.
type partway struct {
	Size int    // of the answer, in bytes
	Cut  int    // how much of its frame is written
	Way  string // to die then; "" waits
}

// perishPartway writes the beginning of its own answer by itself, and dies. It is
// the first call of its worker.
var perishPartway = child.Define("perish.partway", func(_ context.Context, p partway) ([]byte, error) {
	if _, err := child.AnswerRaw(firstAnswer(p.Size)[:p.Cut]); err != nil {
		return nil, err
	}
	slog.Info("written")
	if p.Way != "" {
		ways[p.Way]()
	}
	select {}
})

// firstAnswer is a whole answer to the first call.
func firstAnswer(size int) []byte {
	codec, err := wire.CodecFor[[]byte]()
	if err != nil {
		panic(err)
	}
	body, err := codec.Append(nil, make([]byte, size))
	if err != nil {
		panic(err)
	}
	return wire.AppendFrame(nil, wire.KindAnswer, 1, body)
}

// However a worker dies, before, during or after the bytes of an answer: what was
// written in full is delivered, all else is this call's crash, with its cause.
func TestDeathsAroundTheAnswer(t *testing.T) {
	watch(t)
	const size = 100
	whole := len(firstAnswer(size))
	t.Run("cuts", func(t *testing.T) {
		for _, d := range deaths {
			switch {
			case d.panic != "": // reported by a frame of its own, which the library never puts into another
				continue
			case !ccrash.HasC && strings.HasPrefix(d.way, "C "), raceEnabled && d.way == "out of data":
				continue
			}
			for _, cut := range []int{0, 1, wire.HeaderSize, whole / 2, whole - 1, whole} {
				t.Run(d.way+" at "+strconv.Itoa(cut), func(t *testing.T) {
					t.Parallel()
					w := up(t, child.Config{})
					ctx, cancel := context.WithTimeout(named("a"), limit)
					defer cancel()
					out, err := perishPartway.Call(ctx, w, partway{size, cut, d.way})
					served := as[*child.CrashError](t, w.end())
					if served.Cause != d.cause || served.Observed.Code != d.code || served.Observed.Signal != d.signal {
						t.Errorf("Serve: %v, %+v", served, served.Observed)
					}
					if cut == whole {
						if len(out) != size || err != nil || len(served.Calls) != 0 || served.Served != 1 {
							t.Errorf("%d bytes, %v; %v", len(out), err, served)
						}
						return
					}
					if out != nil || !errors.Is(err, d.cause) || errors.Is(err, child.ErrNotStarted) || len(served.Calls) != 1 || served.Served != 0 {
						t.Errorf("%d bytes, %v; %v", len(out), err, served)
					}
				})
			}
		}
	})
}

// A SIGKILL from outside, with any number of bytes of the answer written.
// CHILD_TEST_ROUNDS says how often, 40 times by default.
func TestKillAtAnyByteOfTheAnswer(t *testing.T) {
	watch(t)
	rounds, err := strconv.Atoi(os.Getenv("CHILD_TEST_ROUNDS"))
	if err != nil {
		rounds = 40
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d, %d rounds", seed, rounds)
	for i := range rounds {
		size := 1 << random.IntN(19)
		whole := len(firstAnswer(size))
		cut := random.IntN(whole + 1)
		if i%8 == 0 {
			cut = whole - i/8%2 // the two ends of the decision
		}
		w := up(t, child.Config{})
		call := async(named("a"), w, perishPartway, partway{Size: size, Cut: cut})
		w.log.wait(t, "written")
		must(t, syscall.Kill(w.pid(), syscall.SIGKILL))
		a := receive(t, "the call", call)
		crash := as[*child.CrashError](t, w.end())
		if crash.Cause != child.Killed || (len(crash.Calls) == 0) != (cut == whole) {
			t.Errorf("%d of %d bytes: %v", cut, whole, crash)
		}
		if answered := len(a.value) == size && a.err == nil; answered != (cut == whole) || !answered && !errors.Is(a.err, child.Killed) {
			t.Errorf("%d of %d bytes: %d bytes, %v", cut, whole, len(a.value), a.err)
		}
	}
}
