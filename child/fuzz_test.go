//go:build linux

package child

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/internal/spawn"
	"github.com/verdigris-go/verdigris/wire"
)

// What the two fuzz targets, hostile bytes to the parent and hostile bytes to
// the worker, have in common. Both run one side for real in this process, on
// real pipes, and play the other by what the fuzzer makes up.

// inTime bounds every wait.
const inTime = 10 * time.Second

// await fails the test when something does not happen in time.
func await(t testing.TB, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(inTime):
		t.Fatalf("not within %v: %s\n%s", inTime, what, allStacks())
	}
}

// until polls for a fact that nothing can be awaited for.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); {
		if time.Since(began) > inTime {
			t.Fatalf("not within %v: %s\n%s", inTime, what, allStacks())
		}
		runtime.Gosched()
		if time.Since(began) > time.Millisecond {
			time.Sleep(100 * time.Microsecond)
		}
	}
}

func allStacks() []byte {
	buf := make([]byte, 1<<20)
	return buf[:runtime.Stack(buf, true)]
}

// script is the part of an input that says what happens besides the bytes: one
// choice after the other, zeros at its end.
type script struct{ rest []byte }

func (s *script) next() (b byte) {
	if len(s.rest) > 0 {
		b, s.rest = s.rest[0], s.rest[1:]
	}
	return b
}

func (s *script) bit(n byte) bool { return s.next()&(1<<n) != 0 }

// number is a choice among the numbers that matter.
func (s *script) number() uint64 {
	switch b := s.next(); {
	case b < 0xf0:
		return uint64(b)
	default:
		return 1<<(4*(b&15)+3) - 1 // up to 2^63-1
	}
}

// cuts is how a stream is cut into writes: this many bytes, then that many, and
// what is left at once.
func (s *script) cuts() (cuts []int) {
	for range s.next() % 16 {
		cuts = append(cuts, 1+int(s.next()))
	}
	return cuts
}

// pour writes bytes in pieces and closes the file. An error means that the other
// side has seen enough.
func pour(f io.WriteCloser, data []byte, cuts []int) {
	defer f.Close()
	for _, n := range append(cuts, len(data)) {
		n = min(n, len(data))
		if _, err := f.Write(data[:n]); err != nil {
			return
		}
		data = data[n:]
		runtime.Gosched()
	}
}

// allocated is how many bytes this process has ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// appetite keeps the largest use of memory that a target has seen.
type appetite struct {
	mu    sync.Mutex
	used  uint64 // bytes allocated
	input int    // for so many bytes
	times float64
}

// check fails the test when more was allocated than the input is worth: fixed
// bytes and a multiple of its length.
func (a *appetite) check(t testing.TB, used uint64, input int, fixed, factor uint64) {
	t.Helper()
	bound := fixed + factor*uint64(input)
	if used > bound {
		t.Errorf("%d bytes of input made it allocate %d, the bound is %d", input, used, bound)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if of := float64(used) / float64(bound); of > a.times {
		a.used, a.input, a.times = used, input, of
		a.tell()
	}
}

// worstVar names a directory into which the processes of a long fuzz run write
// the most memory that an input made them allocate.
const worstVar = "FUZZ_WORST_DIR"

func (a *appetite) tell() {
	if dir := os.Getenv(worstVar); dir != "" {
		_ = os.WriteFile(fmt.Sprintf("%s/%d", dir, os.Getpid()), []byte(a.String()+"\n"), 0o600)
	}
}

func (a *appetite) String() string {
	return fmt.Sprintf("worst memory: %d bytes allocated for %d bytes of input, %.0f %% of the bound", a.used, a.input, 100*a.times)
}

// discards is a slog.Handler that takes everything and keeps nothing.
type discards struct{}

func (discards) Enabled(context.Context, slog.Level) bool  { return true }
func (discards) Handle(context.Context, slog.Record) error { return nil }
func (d discards) WithAttrs([]slog.Attr) slog.Handler      { return d }
func (d discards) WithGroup(string) slog.Handler           { return d }

// corpse is a process that was a worker for a moment, so that what is played
// here can be buried like one.
var corpse = sync.OnceValues(func() (*spawn.Process, error) {
	p, err := spawn.Start(spawn.Command{Argv: []string{"corpse"}, Env: []string{marker + "=1"}})
	if err == nil {
		<-p.Done()
	}
	return p, err
})

// rawFrame is a frame as the oracles of the targets read it, on their own.
type rawFrame struct {
	kind wire.Kind
	id   uint64
	body []byte
}

// rawFrames reads frames until something is wrong with one, by the letter of
// docs/wire.md.
func rawFrames(b []byte, limit int) (frames []rawFrame) {
	for len(b) >= wire.HeaderSize {
		kind, flags, version := wire.Kind(b[1]), b[2], b[3]
		size, id := int(binary.BigEndian.Uint32(b[4:])), binary.BigEndian.Uint64(b[8:])
		limit := limit
		if kind == wire.KindError || kind == wire.KindPanic || kind == wire.KindProgress {
			limit = max(limit, wire.ReportLimit)
		}
		optional := !kind.Known() && kind != 0 && flags == 1
		if b[0] != 'V' || version != 1 || !optional && (!kind.Known() || flags != 0) || size > limit || len(b) < wire.HeaderSize+size {
			break
		}
		if !optional {
			frames = append(frames, rawFrame{kind, id, b[wire.HeaderSize : wire.HeaderSize+size]})
		}
		b = b[wire.HeaderSize+size:]
	}
	return frames
}

// compose makes a stream of what the fuzzer gives: whole frames, most of them
// good, which blind mutation of bytes would hardly ever make. Each is a kind, an
// id, and a body: a good one, a good one with a byte changed, or any bytes.
func compose(plan []byte, kinds []wire.Kind, bodies map[wire.Kind][][]byte) (stream []byte) {
	s, next := &script{plan}, uint64(0)
	for len(s.rest) > 0 {
		how, kind, id := s.next(), kinds[int(s.next())%len(kinds)], uint64(0)
		switch b := s.next(); {
		case kind >= wire.KindCall && b >= 0xe0, kind == wire.KindCancel, kind == wire.KindCredit, kind >= wire.KindItem:
			id = uint64(b % 24)
		case kind >= wire.KindCall:
			next++
			id = next
		}
		n := int(s.next())
		var body []byte
		if good := bodies[kind]; len(good) > 0 {
			body = good[n%len(good)]
		}
		switch {
		case how < 0xc0:
		case how < 0xe0 && len(body) > 0:
			body = bytes.Clone(body)
			body[int(s.next())%len(body)] ^= s.next()
		default:
			n = min(n, len(s.rest))
			body, s.rest = s.rest[:n], s.rest[n:]
		}
		if how == 0xff { // no frame at all
			stream = append(stream, body...)
			continue
		}
		stream = wire.AppendFrame(stream, kind, id, body)
	}
	return stream
}

// noise is up to n random bytes.
func noise(rnd *rand.Rand, n int) []byte {
	b := make([]byte, rnd.IntN(n))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// rounds is how often a random test plays: less often with -short.
func rounds(t *testing.T, n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

func addBodies(to map[wire.Kind][][]byte, bodies map[wire.Kind]controlBody) {
	for k, b := range bodies {
		body, err := b.Append(nil)
		if err != nil {
			panic(err)
		}
		to[k] = append(to[k], body)
	}
}
