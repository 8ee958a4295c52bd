package wire

import (
	"bytes"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// What has been taken stays as it is, whatever the reader reads then, and what has not is read in full.
func TestTakenBodiesAreKept(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var stream []byte
	var want [][]byte
	for i := range 150 {
		size := []int{0, 10, 1000, 20_000, 70_000, 300_000}[r.IntN(6)] + r.IntN(20)
		body := bytes.Repeat([]byte{byte(i)}, size+1)
		want = append(want, body)
		stream = AppendFrame(stream, KindAnswer, uint64(i+1), body)
	}
	for name, src := range map[string]io.Reader{
		"at once":  bytes.NewReader(stream),
		"in parts": iotest.HalfReader(bytes.NewReader(stream)),
		"flaky":    &flaky{r: &pieces{bytes.NewReader(stream), 7919}},
	} {
		frames := NewReader(src, DefaultLimit)
		taken := map[int][]byte{}
		for i := 0; i < len(want); {
			f, err := frames.Next()
			if err != nil {
				if name == "flaky" && err != io.ErrUnexpectedEOF && err != io.EOF {
					continue
				}
				t.Fatalf("%s: frame %d: %v", name, i, err)
			}
			if !bytes.Equal(f.Body, want[i]) {
				t.Fatalf("%s: frame %d is not what was sent", name, i)
			}
			if r.IntN(2) == 0 {
				taken[i] = f.Take()
				if cap(taken[i]) > 2*len(taken[i])+64 {
					t.Errorf("%s: %d bytes hold %d", name, len(taken[i]), cap(taken[i]))
				}
			}
			i++
		}
		for i, body := range taken {
			if !bytes.Equal(body, want[i]) {
				t.Errorf("%s: frame %d of %d bytes has been written over", name, i, len(want[i]))
			}
		}
	}
}

// pieces returns so many bytes at a time at most.
type pieces struct {
	r    io.Reader
	most int
}

func (p *pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), p.most)]) }

// A large body is read into the memory in which it is handed over: what is allocated is its own size, and little more
// until it was believed.
func TestTakeDoesNotCopy(t *testing.T) {
	for _, size := range []int{64 << 10, 1 << 20, 16 << 20} {
		r := NewReader(&frames{frame: AppendFrame(nil, KindAnswer, 1, make([]byte, size))}, MaxLimit)
		for range 3 {
			f, _ := r.Next()
			f.Take()
		}
		const rounds = 8
		used := heapDuring(func() {
			for range rounds {
				f, _ := r.Next()
				f.Take()
			}
		})
		if each := used / rounds; each > uint64(size+size/8+2*baseBuffer) {
			t.Errorf("%d bytes allocated for a body of %d", each, size)
		}
	}
}

// A frame that is small for the buffer it stands in does not keep that in memory.
func TestTakeOfASmallFrameIsACopy(t *testing.T) {
	large, small := make([]byte, 1<<20), make([]byte, 40_000)
	stream := AppendFrame(AppendFrame(nil, KindAnswer, 1, large), KindAnswer, 2, small)
	r := NewReader(bytes.NewReader(stream), DefaultLimit)
	for range 2 {
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.ID == 2 {
			if got := f.Take(); len(got) != len(small) || &got[0] == &f.Body[0] {
				t.Error("not a copy")
			}
		}
	}
}

// Adopt and AppendSplit are Decode and Append, but for the memory.
func TestLongStringsStayWhereTheyAre(t *testing.T) {
	type file struct {
		Name string
		Data []byte
	}
	for _, size := range []int{0, 1, 100, LongString - 1, LongString, 1 << 20} {
		data, text := bytes.Repeat([]byte{7}, size), strings.Repeat("ü", size)
		sameWays(t, data, size >= LongString)
		sameWays(t, text, 2*size >= LongString)
		sameWays(t, file{"a", data}, false)
		sameWays(t, struct{ Text string }{text}, false)
	}
	sameWays(t, []byte(nil), false)
	if _, _, err := mustCodec[string](t).AppendSplit(nil, strings.Repeat("\xff", LongString)); err == nil {
		t.Error("text that is not UTF-8 is sent")
	}

	body := must(mustCodec[file](t).Append(nil, file{"name", make([]byte, 1000)}))
	v, err := mustCodec[file](t).Adopt(body)
	if err != nil || cap(v.Data) != len(v.Data) {
		t.Errorf("capacity %d, %v", cap(v.Data), err)
	}
	clear(body)
	if v.Name != "name" {
		t.Error("a short text keeps a long body")
	}
}

// sameWays sends v both ways and back.
func sameWays[T any](t *testing.T, v T, split bool) {
	t.Helper()
	c := mustCodec[T](t)
	want := must(c.Append([]byte("head"), v))
	out, tail, err := c.AppendSplit([]byte("head"), v)
	if err != nil || !bytes.Equal(append(out, tail...), want) || (tail != nil) != split {
		t.Errorf("%T: head %d, tail %d bytes of %d, %v", v, len(out), len(tail), len(want), err)
	}
	got, err := c.Adopt(bytes.Clone(want[4:]))
	if err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("%T of %d bytes comes out differently, %v", v, len(want), err)
	}
}
