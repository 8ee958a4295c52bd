package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"runtime"
	"testing"
	"testing/iotest"
)

// stream is three frames: an empty body, a small and a larger one.
func stream() ([]byte, []Frame) {
	frames := []Frame{
		{Kind: KindPing, ID: 7},
		{Kind: KindAnswer, ID: 1, Body: []byte{0x43, 1, 2, 3}},
		{Kind: KindItem, ID: 1 << 40, Body: appendBytes(nil, bytes.Repeat([]byte{9}, 70_000))},
	}
	var b []byte
	for _, f := range frames {
		b = AppendFrame(b, f.Kind, f.ID, f.Body)
	}
	return b, frames
}

func same(a, b Frame) bool {
	return a.Kind == b.Kind && a.ID == b.ID && bytes.Equal(a.Body, b.Body)
}

// readAll returns every frame of src, with copied bodies, and the error that ended it.
func readAll(src io.Reader, limit int) ([]Frame, error) {
	r := NewReader(src, limit)
	var all []Frame
	for {
		f, err := r.Next()
		if err != nil {
			return all, err
		}
		f.Body = bytes.Clone(f.Body)
		all = append(all, f)
	}
}

func TestReaderHoweverBytesArrive(t *testing.T) {
	b, want := stream()
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"all at once":      func(r io.Reader) io.Reader { return r },
		"one byte a time":  iotest.OneByteReader,
		"half of each":     iotest.HalfReader,
		"EOF with data":    iotest.DataErrReader,
		"empty reads":      func(r io.Reader) io.Reader { return &lazyReader{r: r} },
		"one byte and EOF": func(r io.Reader) io.Reader { return iotest.DataErrReader(iotest.OneByteReader(r)) },
	} {
		got, err := readAll(wrap(bytes.NewReader(b)), DefaultLimit)
		if err != io.EOF || len(got) != len(want) {
			t.Fatalf("%s: %d frames, %v", name, len(got), err)
		}
		for i := range want {
			if !same(got[i], want[i]) {
				t.Errorf("%s: frame %d differs", name, i)
			}
		}
	}
}

// lazyReader returns nothing every other time.
type lazyReader struct {
	r    io.Reader
	lazy bool
}

func (l *lazyReader) Read(p []byte) (int, error) {
	if l.lazy = !l.lazy; l.lazy {
		return 0, nil
	}
	return l.r.Read(p)
}

func TestReaderCutAtEveryByte(t *testing.T) {
	var b []byte
	boundary := map[int]int{0: 0} // offset to the number of frames before it
	for i := range 3 {
		b = AppendFrame(b, KindAnswer, uint64(i+1), appendText(nil, "some text that is a body"))
		boundary[len(b)] = i + 1
	}
	for cut := range len(b) + 1 {
		got, err := readAll(bytes.NewReader(b[:cut]), DefaultLimit)
		n, clean := boundary[cut]
		switch {
		case clean && (err != io.EOF || len(got) != n):
			t.Errorf("cut at %d, a boundary: %d frames, %v", cut, len(got), err)
		case !clean && err != io.ErrUnexpectedEOF:
			t.Errorf("cut at %d: %v, want io.ErrUnexpectedEOF", cut, err)
		}
	}
}

// Each flipped bit of the first four bytes is refused. A flip in the id or the length cannot be seen in the header
// itself; the length then disagrees with what follows.
func TestReaderRefusesFlippedHeaderBits(t *testing.T) {
	b := AppendFrame(nil, KindAnswer, 1, appendText(nil, "body"))
	for bit := range 32 {
		flipped := bytes.Clone(b)
		flipped[bit/8] ^= 1 << (bit % 8)
		got, err := readAll(bytes.NewReader(flipped), DefaultLimit)
		if bit/8 == 1 && len(got) == 1 && got[0].Kind != KindAnswer {
			continue // another known kind: the channel decides whether it may be
		}
		var fault *ProtocolError
		if !errors.As(err, &fault) {
			t.Errorf("bit %d of byte %d: %v, want a ProtocolError", bit%8, bit/8, err)
		}
	}
	for bit := 32; bit < 64; bit++ {
		flipped := bytes.Clone(b)
		flipped[bit/8] ^= 1 << (bit % 8)
		if _, err := readAll(bytes.NewReader(flipped), DefaultLimit); err == io.EOF {
			t.Errorf("bit %d of the length: not noticed", bit-32)
		}
	}
}

func TestReaderFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		header [4]byte
		want   Fault
	}{
		{"magic", [4]byte{'P', 17, 0, 1}, BadMagic},
		{"version", [4]byte{magic, 17, 0, 2}, BadVersion},
		{"kind zero", [4]byte{magic, 0, 0, 1}, UnknownKind},
		{"kind zero, optional", [4]byte{magic, 0, 1, 1}, UnknownKind},
		{"kind between", [4]byte{magic, 14, 0, 1}, UnknownKind},
		{"kind beyond", [4]byte{magic, 255, 0, 1}, UnknownKind},
		{"flag on a known kind", [4]byte{magic, 17, 1, 1}, BadFlags},
		{"unknown flag", [4]byte{magic, 200, 3, 1}, BadFlags},
	} {
		r := NewReader(bytes.NewReader(append(c.header[:], make([]byte, 12)...)), 100)
		_, err := r.Next()
		var fault *ProtocolError
		if !errors.As(err, &fault) || fault.Fault != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, again := r.Next(); again != err {
			t.Errorf("%s: the second Next returned %v; the error must be final", c.name, again)
		}
	}
}

func TestReaderSkipsOptionalKinds(t *testing.T) {
	unknown := AppendFrame(nil, Kind(99), 5, []byte("whatever"))
	unknown[2] = flagOptional
	b := append(unknown, AppendFrame(nil, KindPong, 6, nil)...)
	got, err := readAll(bytes.NewReader(b), 100)
	if err != io.EOF || len(got) != 1 || got[0].ID != 6 {
		t.Fatalf("%v, %v", got, err)
	}
}

func TestReaderLimit(t *testing.T) {
	body := make([]byte, 100)
	if got, err := readAll(bytes.NewReader(AppendFrame(nil, KindAnswer, 1, body)), 100); err != io.EOF || len(got) != 1 {
		t.Errorf("at the limit: %v", err)
	}
	_, err := readAll(bytes.NewReader(AppendFrame(nil, KindAnswer, 1, body)), 99)
	var size *SizeError
	if !errors.As(err, &size) || size.Size != 100 || size.Limit != 99 || size.Kind != KindAnswer {
		t.Errorf("over the limit: %v", err)
	}
}

// heapDuring returns how many bytes f has allocated.
func heapDuring(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestReaderDoesNotBelieveLengths(t *testing.T) {
	for _, claim := range []uint32{1 << 16, 1 << 24, 1 << 30, 1<<32 - 1} {
		lie := AppendFrame(nil, KindAnswer, 1, nil)
		binary.BigEndian.PutUint32(lie[4:], claim)
		for _, sent := range []int{0, 1, 10_000, 100_000} {
			src := bytes.NewReader(append(bytes.Clone(lie), make([]byte, min(sent, int(claim)-1))...))
			r := NewReader(src, MaxLimit)
			used := heapDuring(func() { _, _ = r.Next() })
			if limit := uint64((trust+2)*sent + 2*baseBuffer); used > limit {
				t.Errorf("claim %d, sent %d: allocated %d, more than %d", claim, sent, used, limit)
			}
			if len(r.buf) > trust*(sent+HeaderSize)+baseBuffer {
				t.Errorf("claim %d, sent %d: the buffer has %d bytes", claim, sent, len(r.buf))
			}
		}
	}
}

// frames generates equal frames without end.
type frames struct {
	frame []byte
	at    int
}

func (f *frames) Read(p []byte) (int, error) {
	n := copy(p, f.frame[f.at:])
	f.at = (f.at + n) % len(f.frame)
	return n, nil
}

func TestReaderDoesNotAllocatePerFrame(t *testing.T) {
	for _, size := range []int{0, 16, 1000, 100_000, 1 << 20} {
		r := NewReader(&frames{frame: AppendFrame(nil, KindAnswer, 1, make([]byte, size))}, DefaultLimit)
		for range 3 {
			_, _ = r.Next()
		}
		if n := testing.AllocsPerRun(50, func() { _, _ = r.Next() }); n > 0 {
			t.Errorf("%d bytes: %v allocations per frame", size, n)
		}
	}
}

func TestReaderShrinksAgain(t *testing.T) {
	for _, c := range []struct{ size, after int }{{1 << 20, calmFrames + 2}, {8 << 20, 1}} {
		big := AppendFrame(nil, KindAnswer, 1, make([]byte, c.size))
		small := AppendFrame(nil, KindPong, 1, nil)
		r := NewReader(io.MultiReader(bytes.NewReader(big), &frames{frame: small}), DefaultLimit)
		if _, err := r.Next(); err != nil || len(r.buf) < c.size {
			t.Fatalf("buffer %d, %v", len(r.buf), err)
		}
		for range c.after {
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
		}
		if len(r.buf) > baseBuffer {
			t.Errorf("%d bytes of buffer are left after a frame of %d and %d small ones", len(r.buf), c.size, c.after)
		}
	}
}

func TestReaderGoesOnAfterSourceErrors(t *testing.T) {
	b, want := stream()
	r := NewReader(&flaky{r: iotest.OneByteReader(bytes.NewReader(b))}, DefaultLimit)
	for i := 0; i < len(want); {
		f, err := r.Next()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil:
			t.Fatal(err)
		case !same(f, want[i]):
			t.Fatalf("frame %d differs", i)
		default:
			i++
		}
	}
}

// flaky fails with a passed deadline every seventh time.
type flaky struct {
	r io.Reader
	n int
}

func (f *flaky) Read(p []byte) (int, error) {
	if f.n++; f.n%7 == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	return f.r.Read(p)
}

func TestReaderGivesUpOnASourceThatReturnsNothing(t *testing.T) {
	if _, err := readAll(nothing{}, 100); err != io.ErrNoProgress {
		t.Errorf("%v", err)
	}
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, nil }

func TestReaderBuffered(t *testing.T) {
	b, _ := stream()
	r := NewReader(bytes.NewReader(b[:2*HeaderSize+4]), DefaultLimit)
	for _, want := range []int{HeaderSize + 4, 0} {
		if _, err := r.Next(); err != nil || r.Buffered() != want {
			t.Errorf("buffered %d, want %d; %v", r.Buffered(), want, err)
		}
	}
}
