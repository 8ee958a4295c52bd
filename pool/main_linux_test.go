package pool_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/ring"
	"github.com/verdigris-go/verdigris/pool"
)

func TestMain(m *testing.M) {
	child.Init()
	ring.SwitchOff(os.Getenv("VERDIGRIS_TEST_TRANSPORT") == child.Pipes.String())
	code := m.Run()
	if left := children(); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "processes left behind: %v\n", left)
		code = 1
	}
	os.Exit(code)
}

// children are the processes, zombies included, whose parent is this one.
func children() (pids []string) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		stat, _ := os.ReadFile(name)
		_, rest, _ := strings.Cut(string(stat), ") ") // after the name: state, parent, ...
		if f := strings.Fields(rest); len(f) > 1 && f[1] == fmt.Sprint(os.Getpid()) {
			pids = append(pids, name+" "+f[0])
		}
	}
	return pids
}

var (
	double = child.Define("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	pid    = child.Define("pid", func(context.Context, bool) (int, error) { return os.Getpid(), nil })
	crash  = child.Define("crash", func(context.Context, bool) (bool, error) { os.Exit(7); return false, nil })
	hold   = child.Define("hold", func(_ context.Context, door string) (int, error) { return os.Getpid(), knock(door) })

	echo = child.Define("echo", func(_ context.Context, b []byte) ([]byte, error) { return b, nil })

	// begun and dead count the calls of work in a worker: all, and those that it
	// got after their deadline, in nanoseconds of the wall clock.
	begun, dead atomic.Int64
	work        = child.Define("work", func(_ context.Context, deadline int64) (bool, error) {
		begun.Add(1)
		if late := time.Since(time.Unix(0, deadline)); late > 20*time.Millisecond { // the way of a message is not the pool's
			dead.Add(1)
		}
		time.Sleep(5 * time.Millisecond)
		return true, nil
	})
	counts = child.Define("counts", func(context.Context, bool) ([]int64, error) { return []int64{begun.Load(), dead.Load()}, nil })

	// leak keeps 1 MiB and returns how much the process has resident.
	leaked [][]byte
	leak   = child.Define("leak", func(context.Context, bool) (int64, error) {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += os.Getpagesize() {
			block[i] = 1
		}
		leaked = append(leaked, block)
		return resident()
	})

	// fewOpen opens at once in the first so many processes, and hangs in the others.
	fewOpen = child.DefineState("few open", func(_ context.Context, c few) (*int, error) {
		for n := range c.N {
			if _, err := os.OpenFile(filepath.Join(c.Dir, fmt.Sprint(n)), os.O_CREATE|os.O_EXCL, 0o600); err == nil {
				return new(int), nil
			}
		}
		return new(int), knock(filepath.Join(c.Dir, "door"))
	}, nil)

	// versions opens to what it is configured with, unless that is bad.
	versions = child.DefineState("versions", func(_ context.Context, v string) (*string, error) {
		if v == "bad" {
			return nil, errors.New("a bad version")
		}
		return &v, nil
	}, nil)
	version = child.DefineOn(versions, "version", func(v *string, _ context.Context, _ bool) (string, error) { return *v, nil })

	// brokenState never opens; oneHangs hangs in the first process that opens it.
	brokenState = child.DefineState("broken", func(context.Context, bool) (*int, error) { return nil, errors.New("no luck") }, nil)
	oneHangs    = child.DefineState("one hangs", func(_ context.Context, dir string) (*int, error) {
		if _, err := os.OpenFile(filepath.Join(dir, "first"), os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			return new(int), knock(filepath.Join(dir, "door"))
		}
		return new(int), nil
	}, nil)
)

// few is the configuration of fewOpen.
type few struct {
	Dir string
	N   int
}

// resident is the RSS of this process in bytes.
func resident() (int64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	var size, rss int64
	if err == nil {
		_, err = fmt.Sscan(string(text), &size, &rss)
	}
	return rss * int64(os.Getpagesize()), err
}

// knock blocks a worker until the test opens the door, a unix socket.
func knock(path string) error {
	c, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1))
	return err
}

// door is where workers knock.
type door struct {
	net.Listener
	path string
}

func newDoor(t *testing.T, path string) door {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return door{l, path}
}

// visitor waits for a knock; the returned function lets the visitor in.
func (d door) visitor(t *testing.T) (open func()) {
	t.Helper()
	_ = d.Listener.(*net.UnixListener).SetDeadline(time.Now().Add(10 * time.Second))
	c, err := d.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return func() { c.Write([]byte{1}) }
}

// serve runs the pool until the test ends, and returns how it ended.
func serve(t *testing.T, cfg pool.Config) (p *pool.Pool, ended <-chan error, stop context.CancelFunc) {
	t.Helper()
	p = pool.New(cfg)
	ctx, stop := context.WithCancel(context.Background())
	end, ready := make(chan error, 1), make(chan struct{})
	go func() {
		err := p.ServeReady(ctx, func() { close(ready) })
		p.Retire(err)
		end <- err
		close(end)
	}()
	t.Cleanup(func() { stop(); <-end })
	select {
	case <-ready:
	case err := <-end:
		t.Fatalf("the pool did not start: %v", err)
	}
	return p, end, stop
}

// until waits for a fact that nothing announces.
func until(t *testing.T, what string, fact func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !fact(); runtime.Gosched() {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("never: %s\n%s", what, buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(time.Millisecond)
	}
}
