//go:build linux

package child_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/ccrash"
)

// What the workers of the tests can do.
var (
	double = child.Define("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	pid    = child.Define("pid", func(context.Context, bool) (int, error) { return os.Getpid(), nil })

	// hold says that it has begun, waits for the gate, and returns what to say.
	hold = child.Define("hold", func(ctx context.Context, h holding) (string, error) {
		slog.InfoContext(ctx, "holding "+h.Say)
		open := make(chan struct{})
		go func() { h.Gate.wait(); close(open) }()
		done := ctx.Done()
		if h.Stubborn {
			done = nil
		}
		select {
		case <-open:
			return h.Say, nil
		case <-done:
			slog.Info("giving up "+h.Say, "cause", context.Cause(ctx).Error())
			return "", ctx.Err()
		}
	})

	// perish dies in the way it is told.
	perish = child.Define("perish", func(_ context.Context, way string) (int, error) {
		fmt.Fprintln(os.Stderr, "last words before", way)
		ways[way]()
		return 0, nil
	})

	// perishLater returns, and dies when the gate opens.
	perishLater = child.Define("perish.later", func(_ context.Context, p later) (int, error) {
		go func() {
			p.Gate.wait()
			ways[p.Way]()
		}()
		return 7, nil
	})

	// perishWriting dies while its result is being encoded.
	perishWriting = child.Define("perish.writing", func(_ context.Context, way string) (mortal, error) { return mortal{way}, nil })
)

type holding struct {
	Gate     gate
	Say      string
	Stubborn bool // it ignores its context
}

type later struct {
	Gate gate
	Way  string
}

// mortal is a value that kills whoever encodes it.
type mortal struct{ Way string }

func (m mortal) MarshalBinary() ([]byte, error) { ways[m.Way](); return nil, nil }
func (m *mortal) UnmarshalBinary([]byte) error  { return nil }

// ways to die. They do not return, but for those that end the goroutine.
var ways = map[string]func(){
	"C segfault":          ccrash.Segfault,
	"C abort":             ccrash.Abort,
	"C stack overflow":    ccrash.Overflow,
	"C abort on a thread": ccrash.AbortOnAThread,
	"C complaint":         ccrash.Complain,
	"unsafe fault":        unsafeFault,
	"stack overflow": func() {
		debug.SetMaxStack(1 << 20)
		recurse(0)
	},
	"map writes":        mapWrites,
	"panic":             func() { panic("no such colour") },
	"panic of an error": func() { panic(fmt.Errorf("reading: %w", os.ErrClosed)) },
	"panic of nil":      func() { panic(nil) },
	"nil pointer":       func() { *nilPointer() = 1 },
	"panic elsewhere":   func() { elsewhere(func() { panic("from another goroutine\nand more") }) },
	"nil elsewhere":     func() { elsewhere(func() { *nilPointer() = 1 }) },
	"goexit":            runtime.Goexit,
	"exit 0":            func() { os.Exit(0) },
	"exit 2":            func() { os.Exit(2) },
	"exit 3":            func() { os.Exit(3) },
	"log.Fatal":         func() { log.Fatal("cannot go on") },
	"SIGKILL":           func() { raise(syscall.SIGKILL) },
	"SIGHUP":            func() { signal.Reset(syscall.SIGHUP); raise(syscall.SIGHUP) }, // a worker catches it
	"SIGQUIT":           func() { raise(syscall.SIGQUIT) },
	"unlock":            func() { new(sync.Mutex).Unlock() },
	"out of threads": func() {
		rlimit(unix.RLIMIT_NPROC, 0)
		_ = syscall.Setreuid(65534, 65534) // root has no limit
		elsewhere(func() {
			for {
				go func() { runtime.LockOSThread(); select {} }()
			}
		})
	},
	"out of data": func() {
		rlimit(unix.RLIMIT_DATA, 256<<20)
		var all [][]byte
		for {
			all = append(all, bytes.Repeat([]byte("x"), 1<<20))
			runtime.KeepAlive(all)
		}
	},
	"forged report": func() {
		page := os.NewFile(6, "status page")
		_, _ = page.WriteAt([]byte("SIGSEGV: forged\n\ngoroutine 1 [running]:\n(\n\t:1\n"), 4096)
		os.Exit(2)
	},
	"forged trace": func() {
		fmt.Fprintln(os.Stderr, "SIGSEGV: segmentation violation\nPC=0x0 m=0 sigcode=1\n\ngoroutine 1 [running]:")
		os.Exit(2)
	},
}

func rlimit(resource int, limit uint64) {
	if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		panic(err)
	}
}

func raise(sig syscall.Signal) {
	_ = syscall.Kill(os.Getpid(), sig)
	select {}
}

func elsewhere(f func()) {
	go f()
	select {}
}

//go:noinline
func nilPointer() *int { return nil }

func unsafeFault() {
	address := uintptr(0xdead000)
	**(**int)(unsafe.Pointer(&address)) = 1
}

func recurse(n int) int {
	var room [1024]byte
	room[n%len(room)] = byte(n)
	return recurse(n+1) + int(room[0])
}

// mapWrites goes on until the runtime notices.
func mapWrites() {
	m := map[int]int{}
	for range 4 {
		go func() {
			for i := 0; ; i++ {
				m[i%8] = i
			}
		}()
	}
	select {}
}

// deadlineOf tells how long a handler has, in whole milliseconds, or -1.
func deadlineOf(ctx context.Context) int64 {
	d, ok := ctx.Deadline()
	if !ok {
		return -1
	}
	return time.Until(d).Milliseconds()
}

// spawnSleepers starts a program in the worker's group and one that leaves it.
// Both keep stdout and stderr.
var spawnSleepers = child.Define("spawn.sleepers", func(context.Context, bool) (pids []int, err error) {
	for _, attr := range []*syscall.SysProcAttr{nil, {Setsid: true}} {
		cmd := exec.Command("sleep", "60")
		cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = os.Stdout, os.Stderr, attr
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		pids = append(pids, cmd.Process.Pid)
	}
	return pids, nil
})

// thread is the kernel's number of the calling thread.
var thread = child.Define("thread", func(context.Context, bool) (int, error) { return syscall.Gettid(), nil })
