//go:build linux

package child_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

func dieBy(way string) { ways[way]() }

// eachProcess runs a test with a worker that runs one function at a time, on its
// main thread, and with one that runs several. Each is served again when it dies.
func eachProcess(t *testing.T, cfg child.Config, test func(t *testing.T, c child.Caller)) {
	for _, concurrency := range []int{max(cfg.Concurrency, 1), 4} {
		t.Run(fmt.Sprintf("process, %d at once", concurrency), func(t *testing.T) {
			child.EachTransport(t, func(t *testing.T) {
				watch(t)
				cfg.Concurrency, cfg.Grace = concurrency, limit
				test(t, again(t, cfg))
			})
		})
	}
}

// again is a worker that is served as long as the test lasts.
func again(t testing.TB, cfg child.Config) *child.Process {
	p := child.New(cfg)
	ctx, stop := context.WithCancel(context.Background())
	done, up := make(chan struct{}), make(chan struct{})
	ready := sync.OnceFunc(func() { close(up) })
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_ = p.ServeReady(ctx, ready)
		}
	}()
	t.Cleanup(func() { stop(); receive(t, "the end of Serve", done) })
	receive(t, "a worker", up)
	return p
}

func receiveAny(t testing.TB, ch <-chan any) any { return receive(t, "the end of the loop", ch) }

// A hundred thousand results, in their order, none lost and none twice.
func TestLongStream(t *testing.T) {
	child.EachTransport(t, func(t *testing.T) {
		watch(t)
		w := up(t, child.Config{})
		got, want := sha256.New(), sha256.New()
		n := 0
		for item, err := range flows.Call(t.Context(), w, flow{N: 100_000, Size: 40}) {
			must(t, err)
			n++
			got.Write(item)
			want.Write(append([]byte{0, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, make([]byte, 32)...))
		}
		if n != 100_000 || hex.EncodeToString(got.Sum(nil)) != hex.EncodeToString(want.Sum(nil)) {
			t.Errorf("%d items, and their sum is wrong", n)
		}
	})
}

// A consumer that takes nothing more: a gigabyte would be there for it, and
// neither its memory nor the worker's grows by more than the window and what
// pipes hold.
func TestSlowConsumer(t *testing.T) {
	child.EachTransport(t, func(t *testing.T) {
		watch(t)
		w := up(t, child.Config{Concurrency: 2})
		const window = 1 << 20 // the default
		for _, size := range []int{100, 64 << 10} {
			before, used := heap(), resident(t, w.pid())
			n := 0
			for range flows.Call(t.Context(), w, flow{N: (1 << 30) / size, Size: size, Say: "slow"}) {
				if n++; n < 3 {
					continue
				}
				for range 20 { // while other calls are as quick as ever
					if wantDouble(t, w); t.Failed() {
						return
					}
				}
				grown, theirs := int64(heap())-int64(before), resident(t, w.pid())-used
				t.Logf("items of %d bytes: the heap has grown by %d KiB, the worker by %d KiB", size, grown>>10, theirs>>10)
				if grown > 3*window || theirs > 64<<20 {
					t.Error("too much")
				}
				break
			}
			w.log.wait(t, "over slow")
		}
	})
}

// resident is the memory that a process has, in bytes.
func resident(t testing.TB, pid int) (bytes int64) {
	t.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	must(t, err)
	var size, pages int64
	_, err = fmt.Sscan(string(statm), &size, &pages)
	must(t, err)
	return pages * int64(os.Getpagesize())
}

// Items come as soon as they are there.
func TestSlowProducer(t *testing.T) {
	watch(t)
	w := up(t, child.Config{})
	n := 0
	for _, err := range flows.Call(t.Context(), w, flow{N: 3, At: 3, Then: "hold"}) {
		must(t, err)
		if n++; n == 2 {
			break // it holds before the third, and would for ever
		}
	}
	wantDouble(t, w)
}

// The function learns that its consumer has gone, wherever it is.
func TestStreamIsTold(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Window: 1 << 10, Grace: limit})
	for _, test := range []struct {
		name string
		flow flow
	}{
		{"while it waits for room", flow{N: -1, Size: 600}},
		{"while it sends", flow{N: -1}},
		{"while it does something else", flow{N: -1, At: 2, Then: "hold"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.flow.Say = test.name
			if n, err := numbers(t, flows.Call(t.Context(), w, test.flow), 1); n != 1 || err != nil {
				t.Error(n, err)
			}
			if cause := w.log.wait(t, "over "+test.name).attrs["cause"]; cause != context.Canceled.Error() {
				t.Error(cause)
			}
			wantDouble(t, w)
		})
	}
	expect(t, "calls that are settled", func() bool { return w.Stats().InFlight == 0 })
}

// What a worker had sent before it died comes first, then how it died.
func TestStreamOfTheDead(t *testing.T) {
	child.EachTransport(t, func(t *testing.T) {
		for _, way := range []string{"C segfault", "SIGKILL", "exit 0"} {
			t.Run(way, func(t *testing.T) {
				watch(t)
				w := up(t, child.Config{})
				n, err := numbers(t, flows.Call(named("a"), w, flow{N: 2000, At: 1001, Then: way}), 0)
				crash := as[*child.CrashError](t, err)
				if n != 1000 || len(crash.Calls) != 1 || crash.Calls[0].String() != "flows [a]" || errors.Is(err, child.ErrNotStarted) {
					t.Errorf("%d items, %v", n, err)
				}
				_ = w.end()
			})
		}
	})
}

// A deadline bounds the whole stream. A function that keeps to it costs nobody
// anything, however slow its consumer is; one that does not costs its worker.
func TestStreamDeadline(t *testing.T) {
	child.EachTransport(t, func(t *testing.T) {
		watch(t)
		w := up(t, child.Config{Window: 1 << 10, CallTimeout: 50 * time.Millisecond, Grace: 100 * time.Millisecond, Concurrency: 2})
		pid, n := w.pid(), 0
		for _, err := range flows.Call(t.Context(), w, flow{N: -1, Size: 600, Say: "good"}) {
			if err != nil {
				if i := as[*child.InterruptedError](t, err); !errors.Is(err, context.DeadlineExceeded) || !i.Started || n != 1 {
					t.Errorf("after %d items: %v", n, err)
				}
				continue
			}
			n++
			if cause := w.log.wait(t, "over good").attrs["cause"]; cause != context.DeadlineExceeded.Error() {
				t.Error(cause)
			}
			time.Sleep(200 * time.Millisecond) // twice the grace, in which a wrong kill would happen
		}
		wantDouble(t, w)
		if w.pid() != pid {
			t.Error("it has cost a worker")
		}
		_, err := numbers(t, flows.Call(t.Context(), w, flow{N: -1, At: 2, Then: "hang"}), 0)
		as[*child.InterruptedError](t, err)
		if crash := as[*child.CrashError](t, w.end()); crash.Exit.Cause != child.Deadline {
			t.Error(crash)
		}
	})
}

// A worker that hangs is killed at its deadline also while the loop is busy.
func TestStreamDeadlineWhileTheLoopIsBusy(t *testing.T) {
	watch(t)
	w := up(t, child.Config{CallTimeout: 50 * time.Millisecond, Grace: 5 * time.Millisecond})
	n := 0
	for _, err := range flows.Call(t.Context(), w, flow{N: -1, At: 2, Then: "hang"}) {
		if n++; n == 1 {
			must(t, err)
			if crash := as[*child.CrashError](t, w.end()); crash.Exit.Cause != child.Deadline {
				t.Error(crash)
			}
			continue
		}
		as[*child.InterruptedError](t, err)
	}
	if n != 2 {
		t.Errorf("%d", n)
	}
}

// With OnCancel Kill, to break off is to cancel.
func TestStreamBreakThatKills(t *testing.T) {
	watch(t)
	w := up(t, child.Config{OnCancel: child.Kill, Grace: 5 * time.Millisecond})
	if n, err := numbers(t, flows.Call(t.Context(), w, flow{N: -1, At: 2, Then: "hang"}), 1); n != 1 || err != nil {
		t.Error(n, err)
	}
	if crash := as[*child.CrashError](t, w.end()); crash.Exit.Cause != child.Canceled {
		t.Error(crash)
	}
}

// Streams and calls of one worker do not wait for each other.
func TestStreamsBesideEachOther(t *testing.T) {
	child.EachTransport(t, func(t *testing.T) {
		watch(t)
		w := up(t, child.Config{Concurrency: 4, Window: 2 << 10})
		stuck, free := make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			n := 0
			for _, err := range flows.Call(context.Background(), w, flow{N: 500, Size: 100}) {
				if n++; err != nil {
					t.Error(err)
				}
				if n == 1 {
					close(stuck)
					<-free
				}
			}
			if n != 500 {
				t.Errorf("%d items after a pause", n)
			}
		})
		receive(t, "the first item", stuck)
		for range 2 {
			all.Go(func() {
				if n, err := numbers(t, flows.Call(context.Background(), w, flow{N: 5000, Size: 100}), 0); n != 5000 || err != nil {
					t.Error(n, err)
				}
			})
		}
		for range 100 {
			wantDouble(t, w)
		}
		close(free)
		all.Wait()
	})
}

// Stop.Drain is for streams too: one that ends within it is whole.
func TestStopWhileStreaming(t *testing.T) {
	for _, test := range []struct {
		name  string
		drain time.Duration
		flow  flow
		whole bool
	}{
		{"to the end", limit, flow{N: 300, Size: 100}, true},
		{"not for ever", 50 * time.Millisecond, flow{N: -1, Size: 100}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			watch(t)
			w := up(t, child.Config{Window: 1 << 10, Stop: child.Stop{Drain: test.drain}})
			n := 0
			var end error
			for _, err := range flows.Call(t.Context(), w, test.flow) {
				if n++; n == 1 {
					w.halt()
					w.log.wait(t, "stopping worker")
				}
				end = err
			}
			err := w.end()
			if test.whole {
				if n != test.flow.N || end != nil || err != nil {
					t.Errorf("%d items, %v, %v", n, end, err)
				}
			} else if crash := as[*child.CrashError](t, end); crash.Exit.Cause != child.StopTimeout {
				t.Error(crash)
			}
		})
	}
}

// The input of a stream that has killed its worker is kept, and kills again.
func TestReplayOfAStream(t *testing.T) {
	watch(t)
	dir := filepath.Join(t.TempDir(), "kept")
	w := up(t, child.Config{Replay: child.ReplayFiles{Dir: dir}})
	ctx := child.OnProgress(child.WithKey(t.Context(), "k"), func(child.Progress) {})
	_, err := numbers(t, flows.Call(ctx, w, flow{N: 10, At: 5, Then: "exit 3"}), 0)
	file := as[*child.CrashError](t, err).Replay
	c, err := child.ReadReplay(file)
	must(t, err)
	if in, err := flows.InputOf(c); in.At != 5 || err != nil || c.Meta["key"] != "k" {
		t.Error(in, err, c.Meta)
	}
	if again := as[*child.CrashError](t, child.Replay(t.Context(), child.Config{}, file)); again.Observed.Code != 3 {
		t.Error(again)
	}
}

// Settled tells when the worker is free, which a consumer that leaves does not wait for.
func TestStreamSettles(t *testing.T) {
	watch(t)
	w := up(t, child.Config{})
	for _, test := range []struct {
		flow   flow
		enough int
		end    string
	}{
		{flow{N: 3}, 0, "<nil>"},
		{flow{N: -1}, 3, context.Canceled.Error()},
		{flow{N: -1, At: 3, Then: "error"}, 0, "after rain: the well is dry"},
		{flow{N: -1, At: 3, Then: "SIGKILL"}, 0, "killed"},
	} {
		ends := make(chan error, 2)
		delivered := false
		c := callerFunc(func(ctx context.Context, req *child.Request) error {
			attempt := *req
			attempt.Settled = func(end error) { ends <- end }
			before := req.Delivered()
			err := w.Do(ctx, &attempt)
			delivered = !before && req.Delivered() && req.Stream()
			return err
		})
		_, _ = numbers(t, flows.Call(t.Context(), c, test.flow), test.enough)
		if end := receive(t, "the end of the call", ends); !strings.Contains(fmt.Sprint(end), test.end) || !delivered {
			t.Errorf("%+v: %v, delivered: %v", test, end, delivered)
		}
	}
	_ = w.end()
	if len(w.log.String()) == 0 {
		t.Error("no log")
	}
}

// A worker that stands still in mid-stream is killed when the time is up.
func TestStoppedWorkerInMidStream(t *testing.T) {
	watch(t)
	w := up(t, child.Config{CallTimeout: time.Second, Grace: 5 * time.Millisecond, Window: 1 << 10})
	n := 0
	for _, err := range flows.Call(t.Context(), w, flow{N: -1}) {
		if n++; n == 1 {
			must(t, syscall.Kill(w.pid(), syscall.SIGSTOP))
		}
		if err != nil {
			as[*child.InterruptedError](t, err)
		}
	}
	if crash := as[*child.CrashError](t, w.end()); crash.Exit.Cause != child.Deadline {
		t.Error(crash)
	}
}

// A process for one stream is gone when the loop is left, however that is; one that
// nobody listens to any more is not waited for.
func TestOnceStream(t *testing.T) {
	watch(t)
	cfg := child.Config{Stop: child.Stop{Drain: time.Hour}}
	if n, err := numbers(t, child.OnceStream(t.Context(), cfg, flows, flow{N: 1000}), 0); n != 1000 || err != nil {
		t.Errorf("%d items, %v", n, err)
	}
	if n, err := numbers(t, child.OnceStream(t.Context(), cfg, flows, flow{N: 9, At: 4, Then: "panic"}), 0); n != 3 || !errors.Is(err, child.Panicked) {
		t.Errorf("%d items, %v", n, err)
	}
	deaf := flow{N: 3, At: 3, Then: "hang"}
	if n, err := numbers(t, child.OnceStream(t.Context(), cfg, flows, deaf), 2); n != 2 || err != nil {
		t.Errorf("%d items, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for _, err := range child.OnceStream(ctx, cfg, flows, deaf) {
		if n++; n == 2 {
			cancel()
		}
		if n == 3 && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if n != 3 {
		t.Errorf("%d pairs", n)
	}
	func() {
		defer func() {
			if v := recover(); v != "the loop" {
				t.Errorf("%v", v)
			}
		}()
		for range child.OnceStream(t.Context(), cfg, flows, deaf) {
			panic("the loop")
		}
	}()
	cfg.Dir = "/nowhere"
	_, err := numbers(t, child.OnceStream(t.Context(), cfg, flows, deaf), 0)
	if _, ok := errors.AsType[*child.StartError](err); !ok {
		t.Error(err)
	}
}
