package ring

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// stream is one end of two ways.
type stream struct {
	io.Reader
	io.Writer
}

// echoes plays a worker that sends back what comes.
func echoes(s stream) {
	runtime.LockOSThread()
	b := make([]byte, 64<<10)
	for {
		n, err := s.Read(b)
		if err != nil {
			os.Exit(0)
		}
		if _, err := s.Write(b[:n]); err != nil {
			os.Exit(0)
		}
	}
}

func init() {
	roles["echo rings"] = func() { w := opened(); echoes(stream{w.Calls, w.Answers}) }
	roles["echo pipes"] = func() { echoes(stream{blocking(3), blocking(4)}) }
}

// blocking is a descriptor without the runtime's poller.
type blocking int

func (f blocking) Read(p []byte) (int, error) {
	n, err := syscall.Read(int(f), p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

func (f blocking) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = syscall.Write(int(f), p[n:])
		n += max(m, 0)
	}
	return n, err
}

// overRings starts a worker with rings.
func overRings(b testing.TB, spin time.Duration) stream {
	r, _ := start(b, "echo rings", Options{Spin: spin})
	return stream{r.Answers, r.Calls}
}

// overPipes starts a worker with pipes, bare of everything but the runtime.
func overPipes(b testing.TB) stream {
	var to, from [2]int
	must(b, syscall.Pipe2(to[:], syscall.O_CLOEXEC))
	must(b, syscall.Pipe2(from[:], syscall.O_CLOEXEC))
	theirs := []*os.File{os.NewFile(uintptr(to[0]), "calls"), os.NewFile(uintptr(from[1]), "answers")}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env, cmd.ExtraFiles, cmd.Stderr = []string{roleVar + "=echo pipes"}, theirs, os.Stderr
	must(b, cmd.Start())
	for _, f := range theirs {
		f.Close()
	}
	b.Cleanup(func() { syscall.Close(to[1]); syscall.Close(from[0]); cmd.Wait() })
	return stream{blocking(from[0]), blocking(to[1])}
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, size := range []int{16, 1 << 10, 64 << 10, 1 << 20, 16 << 20} {
		for _, way := range []struct {
			name string
			open func(testing.TB) stream
		}{
			{"pipes", overPipes},
			{"rings", func(b testing.TB) stream { return overRings(b, 0) }},
			{"rings,spin", func(b testing.TB) stream { return overRings(b, 50*time.Microsecond) }},
		} {
			b.Run(fmt.Sprintf("%d/%s", size, way.name), func(b *testing.B) {
				s := way.open(b)
				out, in := make([]byte, size), make([]byte, size)
				b.ReportAllocs()
				for b.Loop() {
					done := make(chan error, 1)
					if size > 64<<10 { // else both would wait for room
						go func() { _, err := s.Write(out); done <- err }()
					} else {
						_, err := s.Write(out)
						must(b, err)
					}
					_, err := io.ReadFull(s, in)
					must(b, err)
				}
			})
		}
	}
}
