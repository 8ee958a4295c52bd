//go:build linux

package child_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/wire"
)

const allSeals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// memfd is a file in memory with these seals.
func memfd(flags, size, seals int) int {
	fd, err := unix.MemfdCreate("hostile", flags|unix.MFD_ALLOW_SEALING)
	if err == nil {
		err = unix.Ftruncate(fd, int64(size))
	}
	if err == nil && seals != 0 {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	}
	if err != nil {
		panic(err)
	}
	return fd
}

func openFD(path string, flags int) int {
	fd, err := unix.Open(path, flags, 0)
	if err != nil {
		panic(err)
	}
	return fd
}

// returns is the frame that brings blobs of these sizes, numbered from 1.
func returnsFrame(id uint64, sizes ...int64) []byte {
	p := wire.Parcel{}
	for i, size := range sizes {
		p.Blobs = append(p.Blobs, wire.BlobRef{Number: uint64(i + 1), Size: size})
	}
	body, err := p.Append(nil)
	if err != nil {
		panic(err)
	}
	return wire.AppendFrame(nil, wire.KindReturn, id, body)
}

// pass sends bytes on the control channel, with descriptors.
func (w *fakeWorker) pass(frame []byte, fds ...int) {
	if err := unix.Sendmsg(3, frame, unix.UnixRights(fds...), nil, 0); err != nil {
		panic(err)
	}
}

// blobs answers a call by one blob, numbered 1.
func (w *fakeWorker) blob(id uint64, size byte) {
	w.answers.Write(wire.AppendFrame(nil, wire.KindBlobAnswer, id, []byte{0x82, 1, size}))
}

func (w *fakeWorker) greetWithBlobs(caps ...string) {
	w.tell(wire.KindHello, wire.Hello{Language: "fake", Capabilities: append(caps, wire.CapBlobs), Functions: []wire.Function{{Name: "blobs.make"}, {Name: "blobs.sum"}, {Name: "double"}}})
	if _, err := w.in.Next(); err != nil {
		panic(err)
	}
	w.ready()
}

// What a hostile worker brings as a blob of 5 bytes, and what is wrong with it.
var falseBlobs = map[string]struct {
	make func() int
	want string
}{
	"not sealed":         {func() int { return memfd(0, 5, 0) }, "it is not sealed (seals 0x"},
	"sealed, not at all": {func() int { return memfd(0, 5, unix.F_SEAL_SEAL) }, "it is not sealed"},
	"may be written to":  {func() int { return memfd(0, 5, allSeals&^unix.F_SEAL_WRITE) }, "it is not sealed"},
	"may be written to by who has it mapped": {func() int {
		return memfd(0, 5, allSeals&^unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE)
	}, "it is not sealed"},
	"may shrink":      {func() int { return memfd(0, 5, allSeals&^unix.F_SEAL_SHRINK) }, "it is not sealed"},
	"may grow":        {func() int { return memfd(0, 5, allSeals&^unix.F_SEAL_GROW) }, "it is not sealed"},
	"smaller":         {func() int { return memfd(0, 4, allSeals) }, "a blob of 4 bytes for one of 5"},
	"larger":          {func() int { return memfd(0, 6, allSeals) }, "a blob of 6 bytes for one of 5"},
	"on huge pages":   {func() int { return memfd(unix.MFD_HUGETLB, 0, allSeals) }, "it is no ordinary file in memory"},
	"an empty one":    {func() int { return memfd(0, 0, allSeals) }, "a blob of 0 bytes for one of 5"},
	"a file":          {func() int { return openFD("/proc/self/exe", unix.O_RDONLY) }, "it is no"},
	"a directory":     {func() int { return openFD("/", unix.O_RDONLY) }, "it is no file in memory"},
	"a device":        {func() int { return openFD("/dev/zero", unix.O_RDWR) }, "it is no file in memory"},
	"a path":          {func() int { return openFD("/proc/self/exe", unix.O_PATH) }, "it is no file in memory"},
	"the socket":      {func() int { return 3 }, "it is no file in memory"},
	"a pipe":          {func() int { return 5 }, "it is no file in memory"},
	"the status page": {func() int { return 6 }, "it is not sealed"},
	"open for writing only": {func() int {
		fd := memfd(0, 5, 0)
		again := openFD("/proc/self/fd/"+strconv.Itoa(fd), unix.O_WRONLY)
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, allSeals); err != nil {
			panic(err)
		}
		return again
	}, "it is not open for reading"},
}

// What else a hostile worker does about blobs, and what its parent says.
var blobCrimes = map[string]struct {
	do   func(w *fakeWorker, id uint64)
	want string
}{
	"more descriptors than blobs": {func(w *fakeWorker, id uint64) {
		w.pass(returnsFrame(id, 5), memfd(0, 5, allSeals), memfd(0, 5, allSeals))
	}, "2 descriptors for 1 blobs"},
	"more descriptors than any frame": {func(w *fakeWorker, id uint64) {
		fds := make([]int, wire.MaxBlobs+1)
		for i := range fds {
			fds[i] = 1
		}
		w.pass(returnsFrame(id, 5), fds...)
	}, "more descriptors than belong to a frame"},
	"blobs beyond the limit": {func(w *fakeWorker, id uint64) {
		w.pass(returnsFrame(id, 600, 500), memfd(0, 600, allSeals), memfd(0, 500, allSeals))
	}, "blobs of 1100 bytes, beyond the limit of 1000"},
	"a parcel of sizes that are none": {func(w *fakeWorker, id uint64) {
		w.pass(wire.AppendFrame(nil, wire.KindReturn, id, []byte{0xa1, 1, 0x81, 0x82, 1, 0x20}), memfd(0, 5, allSeals))
	}, "decode parcel"},
	"descriptors for an unknown call": {func(w *fakeWorker, id uint64) {
		w.pass(returnsFrame(id+1, 5), memfd(0, 5, allSeals))
	}, "descriptors for call 2, which waits for none"},
	"descriptors twice": {func(w *fakeWorker, id uint64) {
		w.pass(returnsFrame(id, 5), memfd(0, 5, allSeals))
		w.pass(returnsFrame(id, 5), memfd(0, 5, allSeals))
	}, "descriptors for call 1, which waits for none"},
	"descriptors with a log record": {func(w *fakeWorker, id uint64) {
		w.pass(wire.AppendFrame(nil, wire.KindLog, 0, wire.Log{Message: "hello"}.Append(nil)), 1)
	}, "descriptors with a frame that has none"},
	"descriptors with each piece of a frame": {func(w *fakeWorker, id uint64) {
		frame := returnsFrame(id, 5)
		w.pass(frame[:5], 1)
		w.pass(frame[5:], 1)
	}, "more descriptors than belong to a frame"},
	"a flood of descriptors": {func(w *fakeWorker, id uint64) {
		for unix.Sendmsg(3, wire.AppendFrame(nil, wire.KindLog, 0, wire.Log{}.Append(nil)), unix.UnixRights(1, 1, 1, 1), nil, 0) == nil {
		}
	}, "descriptors with a frame that has none"},
	"blobs that never come": {func(w *fakeWorker, id uint64) { w.blob(id, 5) }, "an answer with blobs and then, for 200ms, not the blobs"},
	"descriptors after an answer without any": {func(w *fakeWorker, id uint64) {
		w.reply(id, 0xf6)
		time.Sleep(100 * time.Millisecond)
		w.pass(returnsFrame(id, 5), memfd(0, 5, allSeals))
	}, "descriptors for call 1, which waits for none"},
	"a parcel to the parent": {func(w *fakeWorker, id uint64) {
		frame := returnsFrame(id, 5)
		frame[1] = byte(wire.KindParcel)
		w.pass(frame, memfd(0, 5, allSeals))
	}, "parcel frame does not belong on the control channel to parent"},
}

func init() {
	for name, f := range falseBlobs {
		play("blobs: "+name, func(w *fakeWorker) {
			w.greetWithBlobs()
			id := w.call()
			w.pass(returnsFrame(id, 5), f.make())
			w.blob(id, 5)
			select {}
		})
	}
	for name, crime := range blobCrimes {
		play("blobs: "+name, func(w *fakeWorker) {
			w.greetWithBlobs()
			crime.do(w, w.call())
			select {}
		})
	}
	play("blobs: honest", func(w *fakeWorker) {
		w.greetWithBlobs()
		fd := memfd(0, 5, 0)
		unix.Pwrite(fd, []byte("hello"), 0)
		unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, allSeals)
		for n := 0; ; n++ {
			id := w.call()
			switch n % 4 {
			case 0: // in this order
				w.pass(returnsFrame(id, 5), fd)
				w.blob(id, 5)
			case 1: // or in the other one, with a log record around, and the frame in two pieces
				w.blob(id, 5)
				log, frame := wire.AppendFrame(nil, wire.KindLog, 0, wire.Log{Message: "hello"}.Append(nil)), returnsFrame(id, 5)
				w.control.Write(log)
				w.pass(frame[:20], fd)
				w.control.Write(append(frame[20:], log...))
			case 2: // or by value
				w.answers.Write(wire.AppendFrame(nil, wire.KindAnswer, id, append([]byte{0x45}, "hello"...)))
			case 3: // and what is not named is of no use
				w.pass(returnsFrame(id, 5, 5), fd, fd)
				w.blob(id, 5)
			}
		}
	})
	play("blobs: lost", func(w *fakeWorker) {
		w.greetWithBlobs()
		id := w.call()
		w.control.Write(returnsFrame(id, 5))
		w.blob(id, 5)
		id = w.call() // names what has not come
		w.pass(returnsFrame(id, 6), memfd(0, 6, allSeals))
		w.blob(id, 5)
		id = w.call() // says that it has none
		w.answers.Write(wire.AppendFrame(nil, wire.KindAnswer, id, []byte{0x82, 1, 5}))
		w.reply(w.call(), 0xf6)
		w.last()
	})
	play("blobs: dies in between", func(w *fakeWorker) {
		w.greetWithBlobs()
		id := w.call()
		frame := returnsFrame(id, 5)
		w.pass(frame[:len(frame)-1], memfd(0, 5, allSeals))
		w.blob(id, 5)
		time.Sleep(50 * time.Millisecond)
		os.Exit(3)
	})
	play("blobs: dies before its answer", func(w *fakeWorker) {
		w.greetWithBlobs()
		w.pass(returnsFrame(w.call(), 5), memfd(0, 5, allSeals))
		os.Exit(3)
	})
	play("blobs: an answer with blobs of a function that has none", func(w *fakeWorker) {
		w.greetWithBlobs()
		w.blob(w.call(), 5)
		select {}
	})
	play("blobs: knows none", func(w *fakeWorker) {
		w.tell(wire.KindHello, wire.Hello{Language: "fake", Functions: []wire.Function{{Name: "blobs.make"}, {Name: "blobs.sum"}, {Name: "double"}}})
		w.ready()
		w.reply(w.call(), 7)
		w.last()
	})
}

func hostileBlobs(name string) child.Config {
	cfg := fake("fake: blobs: " + name)
	cfg.MaxBlob = 1000
	return cfg.WithPatience(200 * time.Millisecond)
}

// Whatever a worker brings that is no blob, or not the one it has named, the parent
// believes nothing, the worker ends, and nothing is left.
func TestFalseBlobs(t *testing.T) {
	watch(t)
	for name, f := range falseBlobs {
		t.Run(name, func(t *testing.T) { wantBlobCrime(t, name, f.want) })
	}
	for name, crime := range blobCrimes {
		t.Run(name, func(t *testing.T) { wantBlobCrime(t, name, crime.want) })
	}
	t.Run("an answer with blobs of a function that has none", func(t *testing.T) {
		w := up(t, hostileBlobs("an answer with blobs of a function that has none"))
		_, err := double.Call(t.Context(), w, 1)
		if crash := as[*child.CrashError](t, err); crash.Cause != child.Protocol || !strings.Contains(crash.Detail, "blobs with an answer to call 1, which has none") {
			t.Error(err)
		}
	})
}

func wantBlobCrime(t *testing.T, name, want string) {
	w := up(t, hostileBlobs(name))
	out, err := makeBlob.Call(t.Context(), w, 5)
	if err == nil && !out.IsZero() {
		t.Errorf("it got %v", out)
	}
	end := as[*child.CrashError](t, w.end())
	if end.Cause != child.Protocol || !strings.Contains(end.Detail, want) {
		t.Errorf("%v, want %q", end, want)
	}
}

// Workers that are not ours may do it in any order, and by value; what they lose is an error of that call.
func TestBlobsOfOtherWorkers(t *testing.T) {
	watch(t)
	w := up(t, hostileBlobs("honest"))
	for range 40 {
		out, err := makeBlob.Call(t.Context(), w, 5)
		must(t, err)
		if string(contentOf(t, out)) != "hello" {
			t.Errorf("%q", contentOf(t, out))
		}
		out.Close()
	}
	w.Kill()
	w.end()

	w = up(t, hostileBlobs("lost"))
	for _, want := range []string{"1 of 1 descriptors of its blobs were lost", "no blob of 5 bytes with the number 1 has come along", "no blobs have come along"} {
		if _, err := makeBlob.Call(t.Context(), w, 5); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if out, err := makeBlob.Call(t.Context(), w, 5); err != nil || !out.IsZero() {
		t.Errorf("%v %v", out, err)
	}
	if s := w.Stats(); s.Run != 1 || !s.Up {
		t.Errorf("%+v", s)
	}
}

// A worker that dies while its blobs are on their way leaves nothing behind.
func TestDeathWithBlobs(t *testing.T) {
	watch(t)
	for _, name := range []string{"dies in between", "dies before its answer"} {
		w := up(t, fake("fake: blobs: "+name))
		_, err := makeBlob.Call(t.Context(), w, 5)
		if crash := as[*child.CrashError](t, err); crash.Cause != child.Exited || crash.Observed.Code != 3 {
			t.Errorf("%s: %v", name, err)
		}
		w.end()
	}
}

// Nothing that has Blobs is sent to a program that knows none.
func TestWorkersWithoutBlobs(t *testing.T) {
	watch(t)
	w := up(t, fake("fake: blobs: knows none"))
	_, err := makeBlob.Call(t.Context(), w, 5)
	unknown := as[*child.UnknownFunctionError](t, err)
	if !errors.Is(err, child.ErrNotStarted) || !strings.Contains(unknown.Reason, "it takes or gives Blobs here, and its binary knows none") {
		t.Error(err)
	}
	_, err = sumOf.Call(t.Context(), w, newBlob(t, nil))
	as[*child.UnknownFunctionError](t, err)
	if out, err := double.Call(context.Background(), w, 1); out != 7 || err != nil {
		t.Error(out, err)
	}
}
