//go:build linux

package child

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/internal/ring"
	"github.com/verdigris-go/verdigris/wire"
)

// testbench is a transport with a worker's ends in the hands of a test.
type testbench struct {
	t         *testing.T
	transport *transport
	calls     io.ReadCloser  // what the worker reads
	answers   io.WriteCloser // what it writes; it closes when the worker dies

	mu    sync.Mutex
	ids   []uint64 // of the frames that were delivered
	ended []error
	fail  error         // what deliver returns
	pause chan struct{} // not nil: deliver waits for its end
	over  chan struct{} // closed at the first ended
}

func newTestbench(t *testing.T, way Transport) *testbench {
	b := &testbench{t: t, over: make(chan struct{})}
	ch := &channels{}
	b.open(ch, way)
	out, in, err := ch.ends(way)
	must(t, err)
	b.transport = newTransport(out, in, 64<<20, 10*time.Second, receiver{b.deliver, b.end, b.traffic})
	b.transport.Attend()
	t.Cleanup(func() {
		b.transport.Close()
		b.calls.Close()
		b.answers.Close()
	})
	return b
}

// traffic is always that of calls whose callers have left.
func (b *testbench) traffic() (open, lonely int64) { return 1, 1 }

// open makes all four ends.
func (b *testbench) open(ch *channels, way Transport) {
	var err error
	if way == Pipes {
		ch.calls[0], ch.calls[1], err = os.Pipe()
		must(b.t, err)
		ch.answers[0], ch.answers[1], err = os.Pipe()
		must(b.t, err)
		b.calls, b.answers = ch.calls[0], ch.answers[1]
		return
	}
	ch.rings, err = ring.New(ring.Options{})
	must(b.t, err)
	var fds [ring.Files]int
	for i, f := range ch.rings.Files() {
		fds[i], err = syscall.Dup(int(f.Fd())) // as the worker gets them
		must(b.t, err)
	}
	w, err := ring.Open(fds)
	must(b.t, err)
	b.t.Cleanup(func() {
		w.Close()
		must(b.t, errors.Join(syscall.Close(fds[1]), syscall.Close(fds[2])))
	})
	b.calls, b.answers = io.NopCloser(w.Calls), &mortal{Writer: w.Answers, of: ch.rings.Answers}
}

// mortal is the worker's end of a ring, whose death somebody else has to see.
type mortal struct {
	io.Writer
	of *ring.Source
}

func (m *mortal) Close() error { m.of.Last(); return nil }

func (b *testbench) deliver(f wire.Frame) error {
	b.mu.Lock()
	pause := b.pause
	b.mu.Unlock()
	if pause != nil {
		<-pause
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ids = append(b.ids, f.ID)
	return b.fail
}

func (b *testbench) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended = append(b.ended, err); len(b.ended) == 1 {
		close(b.over)
	}
}

func (b *testbench) delivered() []uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.ids)
}

// firstEnd returns what was told first about the end.
func (b *testbench) firstEnd() error {
	b.t.Helper()
	await(b.t, "the end", b.over)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended[0]
}

// seven is an answer as a worker would send it.
func seven(id uint64) []byte { return wire.AppendFrame(nil, wire.KindAnswer, id, []byte{7}) }

// promptly runs f, which must not wait for long.
func promptly(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	await(t, what, done)
}

// What the rest of the package relies on, whatever carries the calls.
func TestTransports(t *testing.T) {
	for _, kind := range transports {
		t.Run(kind.String(), func(t *testing.T) {
			for _, test := range []struct {
				name string
				f    func(t *testing.T, b *testbench)
			}{
				{"frames keep their order", framesKeepTheirOrder},
				{"flush never waits", flushNeverWaits},
				{"memory that is lent", lentMemory},
				{"memory that is given back", memoryGivenBack},
				{"drain delivers what is there", drainDelivers},
				{"drain delivers what is there, also late", drainDeliversLate},
				{"drain is bounded", drainIsBounded},
				{"drain is bounded in a flood", drainIsBoundedInAFlood},
				{"close from everywhere", closeFromEverywhere},
				{"nothing after close", nothingAfterClose},
				{"the end of the stream", endOfTheStream},
				{"a cut frame", cutFrame},
				{"garbage", garbage},
				{"a refused frame", refusedFrame},
				{"a worker that does not read any more", brokenPipe},
			} {
				if kind == Rings && test.name == "a worker that does not read any more" {
					continue // it can be seen by its death only
				}
				t.Run(test.name, func(t *testing.T) { test.f(t, newTestbench(t, kind)) })
			}
		})
	}
}

// Frames arrive whole, in the order of Enqueue, from whatever goroutine; what is
// reusable is used for something else at once.
func framesKeepTheirOrder(t *testing.T, b *testbench) {
	const many = 4000
	var mu sync.Mutex
	next := uint64(0)
	var senders sync.WaitGroup
	for lane := range 8 {
		senders.Go(func() {
			for range many / 8 {
				mu.Lock()
				next++
				body := make([]byte, 8+int(next*7919)%200)
				if next%100 == 0 {
					body = make([]byte, smallFrame+int(next))
				}
				binary.BigEndian.PutUint64(body, next)
				frame := wire.AppendFrame(nil, wire.KindCall, next, body)
				reusable, err := b.transport.Enqueue(frame, nil)
				mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if reusable {
					clear(frame)
				}
				b.transport.Flush(lane%2 == 0)
			}
		})
	}
	r := wire.NewReader(b.calls, 1<<20)
	promptly(t, "all frames", func() {
		for id := uint64(1); id <= many; id++ {
			f, err := r.Next()
			if err != nil || f.ID != id || binary.BigEndian.Uint64(f.Body) != id {
				t.Errorf("frame %d instead of %d, %v", f.ID, id, err)
				return
			}
		}
	})
	senders.Wait()
}

// lent enqueues a frame whose body is mostly in memory of the caller's.
func (b *testbench) lent(id uint64, tail []byte) *loan {
	b.t.Helper()
	frame := wire.Begin(nil, wire.KindCall, id)
	must(b.t, wire.EndSplit(frame, 0, len(tail), 64<<20))
	l := lend(tail)
	_, err := b.transport.Enqueue(frame, l)
	must(b.t, err)
	return l
}

// Frames whose tails are elsewhere arrive whole and in their order.
func lentMemory(t *testing.T, b *testbench) {
	sizes := []int{1, 100, smallFrame, 100_000, 3 << 20, 5, 1 << 20}
	go func() {
		for i, size := range sizes {
			b.lent(uint64(2*i+1), bytes.Repeat([]byte{byte(i)}, size))
			if _, err := b.transport.Enqueue(seven(uint64(2*i+2)), nil); err != nil {
				t.Error(err)
			}
			b.transport.Flush(i%2 == 0)
		}
	}()
	r := wire.NewReader(b.calls, 64<<20)
	promptly(t, "all frames", func() {
		for i, size := range sizes {
			f, err := r.Next()
			if err != nil || !bytes.Equal(f.Body, bytes.Repeat([]byte{byte(i)}, size)) {
				t.Errorf("frame %d has %d bytes, want %d, %v", i, len(f.Body), size, err)
				return
			}
			if f, err = r.Next(); err != nil || f.ID != uint64(2*i+2) {
				t.Errorf("frame %d instead of %d, %v", f.ID, 2*i+2, err)
				return
			}
		}
	})
}

// A caller that leaves while its memory is being written, and writes to it: what
// arrives is what it had sent. It does not wait for a worker that does not read.
func memoryGivenBack(t *testing.T, b *testbench) {
	const size = 8 << 20
	var loans []*loan
	var memory [][]byte
	for id := range uint64(3) {
		memory = append(memory, bytes.Repeat([]byte{byte(id + 1)}, size))
		loans = append(loans, b.lent(id+1, memory[id]))
		b.transport.Flush(false)
	}
	r := wire.NewReader(&slowReader{b.calls, loans, memory, 0}, 64<<20)
	promptly(t, "all frames", func() {
		for id := range uint64(3) {
			f, err := r.Next()
			if err != nil || !bytes.Equal(f.Body, bytes.Repeat([]byte{byte(id + 1)}, size)) {
				t.Errorf("frame %d is not what was sent, %v", id, err)
			}
		}
	})
}

// slowReader ends a loan at the beginning, in the middle and before the last of its
// bytes, and scribbles over the memory.
type slowReader struct {
	from   io.Reader
	loans  []*loan
	memory [][]byte
	n      int
}

func (s *slowReader) Read(p []byte) (int, error) {
	for i := range s.loans {
		if s.loans[i] != nil && s.n >= (12*i)<<20 { // 0, and some of the second and of the third
			s.loans[i].end()
			clear(s.memory[i])
			s.loans[i] = nil
		}
	}
	n, err := s.from.Read(p[:min(len(p), 64<<10)])
	s.n += n
	return n, err
}

// Nobody reads, and the one who sends does not notice.
func flushNeverWaits(t *testing.T, b *testbench) {
	promptly(t, "the end of Flush", func() {
		for id := range uint64(64) {
			if _, err := b.transport.Enqueue(wire.AppendFrame(nil, wire.KindCall, id+1, make([]byte, 256<<10)), nil); err != nil {
				t.Error(err)
			}
			b.transport.Flush(id%2 == 0)
		}
	})
}

// What a worker had written before it died is not lost.
func drainDelivers(t *testing.T, b *testbench) {
	for id := range uint64(100) {
		b.answers.Write(seven(id + 1))
	}
	b.answers.Close()
	promptly(t, "the end of Drain", func() { b.transport.Drain(time.Hour) })
	if got := b.delivered(); len(got) != 100 || !slices.IsSorted(got) {
		t.Errorf("delivered %v", got)
	}
	if _, err := b.transport.Enqueue(seven(1), nil); err == nil {
		t.Error("it takes frames after Drain")
	}
}

// This process may be so busy that the time of Drain is over before it has come
// to read at all.
func drainDeliversLate(t *testing.T, b *testbench) {
	b.mu.Lock()
	b.pause = make(chan struct{})
	b.mu.Unlock()
	for id := range uint64(3000) { // less than a pipe holds, more than is read at once
		b.answers.Write(seven(id + 1))
	}
	drained := make(chan struct{})
	go func() { defer close(drained); b.transport.Drain(0) }()
	time.Sleep(10 * time.Millisecond)
	close(b.pause)
	await(t, "the end of Drain", drained)
	if got := b.delivered(); len(got) != 3000 || !slices.IsSorted(got) {
		t.Errorf("%d were delivered", len(got))
	}
}

func drainIsBoundedInAFlood(t *testing.T, b *testbench) {
	go io.Copy(b.answers, endless{})
	until(t, "frames", func() bool { return len(b.delivered()) > 10 })
	promptly(t, "the end of Drain", func() { b.transport.Drain(20 * time.Millisecond) })
}

// Somebody who has inherited the other end holds it open, and may even write.
func drainIsBounded(t *testing.T, b *testbench) {
	b.answers.Write(seven(1))
	until(t, "the frame", func() bool { return len(b.delivered()) == 1 })
	b.answers.Write(seven(2)[:10]) // and a frame that will never end
	promptly(t, "the end of Drain", func() { b.transport.Drain(20 * time.Millisecond) })
	if err := b.firstEnd(); err != nil {
		t.Errorf("it is to blame: %v", err)
	}
	if got := b.delivered(); !slices.Equal(got, []uint64{1}) {
		t.Errorf("delivered %v", got)
	}
}

func closeFromEverywhere(t *testing.T, b *testbench) {
	go io.Copy(b.answers, endless{})
	promptly(t, "the end of Close", func() {
		var all sync.WaitGroup
		for i := range 30 {
			all.Go(func() {
				switch i % 3 {
				case 0:
					b.transport.Drain(time.Millisecond)
				case 1:
					_, _ = b.transport.Enqueue(seven(1), nil)
					b.transport.Flush(false)
				}
				b.transport.Close()
			})
		}
		all.Wait()
	})
	if _, err := b.transport.Enqueue(seven(1), nil); err == nil {
		t.Error("it takes frames after Close")
	}
	b.transport.Flush(true)
	b.transport.Drain(time.Hour)
}

// endless is a worker that never stops answering.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, seven(1)), nil }

func nothingAfterClose(t *testing.T, b *testbench) {
	go io.Copy(b.answers, endless{})
	until(t, "frames", func() bool { return len(b.delivered()) > 10 })
	promptly(t, "the end of Close", b.transport.Close)
	n := len(b.delivered())
	time.Sleep(10 * time.Millisecond)
	if m := len(b.delivered()); m != n {
		t.Errorf("%d frames were delivered after Close", m-n)
	}
}

func endOfTheStream(t *testing.T, b *testbench) {
	b.answers.Write(seven(1))
	b.answers.Close()
	if err := b.firstEnd(); err != nil || len(b.delivered()) != 1 {
		t.Error(err, b.delivered())
	}
}

func cutFrame(t *testing.T, b *testbench) {
	b.answers.Write(append(seven(1), seven(2)[:16]...))
	b.answers.Close()
	if err := b.firstEnd(); err != nil || len(b.delivered()) != 1 {
		t.Error(err, b.delivered())
	}
}

func garbage(t *testing.T, b *testbench) {
	b.answers.Write(append(seven(1), "no frame at all, this"...))
	if _, ok := errors.AsType[*wire.ProtocolError](b.firstEnd()); !ok || len(b.delivered()) != 1 {
		t.Error(b.ended, b.delivered())
	}
}

// An error from the one who takes a frame is the end of the reading.
func refusedFrame(t *testing.T, b *testbench) {
	b.mu.Lock()
	b.fail = errors.New("not that one")
	b.mu.Unlock()
	b.answers.Write(append(seven(1), seven(2)...))
	if err := b.firstEnd(); !errors.Is(err, b.fail) || len(b.delivered()) != 1 {
		t.Error(err, b.delivered())
	}
}

// A worker that has closed its end is gone; it has done nothing wrong.
func brokenPipe(t *testing.T, b *testbench) {
	b.calls.Close()
	_, _ = b.transport.Enqueue(seven(1), nil)
	b.transport.Flush(false)
	if err := b.firstEnd(); err != nil {
		t.Error(err)
	}
	until(t, "no frames are taken", func() bool {
		_, err := b.transport.Enqueue(seven(1), nil)
		return err != nil
	})
}
