package child_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/ring"
)

// scribble makes the worker write over all that it shares with its parent, at
// random, until it is killed.
var scribble = child.Define("scribble", func(_ context.Context, seed uint64) (bool, error) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return false, err
	}
	shared := sharedIn(string(maps))
	if len(shared) != 2 {
		return false, errors.New("rings and a status page are not there:\n" + string(maps))
	}
	memory, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	go scribbleOver(memory, shared, rand.New(rand.NewPCG(seed, 0)))
	return true, nil
})

// area is a part of a process's memory.
type area struct{ from, to int64 }

func scribbleOver(memory *os.File, shared []area, rnd *rand.Rand) {
	for {
		where := shared[rnd.IntN(len(shared))]
		size := where.to - where.from
		if rnd.IntN(4) > 0 {
			size = 4 << 10 // the words that matter
		}
		word := binary.NativeEndian.AppendUint64(nil, rnd.Uint64()>>rnd.IntN(64))
		_, _ = memory.WriteAt(word, where.from+rnd.Int64N(size)&^7)
		if rnd.IntN(100) == 0 {
			_, _ = syscall.Write(8+rnd.IntN(2), binary.NativeEndian.AppendUint64(nil, 1)) // the bells
		}
	}
}

// sharedIn are the mappings of a process that it shares with its parent.
func sharedIn(maps string) (all []area) {
	for line := range strings.Lines(maps) {
		var a area
		if _, err := fmt.Sscanf(line, "%x-%x", &a.from, &a.to); err == nil && strings.Contains(line, "/memfd:verdigris") {
			all = append(all, a)
		}
	}
	return all
}

// A worker that scribbles over all that it shares, while calls run, can cause
// nothing but its own death, and wrong answers of its own. Its parent and its
// siblings are unharmed, every call comes to an end, and nothing is left.
func TestScribblingWorker(t *testing.T) {
	watch(t)
	good := up(t, child.Config{})
	causes := map[child.Cause]int{}
	for seed := range uint64(8) {
		w := up(t, child.Config{Heartbeat: 50 * time.Millisecond, Concurrency: 2, LowLatency: seed%2 == 1})
		if w.Stats().Transport != child.Rings {
			t.Skip("there is no shared memory here: ", w.Stats().Transport)
		}
		_, err := scribble.Call(t.Context(), w, seed)
		_, crashed := errors.AsType[*child.CrashError](err) // its answer is the first that it may lose
		if err != nil && !crashed && !errors.Is(err, child.ErrNotStarted) {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for lane := range 4 {
			all.Go(func() { callUntilItDies(t, w, 10<<(5*lane)) })
		}
		in := []byte("as ever")
		for range 50 {
			if out, err := echo.Call(t.Context(), good, in); err != nil || !bytes.Equal(in, out) {
				t.Errorf("the sibling answered %q, %v", out, err)
			}
		}
		all.Wait()
		w.halt()
		if crash, ok := errors.AsType[*child.CrashError](w.end()); ok {
			causes[crash.Cause]++
		}
		if n := w.Stats().InFlight; n != 0 {
			t.Errorf("%d calls are on their way to the dead", n)
		}
	}
	t.Log(causes)
	if causes[child.Protocol] == 0 {
		t.Errorf("nobody broke the protocol: %v", causes)
	}
}

// callUntilItDies calls a worker that cannot be trusted, for at most a second.
func callUntilItDies(t *testing.T, w *worker, size int) {
	in := make([]byte, size)
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, err := echo.Call(ctx, w, in) // what comes back may be anything
		cancel()
		_, crashed := errors.AsType[*child.CrashError](err)
		_, unavailable := errors.AsType[*child.UnavailableError](err)
		if crashed || unavailable || errors.Is(err, child.ErrNotStarted) {
			return
		}
	}
}

// Whichever way cannot be had, calls travel by the other.
func TestTransportOfARun(t *testing.T) {
	watch(t)
	for _, test := range []struct {
		name string
		cfg  child.Config
		off  bool
		want child.Transport
	}{
		{"both can", child.Config{}, false, child.Rings},
		{"no memfd here", child.Config{}, true, child.Pipes},
		{"a worker that knows none", fake("fake: well behaved"), false, child.Pipes},
		{"low latency", child.Config{LowLatency: true}, false, child.Rings},
		{"low latency without", child.Config{LowLatency: true}, true, child.Pipes},
	} {
		t.Run(test.name, func(t *testing.T) {
			child.OverTransport(t, child.Rings)
			ring.SwitchOff(test.off)
			defer ring.SwitchOff(false)
			w := up(t, test.cfg)
			if got := w.Stats().Transport; got != test.want {
				t.Errorf("calls travel by %v", got)
			}
			if _, err := double.Call(t.Context(), w, 21); err != nil {
				t.Error(err)
			}
			must(t, w.stop())
		})
	}
}

// The memory that a run has shared goes with it.
func TestMemoryOfRunsGoes(t *testing.T) {
	watch(t)
	mapped := func() int {
		maps, err := os.ReadFile("/proc/self/maps")
		must(t, err)
		return strings.Count(string(maps), "/memfd:verdigris")
	}
	before := mapped()
	for i := range 10 {
		cfg := child.Config{}
		if i%2 == 1 {
			cfg = fake("fake: well behaved")
		}
		w := up(t, cfg)
		_, err := double.Call(t.Context(), w, 21)
		must(t, err)
		if i%3 == 0 {
			w.Kill()
			_ = w.end()
		} else {
			must(t, w.stop())
		}
	}
	if after := mapped(); after > before {
		t.Errorf("%d mappings, before %d", after, before)
	}
}
