//go:build unix

package output

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

// limit bounds every wait of the tests.
const limit = 10 * time.Second

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return r, w
}

// within fails the test if f takes longer than the limit.
func within(t testing.TB, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(limit):
		buf := make([]byte, 1<<20)
		t.Fatalf("took too long:\n%s", buf[:runtime.Stack(buf, true)])
	}
}

// checkLeaks fails the test if it leaves goroutines or descriptors behind.
func checkLeaks(t testing.TB) {
	t.Helper()
	files := func() int { names, _ := os.ReadDir("/dev/fd"); return len(names) }
	r, w, _ := os.Pipe() // opens the poller's own descriptors, too
	r.Close()
	w.Close()
	goroutines, before := runtime.NumGoroutine(), files()
	t.Cleanup(func() {
		for deadline := time.Now().Add(limit); runtime.NumGoroutine() > goroutines || files() != before; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("goroutines %d -> %d, descriptors %d -> %d", goroutines, runtime.NumGoroutine(), before, files())
				return
			}
		}
	})
}

// log gathers what a Drain hands out.
type log struct {
	mu      sync.Mutex
	lines   []string
	cut     []bool
	dropped uint64
}

func (l *log) options() Options {
	return Options{LinesPerSecond: -1, Line: l.line, Dropped: l.drop}
}

func (l *log) line(line []byte, truncated bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(line))
	l.cut = append(l.cut, truncated)
}

func (l *log) drop(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped += n
}

func TestLinesAndTail(t *testing.T) {
	for _, test := range []struct {
		name, in string
		lines    []string
	}{
		{"nothing", "", nil},
		{"one", "a\n", []string{"a"}},
		{"empty lines", "\n\na\n\n", []string{"", "", "a", ""}},
		{"no line end", "a\nb", []string{"a", "b"}},
		{"CRLF", "a\r\nb\r\n", []string{"a", "b"}},
		{"CR in a line", "10%\r20%\n", []string{"10%\ufffd20%"}},
		{"NUL", "a\x00b\n", []string{"a\ufffdb"}},
		{"invalid UTF-8", "\xff\xfea\n", []string{"\ufffd\ufffda"}},
		{"UTF-8", "h\u00e4\u4e16\n", []string{"h\u00e4\u4e16"}},
		{"escape", "\x1b[31mred\x9b\n", []string{"\ufffd[31mred\ufffd"}},
		{"C1 control", "a\u0085b\n", []string{"a\ufffdb"}},
		{"tab", "a\tb\n", []string{"a\tb"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkLeaks(t)
			var got log
			r, w := pipe(t)
			d := New(r, got.options())
			io.WriteString(w, test.in)
			w.Close()
			within(t, d.Wait)
			if !slices.Equal(got.lines, test.lines) || got.dropped != 0 {
				t.Errorf("lines %q, want %q", got.lines, test.lines)
			}
			if d.Tail() != test.in {
				t.Errorf("tail %q", d.Tail())
			}
		})
	}
}

// The lines do not depend on how the bytes are cut into pieces.
func TestSplitter(t *testing.T) {
	const in = "one\r\n\n12345678\n12345678\r\n123456789\n" + "1234567890123\r\n12345678\r\r\n12345678\rx\nlast"
	want := "one/false /false 12345678/false 12345678/false 12345678/true 12345678/true 12345678/true 12345678/true last/false "
	readers := map[string]io.Reader{
		"whole": strings.NewReader(in),
		"bytes": iotest.OneByteReader(strings.NewReader(in)),
		"half":  iotest.HalfReader(strings.NewReader(in)),
	}
	for name, r := range readers {
		var got strings.Builder
		s := newSplitter(8, func(line []byte, truncated bool) { fmt.Fprintf(&got, "%s/%v ", line, truncated) })
		buf := make([]byte, 64)
		for {
			n, err := r.Read(buf)
			s.write(buf[:n])
			if err != nil {
				break
			}
		}
		s.flush()
		if got.String() != want {
			t.Errorf("%s: %s, want %s", name, got.String(), want)
		}
	}
}

func FuzzSplitter(f *testing.F) {
	f.Add([]byte("a\r\nb\n\nc"), 3, 8)
	f.Fuzz(func(t *testing.T, in []byte, step, max int) {
		step, max = 1+step&0xff, 1+max&0xff
		var got, want []string
		s := newSplitter(max, func(line []byte, truncated bool) {
			got = append(got, fmt.Sprintf("%q %v", line, truncated))
		})
		for chunk := range slices.Chunk(in, step) {
			s.write(chunk)
		}
		s.flush()
		for line := range bytes.Lines(in) {
			line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
			want = append(want, fmt.Sprintf("%q %v", line[:min(len(line), max)], len(line) > max))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: lines %q, want %q", in, got, want)
		}
	})
}

func TestTail(t *testing.T) {
	for _, test := range []struct {
		max    int
		writes []string
		want   string
	}{
		{10, []string{"abc\n", "def\n"}, "abc\ndef\n"},
		{10, []string{"0123456789"}, "0123456789"},
		{10, []string{"abc\n", "def\n", "ghi\n"}, "def\nghi\n"},
		{8, []string{"abc\n", "def\n", "ghi\n"}, "def\nghi\n"}, // cut at a line's end
		{10, []string{"abc\ndef\nghi\njkl"}, "ghi\njkl"},
		{4, []string{"0123456789abcdef"}, "cdef"},
		{4, []string{"0123456789abcde\n"}, "cde\n"}, // one line, longer than what is kept
		{4, []string{"01", "23", "45\n", "6"}, "6"},
		{5, []string{"\xff\x00\r\n", "\n"}, "\xff\x00\r\n\n"},
		{3, nil, ""},
	} {
		tail := newTail(test.max)
		for _, w := range test.writes {
			tail.write([]byte(w))
		}
		if got := tail.String(); got != test.want {
			t.Errorf("%q in %d: %q, want %q", test.writes, test.max, got, test.want)
		}
	}
}

func FuzzTail(f *testing.F) {
	f.Add([]byte("abc\ndef\nghi"), 3, 8)
	f.Fuzz(func(t *testing.T, in []byte, step, max int) {
		step, max = 1+step&0xff, 1+max&0xff
		tail := newTail(max)
		for chunk := range slices.Chunk(in, step) {
			tail.write(chunk)
		}
		got := tail.String()
		if len(got) > max || !bytes.HasSuffix(in, []byte(got)) {
			t.Errorf("%q from %q", got, in)
		}
		before := in[:len(in)-len(got)]
		if len(before) > 0 && before[len(before)-1] != '\n' && len(got) < max {
			t.Errorf("%q begins within a line of %q", got, in)
		}
	})
}

// A flood ends soon whatever the logger does, and needs little memory.
func TestFloodWithStuckLogger(t *testing.T) {
	checkLeaks(t)
	const size = 64 << 20
	r, w := pipe(t)
	stuck := make(chan struct{})
	var got log
	o := got.options()
	o.Line = func(line []byte, truncated bool) {
		<-stuck
		got.line(line, truncated)
	}
	d := New(r, o)
	before := heap()
	within(t, func() { flood(t, w, size) })
	if grown := heap() - before; grown > 8<<20 {
		t.Errorf("the heap has grown by %d KiB", grown>>10)
	}
	w.Close()
	within(t, func() { d.Close(limit) })
	if tail := d.Tail(); len(tail) < 60<<10 || len(tail) > 64<<10 || !strings.HasSuffix(tail, floodLine) || !strings.HasPrefix(tail, floodLine) {
		t.Errorf("tail of %d bytes: %.80q", len(tail), tail)
	}
	close(stuck)
	within(t, d.Wait)
	if n := uint64(len(got.lines)); n+got.dropped != size/uint64(len(floodLine)) {
		t.Errorf("%d lines and %d dropped, want %d", n, got.dropped, size/len(floodLine))
	}
}

const floodLine = "0123456789012345678901234567890123456789012345678901234567890 x\n" // 64 bytes

func flood(t *testing.T, w io.Writer, size int) {
	block := []byte(strings.Repeat(floodLine, 1024))
	for range size / len(block) {
		if _, err := w.Write(block); err != nil {
			t.Error(err)
			return
		}
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// One line that never ends needs no memory either.
// A long report about a death does not push out what was said before it.
func TestReportLeavesTheLastWords(t *testing.T) {
	r, w := pipe(t)
	var dying atomic.Bool
	d := New(r, Options{Tail: 4 << 10, Dying: dying.Load})
	const words = "cannot go on\n"
	if _, err := io.WriteString(w, strings.Repeat("x\n", 2<<10)+words); err != nil {
		t.Fatal(err)
	}
	for !strings.HasSuffix(d.Tail(), words) {
		time.Sleep(time.Millisecond)
	}
	dying.Store(true)
	if _, err := io.WriteString(w, "report"+strings.Repeat("y", 100<<10)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	d.Close(time.Second)
	if _, report, found := strings.Cut(d.Tail(), words); !found || len(report) != 1<<10 || !strings.HasPrefix(report, "reportyyy") {
		t.Errorf("the tail of %d bytes ends with %q", len(d.Tail()), d.Tail()[len(d.Tail())-100:])
	}
}

func TestEndlessLine(t *testing.T) {
	checkLeaks(t)
	r, w := pipe(t)
	var got log
	d := New(r, got.options())
	block := bytes.Repeat([]byte("x"), 1<<20)
	before := heap()
	within(t, func() {
		for range 32 {
			w.Write(block)
		}
	})
	if grown := heap() - before; grown > 4<<20 {
		t.Errorf("the heap has grown by %d KiB", grown>>10)
	}
	w.Close()
	within(t, d.Wait)
	if len(got.lines) != 1 || len(got.lines[0]) != defaultMaxLine || !got.cut[0] {
		t.Errorf("%d lines, %v", len(got.lines), got.cut)
	}
	if len(d.Tail()) != defaultTail {
		t.Errorf("tail of %d bytes", len(d.Tail()))
	}
}

// A grandchild that keeps the pipe open cannot hold up the end.
func TestCloseWithOpenPipe(t *testing.T) {
	checkLeaks(t)
	r, w := pipe(t)
	var got log
	d := New(r, got.options())
	io.WriteString(w, "last words")
	within(t, func() { d.Close(10 * time.Millisecond) })
	within(t, d.Wait)
	if d.Tail() != "last words" || !slices.Equal(got.lines, []string{"last words"}) {
		t.Errorf("tail %q, lines %q", d.Tail(), got.lines)
	}
	if _, err := io.WriteString(w, "x"); err == nil {
		t.Error("the reading end is still open")
	}
}

// What was written before Close is kept, even without any grace, and however
// full the pipe is.
func TestCloseKeepsWhatIsThere(t *testing.T) {
	checkLeaks(t)
	for range 100 {
		r, w := pipe(t)
		fd := int(w.Fd())
		if err := syscall.SetNonblock(fd, true); err != nil {
			t.Fatal(err)
		}
		d := &Drain{file: r, tail: newTail(1 << 20), ended: make(chan struct{}), idle: make(chan struct{})}
		n := 0
		for {
			m, err := syscall.Write(fd, []byte(floodLine))
			if err != nil {
				break
			}
			n += m
		}
		r.SetReadDeadline(time.Now()) // as if the reading goroutine had not had its turn yet
		go d.run(func() {})
		within(t, func() { d.Close(0) })
		if got := len(d.Tail()); got != n || n < 4096 {
			t.Fatalf("tail of %d bytes, want %d", got, n)
		}
		w.Close()
	}
}

// A grandchild that goes on writing for ever cannot hold up the end.
func TestCloseDuringFlood(t *testing.T) {
	checkLeaks(t)
	r, w := pipe(t)
	d := New(r, Options{})
	var writer sync.WaitGroup
	writer.Go(func() {
		block := []byte(strings.Repeat(floodLine, 1024))
		for {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	within(t, func() { d.Close(20 * time.Millisecond) })
	within(t, writer.Wait)
}

func TestCloseFromManyGoroutines(t *testing.T) {
	checkLeaks(t)
	for range 50 {
		r, w := pipe(t)
		d := New(r, (&log{}).options())
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() { d.Close(time.Duration(i%2) * time.Millisecond); d.Tail(); d.Wait() })
		}
		all.Go(func() { io.WriteString(w, "x\n"); w.Close() })
		within(t, all.Wait)
	}
}

// A file that knows no deadlines does not hold up Close.
func TestCloseWithoutDeadline(t *testing.T) {
	var fds [2]int
	if err := syscall.Pipe(fds[:]); err != nil {
		t.Fatal(err)
	}
	r := os.NewFile(uintptr(fds[0]), "blocking")
	w := os.NewFile(uintptr(fds[1]), "w")
	d := New(r, Options{})
	within(t, func() { d.Close(time.Millisecond) })
	w.Close()
	within(t, d.Wait)
}

// CatchUp returns when what was in the pipe is in the tail, and the reading goes on.
func TestCatchUp(t *testing.T) {
	checkLeaks(t)
	r, w := pipe(t)
	d := New(r, Options{})
	for n := range 200 {
		fmt.Fprintf(w, "line %d\n", n)
		within(t, func() { d.CatchUp(limit) })
		if want := fmt.Sprintf("line %d\n", n); !strings.HasSuffix(d.Tail(), want) {
			t.Fatalf("the tail ends in %q, not in %q", d.Tail()[max(0, len(d.Tail())-20):], want)
		}
	}
	io.WriteString(w, "and the end\n")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { d.CatchUp(limit) })
	}
	all.Go(func() { d.Close(limit) })
	w.Close()
	within(t, all.Wait)
	within(t, d.Wait)
	d.CatchUp(limit)
	if !strings.HasSuffix(d.Tail(), "line 199\nand the end\n") {
		t.Errorf("%q", d.Tail())
	}
}

// A pipe that somebody else holds open does not hold up Close after CatchUp.
func TestCloseWhileCatchingUp(t *testing.T) {
	checkLeaks(t)
	for range 100 {
		r, w := pipe(t)
		d := New(r, Options{})
		io.WriteString(w, "last words\n")
		var all sync.WaitGroup
		all.Go(func() { d.CatchUp(limit) })
		all.Go(func() { d.Close(0) })
		within(t, all.Wait)
		if d.Tail() != "last words\n" {
			t.Fatalf("%q", d.Tail())
		}
		w.Close()
	}
}
