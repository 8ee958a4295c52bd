//go:build linux

package child_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/wire"
)

type page struct {
	Name string
	Data wire.Blob
}

type book struct {
	Title string
	Cover wire.Blob
	Pages []page
}

var (
	// give every byte one more, into a Blob of the function's own
	shift = child.Define("blobs.shift", func(_ context.Context, in wire.Blob) (wire.Blob, error) {
		from, err := in.Bytes()
		if err != nil {
			return wire.Blob{}, err
		}
		return wire.FillBlob(in.Size(), func(to []byte) error {
			for i, b := range from {
				to[i] = b + 1
			}
			return nil
		})
	}).Idempotent()
	sumOf = child.Define("blobs.sum", func(_ context.Context, in wire.Blob) ([]byte, error) {
		h := sha256.New()
		_, err := io.Copy(h, in.Reader())
		return h.Sum(nil), err
	})
	passBack = child.Define("blobs.pass", func(_ context.Context, in wire.Blob) (wire.Blob, error) { return in, nil })
	turn     = child.Define("blobs.turn", func(_ context.Context, b book) (book, error) {
		for i, p := range b.Pages {
			data, err := p.Data.Bytes()
			if err != nil {
				return book{}, err
			}
			if b.Pages[i].Data, err = wire.NewBlob(bytes.ToUpper(data)); err != nil {
				return book{}, err
			}
		}
		return b, nil
	})
	makeBlob = child.Define("blobs.make", func(_ context.Context, size int64) (wire.Blob, error) {
		return wire.FillBlob(size, func(to []byte) error {
			for i := range to {
				to[i] = byte(i)
			}
			return nil
		})
	})
	dieWith = child.Define("blobs.die", func(_ context.Context, in page) (int, error) {
		if in.Name == "panic" {
			data, _ := in.Data.Bytes()
			panic(string(data))
		}
		unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	})
	failWith = child.Define("blobs.fail", func(_ context.Context, in wire.Blob) (wire.Blob, error) { return in, errors.New("no") })
)

func newBlob(t testing.TB, data []byte) wire.Blob {
	t.Helper()
	b, err := wire.NewBlob(data)
	must(t, err)
	t.Cleanup(func() { b.Close() })
	return b
}

func contentOf(t testing.TB, b wire.Blob) []byte {
	t.Helper()
	data, err := b.Bytes()
	must(t, err)
	return data
}

// Blobs go there and come back, in a worker and inline, and nobody copies them.
func TestBlobs(t *testing.T) { child.EachTransport(t, testBlobs) }

func testBlobs(t *testing.T) {
	watch(t)
	cfg := child.Config{Concurrency: 2}
	for name, c := range map[string]child.Caller{"process": up(t, cfg), "inline": child.NewInline(cfg)} {
		t.Run(name, func(t *testing.T) {
			in := newBlob(t, []byte("abc"))
			out, err := shift.Call(t.Context(), c, in)
			must(t, err)
			if string(contentOf(t, out)) != "bcd" || string(contentOf(t, in)) != "abc" {
				t.Errorf("%q for %q", contentOf(t, out), contentOf(t, in))
			}
			back, err := passBack.Call(t.Context(), c, out)
			must(t, err)
			out.Close()
			if string(contentOf(t, back)) != "bcd" {
				t.Errorf("%q came back", contentOf(t, back))
			}
			back.Close()
			none, err := passBack.Call(t.Context(), c, wire.Blob{})
			if !none.IsZero() || err != nil {
				t.Errorf("%v for none, %v", none, err)
			}
			b, err := turn.Call(t.Context(), c, book{"t", in, []page{{"a", newBlob(t, []byte("one"))}, {"b", newBlob(t, nil)}, {"c", in}}})
			must(t, err)
			if string(contentOf(t, b.Cover)) != "abc" || string(contentOf(t, b.Pages[0].Data)) != "ONE" || b.Pages[1].Data.Size() != 0 || string(contentOf(t, b.Pages[2].Data)) != "ABC" {
				t.Errorf("%+v", b)
			}
			for _, b := range []wire.Blob{b.Cover, b.Pages[0].Data, b.Pages[1].Data, b.Pages[2].Data} {
				b.Close()
			}
			if _, err := failWith.Call(t.Context(), c, in); err == nil || err.Error() != "no" {
				t.Error(err)
			}
			closed := newBlob(t, nil)
			closed.Close()
			if _, err := sumOf.Call(t.Context(), c, closed); !errors.Is(err, os.ErrClosed) || !errors.Is(err, child.ErrNotStarted) {
				t.Errorf("a closed one: %v", err)
			}
		})
	}
}

// 64 MiB there and 64 MiB back: neither the heap of the parent nor the frames grow by it.
func TestBlobsAreNotCopied(t *testing.T) {
	watch(t)
	const size = 64 << 20
	w := up(t, child.Config{MaxFrame: 64 << 10})
	in, err := wire.FillBlob(size, func(b []byte) error {
		for i := range b {
			b[i] = byte(i >> 12)
		}
		return nil
	})
	must(t, err)
	defer in.Close()
	before := allocated()
	out, err := shift.Call(t.Context(), w, in)
	must(t, err)
	defer out.Close()
	from, to := contentOf(t, in), contentOf(t, out)
	for i := 0; i < size; i += 1 << 10 {
		if to[i] != from[i]+1 {
			t.Fatalf("byte %d is %d for %d", i, to[i], from[i])
		}
	}
	if grown := allocated() - before; grown > 1<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
	t.Log(allocated()-before, "bytes allocated")
}

// allocated is how many bytes the heap has ever given.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func TestBlobLimits(t *testing.T) {
	watch(t)
	cfg := child.Config{MaxBlob: 1000}
	for name, c := range map[string]child.Caller{"process": up(t, cfg), "inline": child.NewInline(cfg)} {
		half := newBlob(t, make([]byte, 500))
		if _, err := turn.Call(t.Context(), c, book{Cover: half, Pages: []page{{Data: newBlob(t, make([]byte, 501))}}}); !errors.Is(err, child.ErrNotStarted) || !strings.Contains(err.Error(), "blobs have 1001 bytes, the limit is 1000") {
			t.Errorf("%s: a large input: %v", name, err)
		}
		if _, err := makeBlob.Call(t.Context(), c, 1001); as[*child.RemoteError](t, err) == nil || !strings.Contains(err.Error(), "blobs have 1001 bytes, the limit is 1000") {
			t.Errorf("%s: a large output: %v", name, err)
		}
		many := book{}
		for range wire.MaxBlobs + 1 {
			many.Pages = append(many.Pages, page{Data: newBlob(t, nil)})
		}
		if _, err := turn.Call(t.Context(), c, many); !errors.Is(err, child.ErrNotStarted) || !strings.Contains(err.Error(), "it has 33 blobs, the limit is 32") {
			t.Errorf("%s: many: %v", name, err)
		}
		many.Pages = many.Pages[1:]
		b, err := turn.Call(t.Context(), c, many)
		must(t, err)
		for _, p := range b.Pages {
			p.Data.Close()
		}
		same := book{Cover: half, Pages: make([]page, 100)}
		for i := range same.Pages {
			same.Pages[i].Data = half
		}
		if _, err := turn.Call(t.Context(), c, same); err == nil || !strings.Contains(err.Error(), "it has 101 blobs") {
			t.Errorf("%s: many in the output: %v", name, err)
		}
		out, err := makeBlob.Call(t.Context(), c, 1000)
		must(t, err)
		out.Close()
	}
}

// Nobody writes to a Blob once it is sealed: neither who has made it nor who has been given it.
func TestNobodyWritesToABlob(t *testing.T) {
	watch(t)
	w := up(t, child.Config{})
	in := newBlob(t, []byte("input"))
	attacks, err := attackBlob.Call(t.Context(), w, in)
	must(t, err)
	if attacks != "" {
		t.Errorf("the worker could %s", attacks)
	}
	if done := attack(in); done != "" {
		t.Errorf("the parent could %s", done)
	}
	out, err := lateWriter.Call(t.Context(), w, 0)
	must(t, err)
	defer out.Close()
	data := contentOf(t, out)
	for range 3 { // each tells what the goroutine that lives on has managed to do
		done, err := lateAttacks.Call(t.Context(), w, 0)
		must(t, err)
		if string(data) != "output" || done != "" {
			t.Errorf("%q after the answer: the worker could %s", data, done)
		}
	}
}

// attack tries to change a Blob by all means, and tells what it could do.
func attack(b wire.Blob) string {
	f, err := b.File()
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	return attackFile(f)
}

func attackFile(f *os.File) (done string) {
	fd := int(f.Fd())
	refused := func(what string, err error) {
		if err == nil {
			done += what + ", "
		}
	}
	_, err := unix.Write(fd, []byte("x"))
	refused("write", err)
	_, err = unix.Pwrite(fd, []byte("x"), 0)
	refused("pwrite", err)
	for _, size := range []int64{0, 1, 1 << 20} {
		refused(fmt.Sprint("ftruncate to ", size), unix.Ftruncate(fd, size))
	}
	refused("fallocate", unix.Fallocate(fd, 0, 0, 1<<20))
	refused("punch a hole", unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4096))
	mem, err := unix.Mmap(fd, 0, 1, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	refused("map it for writing", err)
	if err == nil {
		unix.Munmap(mem)
	}
	if mem, err = unix.Mmap(fd, 0, 1, unix.PROT_READ, unix.MAP_SHARED); err == nil { // since Linux 6.7
		refused("make a mapping writable", unix.Mprotect(mem, unix.PROT_READ|unix.PROT_WRITE))
		unix.Munmap(mem)
	}
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE)
	refused("add a seal", err)
	if again, err := os.OpenFile(fmt.Sprint("/proc/self/fd/", fd), os.O_RDWR|os.O_TRUNC, 0); err == nil {
		refused("truncate it anew", again.Truncate(0))
		_, err = again.Write([]byte("x"))
		refused("write to it anew", err)
		again.Close()
	}
	return done
}

var (
	attackBlob = child.Define("blobs.attack", func(_ context.Context, in wire.Blob) (string, error) { return attack(in), nil })
	givenAway  *os.File // of the worker: what it has given away
	lateWriter = child.Define("blobs.late", func(context.Context, int) (wire.Blob, error) {
		b, err := wire.NewBlob([]byte("output"))
		if err == nil {
			givenAway, err = b.File()
		}
		return b, err
	})
	lateAttacks = child.Define("blobs.attacks", func(context.Context, int) (string, error) { return attackFile(givenAway), nil })
)
