package ring

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func init() {
	roles["scribbles"] = func() {
		w := opened()
		m := &memory{mem: unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(w.Calls.from.lane), -callsAt)), total)}
		scribble(m, []int{4, 5}, rand.New(rand.NewPCG(uint64(os.Getpid()), 0)), func() bool { return false })
	}
}

// scribble writes anything anywhere, preferably where it hurts, and rings.
func scribble(m *memory, bells []int, rnd *rand.Rand, enough func() bool) {
	calls, _ := m.calls()
	answers, _ := m.answers()
	words := []*atomic.Uint64{&calls.head, &calls.base, &calls.tail, &answers.head, &answers.base, &answers.tail}
	flags := []*atomic.Uint32{&calls.sleeps, &calls.waits, &answers.sleeps, &answers.waits}
	values := []uint64{0, 1, 100, Size - 1, Size, Size + 1, 1 << 31, 1 << 32, 1 << 63, 1<<64 - 1}
	for !enough() {
		switch w := words[rnd.IntN(len(words))]; rnd.IntN(7) {
		case 0:
			w.Store(values[rnd.IntN(len(values))])
		case 1:
			w.Add(uint64(rnd.IntN(2000) - 1000))
		case 2:
			w.Add(values[rnd.IntN(len(values))])
		case 3:
			flags[rnd.IntN(len(flags))].Store(uint32(rnd.IntN(4)))
		case 4:
			futexWake(flags[rnd.IntN(len(flags))])
		case 5:
			_, _ = unix.Write(bells[rnd.IntN(2)], binary.NativeEndian.AppendUint64(nil, 1))
		case 6:
			m.mem[rnd.IntN(total)] = byte(rnd.Uint32())
		}
	}
}

// What cannot be is an error, both ways, and stays one.
func TestWrongIndices(t *testing.T) {
	for _, wrong := range []struct{ head, tail uint64 }{ // 100 bytes have been taken, Size have been written
		{99, Size + 1},
		{100 + Size + 1, Size + 100},
		{1 << 63, 1 << 63},
		{1<<64 - 1, 1<<64 - 1},
	} {
		r, w := couple(t)
		_, _ = w.Answers.Write(make([]byte, 100))
		_, _ = io.ReadFull(r.Answers, make([]byte, 100))
		_, _ = r.Calls.TryWrite(make([]byte, Size))
		w.Answers.to.lane.head.Store(wrong.head)
		w.Calls.from.lane.tail.Store(wrong.tail)
		for range 2 {
			_, err := r.Answers.Poll(make([]byte, 1), 0)
			if _, broken := errors.AsType[*BrokenError](err); !broken {
				t.Errorf("head %d: %v", wrong.head, err)
			}
			_, err = r.Calls.TryWrite(make([]byte, 1))
			if _, broken := errors.AsType[*BrokenError](err); !broken {
				t.Errorf("tail %d: %v", wrong.tail, err)
			}
		}
	}
}

// Whoever scribbles over the shared memory, and rings as often as he likes, can
// cause nothing but errors, of the right kind, and garbage.
func TestScribbler(t *testing.T) {
	for _, test := range []struct {
		name string
		open func(t *testing.T) *Ring
	}{
		{"thread", func(t *testing.T) *Ring {
			r, err := New(Options{Spin: 10 * time.Microsecond})
			must(t, err)
			m, err := mapped(int(r.memory.Fd()))
			must(t, err)
			bells := []int{bellOf(t, r.Answers.bell), bellOf(t, r.Calls.bell)}
			var over atomic.Bool
			var done sync.WaitGroup
			done.Go(func() { scribble(m, bells, rand.New(rand.NewPCG(1, 0)), over.Load) })
			t.Cleanup(func() { over.Store(true); done.Wait(); r.Close(); m.share().release() })
			return r
		}},
		{"process", func(t *testing.T) *Ring {
			r, _ := start(t, "scribbles", Options{})
			return r
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := test.open(t)
			var broken, fine atomic.Int64
			var all sync.WaitGroup
			look := func(n, most int, err error) {
				if n < 0 || n > most {
					t.Errorf("%d of %d bytes", n, most)
				}
				switch _, wrong := errors.AsType[*BrokenError](err); {
				case wrong:
					broken.Add(1)
				case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
					fine.Add(1)
				default:
					t.Error(err)
				}
			}
			begin := time.Now()
			enough := func() bool { // a process takes its time to begin
				d := time.Since(begin)
				return d > 300*time.Millisecond && broken.Load() > 0 || d > 8*time.Second
			}
			all.Go(func() {
				for b := make([]byte, 100_000); !enough(); {
					n, err := r.Answers.Poll(b, 50*time.Microsecond)
					look(n, len(b), err)
					must(t, r.Answers.SetReadDeadline(time.Now().Add(time.Millisecond)))
					n, err = r.Answers.Read(b)
					look(n, len(b), err)
				}
			})
			all.Go(func() {
				for b := make([]byte, 3*Size); !enough(); {
					n, err := r.Calls.TryWrite(b[:100_000])
					look(n, 100_000, err)
				}
			})
			promptly(t, "an attack", all.Wait)
			t.Logf("%d errors, %d without", broken.Load(), fine.Load())
			if broken.Load() == 0 || fine.Load() == 0 {
				t.Errorf("%d errors, %d without", broken.Load(), fine.Load())
			}
		})
	}
}

// Whoever only rings the bell, without anything to be there for, breaks the rules,
// and keeps nobody busy for long.
func TestBellRinger(t *testing.T) {
	for _, what := range []string{"bell", "word"} {
		r, w := couple(t)
		var over atomic.Bool
		var ringer sync.WaitGroup
		defer func() { over.Store(true); ringer.Wait() }()
		ringer.Go(func() {
			for n := uint64(0); !over.Load(); n++ {
				waker{w.Calls.from.rouse.bell}.ring()
				waker{w.Answers.to.rouse.bell}.ring()
				if what == "word" {
					w.Answers.to.lane.head.Store(n % 2) // there is something, and there is not
				}
				futexWake(&w.Answers.to.lane.sleeps)
			}
		})
		promptly(t, what, func() {
			var err error
			for b := make([]byte, 1); err == nil; {
				_, err = r.Answers.Read(b)
			}
			if _, broken := errors.AsType[*BrokenError](err); !broken {
				t.Error(err)
			}
			if what == "word" {
				return
			}
			_, err = r.Calls.Write(make([]byte, 2*Size))
			if _, broken := errors.AsType[*BrokenError](err); !broken {
				t.Error(err)
			}
		})
		over.Store(true)
		ringer.Wait()
	}
}

// Whatever a worker writes and rings between the parent's steps: errors that say
// what is wrong or bytes, no more than asked for.
func FuzzHostileMemory(f *testing.F) {
	f.Add([]byte{0, 0, 0, 5, 8, 100, 9, 10, 7, 0})
	f.Add([]byte{8, 200, 0, 2, 255, 8, 1, 9, 3, 3, 4, 1, 11, 9, 12})
	f.Add([]byte{12, 3, 0, 5, 0, 9, 255, 9, 255, 13, 9, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		r, w := couple(t)
		defer r.Close()
		playHostile(t, r, w, script)
	})
}

func playHostile(t *testing.T, r *Ring, w *Worker, script []byte) {
	next := func() (b byte) {
		if len(script) > 0 {
			b, script = script[0], script[1:]
		}
		return b
	}
	number := func() uint64 { return uint64(next())<<(next()%64) - uint64(next()%3) }
	calls, answers := w.Calls.from.lane, w.Answers.to.lane
	words := []*atomic.Uint64{&answers.head, &answers.base, &answers.tail, &calls.head, &calls.base, &calls.tail}
	flags := []*atomic.Uint32{&answers.sleeps, &answers.waits, &calls.sleeps, &calls.waits}
	buffer := make([]byte, 2*Size)
	for len(script) > 0 {
		var n, most int
		var err error
		switch op := next() % 14; op {
		case 0, 1, 2, 3, 4, 5:
			words[op].Store(number())
		case 6:
			flags[next()%4].Store(uint32(number()))
		case 7:
			waker{w.Answers.to.rouse.bell}.ring()
			waker{w.Calls.from.rouse.bell}.ring()
		case 8:
			most = int(number() % uint64(len(buffer)))
			n, err = r.Calls.TryWrite(buffer[:most])
		case 9:
			most = int(number() % uint64(len(buffer)))
			n, err = r.Answers.Poll(buffer[:most], time.Duration(next()%3)*time.Microsecond)
		case 10:
			must(t, r.Answers.SetReadDeadline(time.Now().Add(10*time.Microsecond)))
			most = len(buffer)
			n, err = r.Answers.Read(buffer)
		case 11:
			words[next()%6].Add(number())
		case 12:
			_, _ = w.Answers.to.put(buffer[:number()%Size])
		case 13:
			r.Answers.Last()
			must(t, r.Answers.SetReadDeadline(time.Now()))
			most = len(buffer)
			n, err = r.Answers.Read(buffer)
		}
		if _, broken := errors.AsType[*BrokenError](err); n < 0 || n > most || err != nil && !broken && err != io.EOF && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%d of %d bytes, %v", n, most, err)
		}
	}
}
