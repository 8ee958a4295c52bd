//go:build linux

package child_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/wire"
)

// framesVar is how many frames TestRandomFrames lets its workers send in all.
const framesVar = "HOSTILE_FRAMES"

// F36: workers that send frame after frame of every kind, most of them good,
// some not, until they are killed, while calls go on. The parent does not panic,
// every call ends, and memory does not grow with the number of frames.
func TestRandomFrames(t *testing.T) {
	watch(t)
	want := 5000
	if s := os.Getenv(framesVar); s != "" {
		n, err := strconv.Atoi(s)
		must(t, err)
		want = n
	}
	var seed, sent, workers, answered, refused atomic.Int64
	var low atomic.Uint64
	dir := t.TempDir()
	for lane := range 2 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for sent.Load() < int64(want) {
				file := filepath.Join(dir, fmt.Sprint(lane))
				ok, bad := meetRandom(t, uint64(seed.Add(1)), file)
				answered.Add(ok)
				refused.Add(bad)
				workers.Add(1)
				sent.Add(counted(t, file))
				if workers.Load() == 10 {
					low.Store(heapInUse())
				}
			}
		})
	}
	t.Cleanup(func() {
		grown := int64(heapInUse()) - int64(low.Load())
		t.Logf("%d frames by %d workers: %d calls answered, %d failed; the heap has grown by %d KiB since the tenth worker, the most resident memory is %s",
			sent.Load(), workers.Load(), answered.Load(), refused.Load(), grown>>10, peak(t))
		if answered.Load() == 0 || refused.Load() == 0 {
			t.Error("nothing was tried")
		}
		if grown > 8<<20 {
			t.Errorf("the heap has grown by %d bytes", grown)
		}
	})
}

// meetRandom calls one such worker until it is dead.
func meetRandom(t *testing.T, seed uint64, file string) (answered, failed int64) {
	cfg := fake("fake: random frames")
	cfg.Env = append(cfg.Env, fmt.Sprintf("SEED=%d", seed), "COUNT="+file)
	cfg.Logger = slog.New(slog.DiscardHandler)
	w, ready := begin(t, cfg)
	select {
	case <-ready:
	case err := <-w.done: // it broke the protocol at once
		_ = as[*child.StartError](t, err)
		return 0, 1
	}
	var all sync.WaitGroup
	var ok, bad atomic.Int64
	for range 3 {
		all.Go(func() {
			for t.Context().Err() == nil {
				_, err := echo.Call(t.Context(), w, []byte("a"))
				_, crashed := errors.AsType[*child.CrashError](err)
				_, unavailable := errors.AsType[*child.UnavailableError](err)
				switch {
				case err == nil:
					ok.Add(1)
					continue
				case crashed, unavailable, errors.Is(err, child.ErrNotStarted):
					bad.Add(1)
					return
				}
				bad.Add(1) // an answer that is none, or the worker's own error
			}
		})
	}
	end := w.end()
	w.Retire(end)
	all.Wait()
	if crash := as[*child.CrashError](t, end); crash.Error() == "" {
		t.Error("a crash without words")
	}
	return ok.Load(), bad.Load()
}

func counted(t *testing.T, file string) int64 {
	b, err := os.ReadFile(file)
	must(t, err)
	if len(b) < 8 {
		return 0 // it did not even come to count its first
	}
	return int64(binary.LittleEndian.Uint64(b))
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// peak is the most memory that this process has had.
func peak(t *testing.T) string {
	b, err := os.ReadFile("/proc/self/status")
	must(t, err)
	_, line, _ := strings.Cut(string(b), "VmHWM:")
	line, _, _ = strings.Cut(line, "\n")
	return strings.TrimSpace(line)
}

func init() {
	play("random frames", func(w *fakeWorker) {
		seed, _ := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
		count, err := os.Create(os.Getenv("COUNT"))
		if err != nil {
			panic(err)
		}
		r := &randomWorker{fakeWorker: w, rnd: rand.New(rand.NewPCG(seed, 2)), calls: make(chan uint64, 1000), page: os.NewFile(6, "")}
		w.hello(wire.CapStatusPage)
		w.ready()
		go func() {
			for {
				r.calls <- w.call()
			}
		}()
		for n := uint64(1); ; n++ {
			r.send()
			count.WriteAt(binary.LittleEndian.AppendUint64(nil, n), 0)
		}
	})
}

// randomWorker sends what comes to its mind.
type randomWorker struct {
	*fakeWorker
	rnd   *rand.Rand
	calls chan uint64
	page  *os.File
}

func (r *randomWorker) send() {
	switch n := r.rnd.IntN(1000); {
	case n < 600:
		r.control.Write(wire.AppendFrame(nil, wire.KindLog, 0, r.record().Append(nil)))
	case n < 900:
		r.answer(<-r.calls)
	case n < 980:
		r.page.WriteAt(r.bytes(16), r.rnd.Int64N(70_000))
	case n < 985:
		os.Stderr.Write(r.bytes(2000))
	default:
		r.misbehave()
		time.Sleep(20 * time.Millisecond) // it may be the end
	}
}

func (r *randomWorker) answer(id uint64) {
	r.page.WriteAt(binary.LittleEndian.AppendUint64(nil, id), 0) // it has begun
	frame := answerFrame(id, 1)
	switch r.rnd.IntN(10) {
	case 0:
		frame = wire.AppendFrame(nil, wire.KindError, id, wire.ErrorBody{Message: string(r.bytes(500)), Codes: []string{"io.EOF"}}.Append(nil))
	case 1:
		frame = wire.AppendFrame(nil, wire.KindAnswer, id, append(r.bytes(500), 0))
	case 2, 3, 4, 5:
		frame = wire.AppendFrame(nil, wire.KindAnswer, id, []byte{0x41, 'a'})
	}
	cut := r.rnd.IntN(len(frame))
	r.answers.Write(frame[:cut])
	r.answers.Write(frame[cut:])
}

// misbehave breaks the protocol, most of the time.
func (r *randomWorker) misbehave() {
	to := r.control
	if r.rnd.IntN(2) == 0 {
		to = r.answers
	}
	frame := wire.AppendFrame(nil, wire.Kind(r.rnd.IntN(24)), uint64(r.rnd.IntN(5)), r.bytes(300))
	switch r.rnd.IntN(3) {
	case 0:
		frame = r.bytes(300)
	case 1:
		frame = wire.AppendFrame(nil, wire.KindLog, 0, r.record().Append(nil))
		frame[r.rnd.IntN(len(frame))] ^= 1 << r.rnd.IntN(8)
	}
	to.Write(frame)
}

func (r *randomWorker) record() wire.Log {
	l := wire.Log{Time: time.Unix(r.rnd.Int64N(1e9), 0), Level: slog.Level(r.rnd.IntN(16) - 4), Message: string(r.bytes(300)), Dropped: uint64(r.rnd.IntN(2))}
	for range r.rnd.IntN(20) {
		l.Attrs = append(l.Attrs, slog.Int("n", r.rnd.Int()), slog.Group("g", slog.String("s", string(r.bytes(50)))))
	}
	return l
}

func (r *randomWorker) bytes(n int) []byte {
	b := make([]byte, 1+r.rnd.IntN(n))
	for i := range b {
		b[i] = byte(r.rnd.Uint32())
	}
	return b
}
