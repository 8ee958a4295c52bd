//go:build linux

package child_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/wire"
)

// A call to a worker that has just died finds a broken pipe. That is no signal,
// and no doubt: the call was not started.
func TestCallToTheDead(t *testing.T) { child.EachTransport(t, testCallToTheDead) }

func testCallToTheDead(t *testing.T) {
	watch(t)
	for range 30 {
		w := up(t, child.Config{Wait: child.NoWait})
		must(t, syscall.Kill(w.pid(), syscall.SIGKILL))
		for range 3 {
			if _, err := echo.Call(t.Context(), w, make([]byte, 100<<10)); !errors.Is(err, child.ErrNotStarted) {
				t.Errorf("%T %v", err, err)
			}
		}
		if err := w.end(); !errors.Is(err, child.Killed) {
			t.Error(err)
		}
	}
}

// A worker that cannot write its answer has no parent any more, and ends. (Rings it can
// always write to, as far as there is room; it has its control channel to learn that from.)
func TestAnswerToTheDead(t *testing.T) {
	watch(t)
	child.OverTransport(t, child.Pipes)
	w, g := up(t, child.Config{}), newGate(t)
	call := async(named("a"), w, hold, holding{Gate: g, Say: "a", Stubborn: true})
	w.log.wait(t, "holding a")
	child.CloseAnswers(w.Process)
	g.open(t)
	err := receive(t, "the call", call).err
	if crash := as[*child.CrashError](t, err); crash.Cause.Ordered() || crash.Observed.Code != 75 && crash.Cause != child.Killed { // by itself, with all it has started
		t.Error(err)
	}
	_ = w.end()
}

// handleSignals makes the worker take SIGUSR1, as a program with a use for it does.
var handleSignals = child.Define("handle.signals", func(context.Context, bool) (bool, error) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR1)
	return true, nil
})

// Signals interrupt system calls on both sides; no byte is lost or doubled.
func TestStormOfSignals(t *testing.T) { child.EachTransport(t, testStormOfSignals) }

func testStormOfSignals(t *testing.T) {
	usr1 := make(chan os.Signal, 1)
	signal.Notify(usr1, syscall.SIGUSR1) // its goroutine stays
	watch(t)
	defer signal.Stop(usr1)
	w := up(t, child.Config{Concurrency: 2})
	_, err := handleSignals.Call(t.Context(), w, true)
	must(t, err)
	pids := []int{os.Getpid(), w.pid()}
	var sent, done atomic.Int64
	var storm, calls sync.WaitGroup
	storm.Go(func() {
		for done.Load() == 0 {
			for _, pid := range pids {
				_ = syscall.Kill(pid, syscall.SIGURG)
				_ = syscall.Kill(pid, syscall.SIGUSR1)
				sent.Add(2)
			}
			time.Sleep(20 * time.Microsecond)
		}
	})
	for i := range 3 {
		calls.Go(func() {
			in := bytes.Repeat([]byte{byte(i), 1, 2, 3, 5, 8, 13}, 300<<10)
			for range 8 {
				if out, err := echo.Call(t.Context(), w, in); err != nil || !bytes.Equal(in, out) {
					t.Errorf("%d bytes came back, %v", len(out), err)
				}
			}
		})
	}
	calls.Wait()
	done.Store(1)
	storm.Wait()
	if sent.Load() < 100 {
		t.Errorf("a storm of %d signals", sent.Load())
	}
}

// deadlinesVar is how many calls TestAnswersAtTheDeadline makes.
const deadlinesVar = "DEADLINE_CALLS"

// answerLate answers its token about when the call's deadline passes in the
// parent, which is a little before it does here. It does not look at its context.
var answerLate = child.Define("answer.late", func(ctx context.Context, token uint64) (uint64, error) {
	deadline, _ := ctx.Deadline()
	time.Sleep(time.Until(deadline) + time.Duration(token%2001)*time.Microsecond - 1500*time.Microsecond)
	return token, nil
})

// Answers that come just when their callers leave: each caller gets its own
// token or none.
func TestAnswersAtTheDeadline(t *testing.T) { child.EachTransport(t, testAnswersAtTheDeadline) }

func testAnswersAtTheDeadline(t *testing.T) {
	watch(t)
	many := 4000
	if s := os.Getenv(deadlinesVar); s != "" {
		n, err := strconv.Atoi(s)
		must(t, err)
		many = n
	}
	w := up(t, child.Config{Concurrency: 64, Grace: time.Hour, Heartbeat: child.NoHeartbeat})
	var next, mismatched, answered, late atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for n := next.Add(1); n <= int64(many); n = next.Add(1) {
				token := uint64(n) * 7919
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
				got, err := answerLate.Call(ctx, w, token)
				cancel()
				switch {
				case err == nil && got == token:
					answered.Add(1)
				case err == nil:
					mismatched.Add(1)
				case errors.Is(err, context.DeadlineExceeded):
					late.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	expect(t, "nothing on its way", func() bool { return w.Stats().InFlight == 0 })
	s := w.Stats()
	t.Logf("%d calls: %d answered in time, %d late, %d mismatched, %d answers came too late", many, answered.Load(), late.Load(), mismatched.Load(), s.Stale)
	if mismatched.Load() != 0 || s.Run != 1 || answered.Load()+late.Load() != int64(many) || answered.Load() == 0 || s.Stale == 0 {
		t.Errorf("%+v", s)
	}
}

func init() {
	play("flips a bit", func(w *fakeWorker) {
		w.greet()
		frame := answerFrame(w.call(), 7)
		bit, _ := strconv.Atoi(os.Getenv("BIT"))
		frame[bit/8] ^= 1 << (bit % 8)
		w.answers.Write(frame)
		w.last()
	})
}

// A bit of a frame that flips on the way is found, if it is the header's: the
// body of an answer is not protected, as a pipe does not flip bits.
func TestFlippedBits(t *testing.T) {
	watch(t)
	t.Run("bits", func(t *testing.T) {
		for lane := range 4 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for bit := lane; bit < 8*wire.HeaderSize; bit += 4 {
					cfg := fake("fake: flips a bit").WithPatience(100 * time.Millisecond)
					cfg.Env = append(cfg.Env, "BIT="+strconv.Itoa(bit))
					v, err := child.Once(context.Background(), cfg, double, 1)
					if !errors.Is(err, child.Protocol) {
						t.Errorf("bit %d: %v, %v", bit, v, err)
					}
				}
			})
		}
	})
}
