//go:build linux

package child_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/wire"
)

var (
	keeper   wire.Blob // of the worker
	keepBlob = child.Define("blobs.keep", func(_ context.Context, in wire.Blob) (wire.Blob, error) {
		if !in.IsZero() {
			var err error
			if keeper, err = in.Clone(); err != nil {
				return wire.Blob{}, err
			}
		}
		return keeper.Clone()
	})
	openInWorker = child.Define("blobs.open", func(context.Context, int) (int, error) {
		names, err := os.ReadDir("/proc/self/fd")
		maps, _ := os.ReadFile("/proc/self/maps")
		return len(names) + bytes.Count(maps, []byte("verdigris-blob")), err
	})
	slowBlob = child.Define("blobs.slow", func(ctx context.Context, in wire.Blob) (wire.Blob, error) {
		<-ctx.Done()
		return in, nil
	})
)

// Nothing is left of a thousand calls, in neither process.
func TestBlobsOfManyCalls(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Concurrency: 4})
	before, err := openInWorker.Call(t.Context(), w, 0)
	must(t, err)
	mapped := blobMappings(t)
	in := newBlob(t, []byte("input"))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := range 250 {
				out, err := shift.Call(t.Context(), w, in)
				if err != nil {
					t.Error(err)
					return
				}
				if n%2 == 0 {
					if data, err := out.Bytes(); string(data) != "joqvu" || err != nil {
						t.Errorf("%q %v", data, err)
					}
				}
				out.Close()
				if _, err := failWith.Call(t.Context(), w, in); err == nil {
					t.Error("it did not fail")
				}
			}
		})
	}
	all.Wait()
	expect(t, "nothing more open in the worker", func() bool {
		after, err := openInWorker.Call(t.Context(), w, 0)
		must(t, err)
		return after <= before+2 // threads of the poller
	})
	if after := blobMappings(t); after != mapped {
		t.Errorf("mappings %d -> %d", mapped, after)
	}
}

func blobMappings(t testing.TB) int {
	maps, err := os.ReadFile("/proc/self/maps")
	must(t, err)
	return bytes.Count(maps, []byte("verdigris-blob"))
}

// A function may keep what it has been given, or give the same away twice: by a clone.
func TestBlobsThatAreKept(t *testing.T) {
	watch(t)
	for name, c := range map[string]child.Caller{"process": up(t, child.Config{}), "inline": child.NewInline(child.Config{})} {
		first, err := keepBlob.Call(t.Context(), c, newBlob(t, []byte("kept")))
		must(t, err)
		first.Close()
		for range 3 {
			out, err := keepBlob.Call(t.Context(), c, wire.Blob{})
			must(t, err)
			if string(contentOf(t, out)) != "kept" {
				t.Errorf("%s: %q", name, contentOf(t, out))
			}
			out.Close()
		}
	}
	keeper.Close()
}

// Callers that leave, before their turn or during it, lose nothing but their answer.
func TestCallersOfBlobsLeave(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Grace: limit})
	before, err := openInWorker.Call(t.Context(), w, 0)
	must(t, err)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			in, err := wire.NewBlob(make([]byte, 10<<10))
			if err != nil {
				t.Error(err)
				return
			}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Duration(i)*3*time.Millisecond, cancel)
			if _, err := slowBlob.Call(ctx, w, in); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			in.Close()
		})
	}
	all.Wait()
	expect(t, "nothing more open", func() bool {
		after, err := openInWorker.Call(t.Context(), w, 0)
		must(t, err)
		return after <= before+2
	})
	if s := w.Stats(); s.Run != 1 {
		t.Errorf("%+v", s)
	}
}

// The input of a call that has killed its worker is there after that, and is kept with its content.
func TestBlobsOfCallsThatKill(t *testing.T) {
	watch(t)
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	w := up(t, child.Config{Replay: child.ReplayFiles{Dir: dir, MaxInput: 1000}})
	in := newBlob(t, []byte("poison"))
	_, err := dieWith.Call(t.Context(), w, page{"panic", in})
	crash := as[*child.CrashError](t, err)
	if crash.Reported.Panic == nil || crash.Reported.Panic.Value != "poison" || string(contentOf(t, in)) != "poison" {
		t.Error(err)
	}
	w.end()
	kept, err := child.ReadReplay(crash.Replay)
	must(t, err)
	v, err := dieWith.InputOf(kept)
	must(t, err)
	if v.Name != "panic" || string(contentOf(t, v.Data)) != "poison" {
		t.Errorf("%+v", v)
	}
	again := as[*child.CrashError](t, child.Replay(t.Context(), child.Config{}, crash.Replay))
	if again.Reported.Panic == nil || again.Reported.Panic.Value != "poison" {
		t.Error(again)
	}
	again = as[*child.CrashError](t, child.ReplayInline(t.Context(), child.Config{}, crash.Replay))
	if again.Reported.Panic == nil || again.Reported.Panic.Value != "poison" {
		t.Error(again)
	}

	w = up(t, child.Config{Replay: child.ReplayFiles{Dir: dir, MaxInput: 1000}})
	_, err = dieWith.Call(t.Context(), w, page{"kill", newBlob(t, make([]byte, 1001))})
	if crash := as[*child.CrashError](t, err); crash.Cause != child.Killed || crash.Replay != "" {
		t.Error(err)
	}
	w.log.wait(t, "the input of a crashed call is not kept")
	w.end()
}

// Without a descriptor to spare, calls with Blobs fail, on whichever side it is, and the worker lives on.
func TestNoDescriptorsForBlobs(t *testing.T) {
	watch(t)
	w := up(t, child.Config{})
	in := newBlob(t, []byte("input"))
	var old unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	next, err := unix.Dup(0)
	must(t, err)
	unix.Close(next)
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(next), Max: old.Max}))
	_, sending := shift.Call(t.Context(), w, in)
	_, receiving := makeBlob.Call(t.Context(), w, 5)
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
	if !errors.Is(sending, unix.EMFILE) || !errors.Is(sending, child.ErrNotStarted) {
		t.Errorf("to send: %v", sending)
	}
	if receiving == nil || !strings.Contains(receiving.Error(), "1 of 1 descriptors of its blobs were lost") {
		t.Errorf("to receive: %v", receiving)
	}
	out, err := shift.Call(t.Context(), w, in)
	must(t, err)
	out.Close()
	if s := w.Stats(); s.Run != 1 {
		t.Errorf("%+v", s)
	}
}

// Where a Blob cannot be, Define says so.
func TestBlobsWhereTheyCannotBe(t *testing.T) {
	for want, define := range map[string]func(){
		`DefineStream("blobs.stream"): the item: wire: page.Data: a Blob can be in`: func() {
			child.DefineStream("blobs.stream", func(context.Context, int) iter.Seq2[page, error] { return nil })
		},
		`DefineState("blobs.state"): the configuration: wire: []child_test.page[].Data: a Blob can be in`: func() {
			child.DefineState("blobs.state", func(context.Context, []page) (*int, error) { return nil, nil }, nil)
		},
	} {
		func() {
			defer func() {
				if v, _ := recover().(string); !strings.Contains(v, want) {
					t.Errorf("%q, want %q", v, want)
				}
			}()
			define()
		}()
	}
}
