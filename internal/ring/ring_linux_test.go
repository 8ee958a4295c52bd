package ring

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// couple are both sides in one process.
func couple(t testing.TB) (*Ring, *Worker) {
	t.Helper()
	r, err := New(Options{})
	must(t, err)
	m, err := mapped(int(r.memory.Fd()))
	must(t, err)
	m.share()
	w := newWorker(m, bellOf(t, r.Answers.bell), bellOf(t, r.Calls.bell))
	t.Cleanup(func() { r.Close(); m.release() })
	return r, w
}

// bellOf is a worker's end of a bell.
func bellOf(t testing.TB, l *listener) int {
	t.Helper()
	fd := -1
	must(t, l.raw.Control(func(f uintptr) { fd, _ = unix.FcntlInt(f, unix.F_DUPFD_CLOEXEC, 0) }))
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// promptly runs f, which must not wait for long.
func promptly(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s takes more than 10 seconds", what)
	}
}

// Whatever is written in whatever pieces comes out, in whatever pieces it is read,
// both ways at once.
func TestStreams(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed, sizes := rapid.Uint64().Draw(rt, "seed"), rapid.SampledFrom([]int{1, 100, 20_000, 100_000, 3 * Size}).Draw(rt, "at most")
		r, w := couple(t)
		defer r.Close()
		promptly(t, "streaming", func() {
			var all sync.WaitGroup
			for lane, way := range []stream{{w.Calls, r.Calls}, {r.Answers, w.Answers}} {
				total := min(4*Size, 2000*sizes)
				all.Go(func() { sends(t, way, rand.New(rand.NewPCG(seed, uint64(lane))), total, sizes) })
				all.Go(func() { receives(t, way, rand.New(rand.NewPCG(seed, uint64(lane+2))), total, sizes) })
			}
			all.Wait()
		})
	})
}

// pattern is what is sent, at any place of it.
var pattern = func() []byte {
	b := make([]byte, 8*Size)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}()

func sends(t testing.TB, w io.Writer, rnd *rand.Rand, total, most int) {
	for at := 0; at < total; {
		some := pattern[at:min(at+1+rnd.IntN(most), total)]
		if _, err := w.Write(some); err != nil {
			t.Error(err)
			return
		}
		at += len(some)
	}
}

func receives(t testing.TB, r io.Reader, rnd *rand.Rand, total, most int) {
	b := make([]byte, most)
	for at := 0; at < total; {
		n, err := r.Read(b[:1+rnd.IntN(most)])
		if n <= 0 || err != nil || !bytes.Equal(b[:n], pattern[at:at+n]) {
			t.Errorf("%d bytes at %d, %v: or not those", n, at, err)
			return
		}
		at += n
	}
}

func init() {
	roles["answers late"] = func() {
		w, rnd, b := opened(), rand.New(rand.NewPCG(1, 2)), make([]byte, 8)
		for {
			_, _ = io.ReadFull(w.Calls, b)
			linger(rnd)
			_, _ = w.Answers.Write(b)
		}
	}
}

// linger takes about as long as the other side's patience, or no time.
func linger(rnd *rand.Rand) {
	limit := time.Duration(rnd.IntN(3)) * brief * time.Duration(90+rnd.IntN(20)) / 100
	for begin := time.Now(); time.Since(begin) < limit; {
	}
}

// No wake-up is lost, whichever way the other side waits just then.
func TestNoWakeUpIsLost(t *testing.T) {
	for _, test := range []struct {
		name string
		open func(*testing.T) stream
	}{
		{"process", func(t *testing.T) stream {
			r, _ := start(t, "answers late", Options{})
			return stream{r.Answers, r.Calls}
		}},
		{"process, spinning", func(t *testing.T) stream {
			r, _ := start(t, "answers late", Options{Spin: 20 * time.Microsecond})
			return stream{r.Answers, r.Calls}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, rnd, b := test.open(t), rand.New(rand.NewPCG(3, 4)), make([]byte, 8)
			promptly(t, "2000 round trips", func() {
				for range 2000 {
					_, err := s.Write(b)
					must(t, err)
					linger(rnd)
					_, err = io.ReadFull(s, b)
					must(t, err)
				}
			})
		})
	}
}

// A writer that has filled the ring goes on as soon as half of it is free,
// whichever side it is on.
func TestFullRing(t *testing.T) {
	r, w := couple(t)
	for _, way := range []stream{{w.Calls, r.Calls}, {r.Answers, w.Answers}} {
		in := bytes.Repeat([]byte("0123456789abcde"), 3*Size/15)
		var out []byte
		promptly(t, "three rings full", func() {
			go func() { _, _ = way.Write(in) }()
			for b := make([]byte, 1000); len(out) < len(in); {
				n, err := way.Read(b)
				must(t, err)
				out = append(out, b[:n]...)
				if len(out) < 10*len(b) {
					time.Sleep(2 * brief) // until the writer listens for its bell
				}
			}
		})
		if !bytes.Equal(in, out) {
			t.Error("other bytes came out")
		}
	}
}

func TestTryWrite(t *testing.T) {
	r, w := couple(t)
	for _, test := range []struct{ write, want, read int }{
		{0, 0, 0},
		{Size - 1, Size - 1, 0},
		{10, 1, 0},
		{10, 0, 100},
		{Size, 100, Size},
		{Size + 1, Size, Size},
	} {
		n, err := r.Calls.TryWrite(make([]byte, test.write))
		if n != test.want || err != nil {
			t.Errorf("%+v: %d, %v", test, n, err)
		}
		_, err = io.ReadFull(w.Calls, make([]byte, test.read))
		must(t, err)
	}
}

func TestPoll(t *testing.T) {
	r, w := couple(t)
	b := make([]byte, 10)
	for _, moment := range []time.Duration{0, time.Microsecond, time.Millisecond} {
		if n, err := r.Answers.Poll(b, moment); n != 0 || err != nil {
			t.Errorf("%v: %d, %v", moment, n, err)
		}
	}
	time.AfterFunc(time.Millisecond, func() { _, _ = w.Answers.Write([]byte("abc")) })
	promptly(t, "Poll", func() {
		if n, err := r.Answers.Poll(b, time.Hour); n != 3 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// A deadline ends a Read that waits, for its bell too, and then it works again.
func TestDeadline(t *testing.T) {
	r, w := couple(t)
	b := make([]byte, 10)
	late := func(what string, set func()) {
		t.Helper()
		promptly(t, what, func() {
			set()
			if n, err := r.Answers.Read(b); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %d, %v", what, n, err)
			}
		})
	}
	in := func(d time.Duration) { must(t, r.Answers.SetReadDeadline(time.Now().Add(d))) }
	for _, d := range []time.Duration{-time.Hour, 0, brief / 2, brief, 2 * brief, 20 * time.Millisecond} {
		late(d.String(), func() { in(d) })
		late("once more", func() {})
	}
	_, _ = w.Answers.Write([]byte("abc"))
	late("with something there", func() {})
	must(t, r.Answers.SetReadDeadline(time.Time{}))
	if n, err := r.Answers.Read(b); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	late("set meanwhile", func() { time.AfterFunc(5*time.Millisecond, func() { in(-1) }) })
	for range 2 * mostVain { // they are not the worker's fault
		late("again and again", func() { in(1) })
	}
}

// Close ends whoever waits, wherever, and the memory is not touched after it.
func TestClose(t *testing.T) {
	for round := range 200 {
		r, _ := couple(t)
		promptly(t, "Close", func() {
			var all sync.WaitGroup
			all.Go(func() {
				for b := make([]byte, 100); ; {
					if _, err := r.Answers.Read(b); err != nil {
						if !errors.Is(err, os.ErrClosed) {
							t.Error(err)
						}
						return
					}
				}
			})
			all.Go(func() {
				if _, err := r.Calls.Write(make([]byte, 2*Size)); !errors.Is(err, os.ErrClosed) {
					t.Error(err)
				}
			})
			linger(rand.New(rand.NewPCG(uint64(round), 0)))
			r.Close()
			all.Wait()
		})
		_, readErr := r.Answers.Poll(make([]byte, 1), time.Hour)
		_, writeErr := r.Calls.TryWrite(make([]byte, 1))
		if !errors.Is(readErr, os.ErrClosed) || !errors.Is(writeErr, os.ErrClosed) || !errors.Is(r.Answers.SetReadDeadline(time.Now()), os.ErrClosed) {
			t.Fatal(readErr, writeErr)
		}
		r.Answers.Last()
		r.Close()
	}
}

// A worker that is tried out in a process of somebody else can be ended.
func TestCloseOfTheWorker(t *testing.T) {
	_, w := couple(t)
	promptly(t, "the end", func() {
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := w.Calls.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
				t.Error(err)
			}
		})
		all.Go(func() {
			if _, err := w.Answers.Write(make([]byte, 2*Size)); !errors.Is(err, os.ErrClosed) {
				t.Error(err)
			}
		})
		time.Sleep(time.Millisecond)
		w.Close()
		all.Wait()
	})
}

// What a worker had written before its death comes, and then the end, at once.
func TestLast(t *testing.T) {
	r, w := couple(t)
	_, _ = w.Answers.Write([]byte("abc"))
	r.Answers.Last()
	if b, err := io.ReadAll(r.Answers); string(b) != "abc" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	r, _ = couple(t)
	promptly(t, "the end", func() {
		time.AfterFunc(2*brief, r.Answers.Last)
		if n, err := r.Answers.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Error(n, err)
		}
	})
}

// Somebody who writes on after the worker's death does not keep the parent.
func TestLastInAFlood(t *testing.T) {
	r, w := couple(t)
	r.Answers.Last()
	var over atomic.Bool
	var flood sync.WaitGroup
	flood.Go(func() {
		for b := make([]byte, Size); !over.Load(); {
			_, _ = w.Answers.to.put(b)
		}
	})
	defer flood.Wait()
	defer over.Store(true)
	promptly(t, "reading", func() {
		if b, err := io.ReadAll(io.LimitReader(r.Answers, 32*Size)); err != nil || len(b) > 3*Size {
			t.Errorf("%d, %v", len(b), err)
		}
	})
}

// Small traffic stays where it is cheap.
func TestSmallTrafficNeedsLittleMemory(t *testing.T) {
	r, w := couple(t)
	resident := func() int64 {
		var st unix.Stat_t
		must(t, unix.Fstat(int(r.memory.Fd()), &st))
		return st.Blocks * 512
	}
	before, b := resident(), make([]byte, 1000)
	for range 10_000 {
		for _, s := range []stream{{w.Calls, r.Calls}, {r.Answers, w.Answers}} {
			_, err := s.Write(b)
			must(t, err)
			_, err = io.ReadFull(s, b)
			must(t, err)
		}
	}
	if used := resident(); before > 4<<10 || used > 64<<10 {
		t.Errorf("%d bytes of memory at first, %d later", before, used)
	}
}

func init() {
	roles["attacks"] = func() { attack(3) }
	roles["inherits"] = func() {
		opened()
		out, err := exec.Command("/bin/sh", "-c", "ls -l /proc/$$/fd; cat /proc/$$/maps").CombinedOutput()
		if s := string(out); err != nil || strings.Contains(s, "verdigris-rings") || strings.Contains(s, "eventfd") {
			println(s)
			os.Exit(3)
		}
	}
}

// attack tries everything that could make the parent's access to the memory fault.
func attack(fd int) {
	for status, err := range []error{
		unix.Ftruncate(fd, 0),
		unix.Ftruncate(fd, 2*total),
		unix.Fallocate(fd, 0, 0, 2*total),
		func() error { _, err := unix.Pwrite(fd, []byte("x"), total); return err }(),
		func() error { _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); return err }(),
	} {
		if !errors.Is(err, unix.EPERM) {
			println("not refused:", err)
			os.Exit(10 + status)
		}
	}
}

func TestRoles(t *testing.T) {
	for _, role := range []string{"attacks", "inherits"} {
		if _, cmd := start(t, role, Options{}); cmd.Wait() != nil {
			t.Errorf("a worker that %s: %v", role, cmd.ProcessState)
		}
	}
}

// What is not a parent's is refused, and left as it is.
func TestOpenRefuses(t *testing.T) {
	r, err := New(Options{})
	must(t, err)
	defer r.Close()
	dup := func(fd int) int {
		fd, err := unix.Dup(fd)
		must(t, err)
		t.Cleanup(func() { _ = unix.Close(fd) })
		return fd
	}
	memory := dup(int(r.memory.Fd()))
	bells := [2]int{dup(bellOf(t, r.Answers.bell)), dup(bellOf(t, r.Calls.bell))}
	other, err := unix.MemfdCreate("other", unix.MFD_ALLOW_SEALING)
	must(t, err)
	must(t, unix.Ftruncate(other, total))
	defer unix.Close(other)
	sealed, err := create()
	must(t, err)
	defer sealed.Close()
	for _, test := range []struct {
		name string
		fds  [Files]int
		want string
	}{
		{"nothing", [Files]int{-1, -1, -1}, "passed"},
		{"own files", [Files]int{int(r.memory.Fd()), bells[0], bells[1]}, "passed"},
		{"no bell", [Files]int{memory, bells[0], 999}, "passed"},
		{"a bell", [Files]int{bells[0], bells[0], bells[1]}, "not a file"},
		{"not sealed", [Files]int{other, bells[0], bells[1]}, "not sealed"},
		{"nothing in it", [Files]int{dup(int(sealed.Fd())), bells[0], bells[1]}, "another way"},
	} {
		if w, err := Open(test.fds); w != nil || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if _, err := Open([Files]int{memory, bells[0], bells[1]}); err != nil {
		t.Error(err)
	}
}
