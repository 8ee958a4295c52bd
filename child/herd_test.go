//go:build linux

package child_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// F62: when many workers die at once no more of them start at once than there
// are processors, and all come back.
func TestManyStartsAtOnce(t *testing.T) {
	watch(t)
	defer child.PatientStarts()()
	const herd = 64
	ctx, stop := context.WithCancel(context.Background())
	var served sync.WaitGroup
	defer served.Wait()
	defer stop()
	var all []*child.Process
	for range herd {
		p := child.New(child.Config{Name: "herd", Contain: child.ContainGroup, Heartbeat: child.NoHeartbeat, StartTimeout: 6 * limit})
		all = append(all, p)
		served.Go(func() {
			for ctx.Err() == nil {
				_ = p.Serve(ctx)
			}
		})
	}
	back := func(run uint64) func() bool {
		return func() bool {
			for _, p := range all {
				if s := p.Stats(); s.Run < run || !s.Up {
					return false
				}
			}
			return true
		}
	}
	within(t, "all are up", back(1))
	var most atomic.Int64
	watching, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-watching:
				return
			default:
				most.Store(max(most.Load(), int64(young())))
			}
		}
	}()
	for _, pid := range children(t) {
		must(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	within(t, "all are back", back(2))
	close(watching)
	<-done
	if n := most.Load(); n > int64(runtime.NumCPU()) {
		t.Errorf("%d starts at once, on %d processors", n, runtime.NumCPU())
	} else if n == 0 {
		t.Log("no start was seen on its way: this run shows only that all come back")
	}
}

// young counts the children that live and have not got the name that Init gives them.
func young() (n int) {
	for _, pid := range childrenNow() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && !strings.Contains(string(b), "(herd) ") && !strings.Contains(string(b), ") Z ") {
			n++
		}
	}
	return n
}

// within is expect for what needs many processes, which may take a while with
// the race detector on a busy machine.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 6 {
		if settles(ok) {
			return
		}
	}
	t.Fatalf("not within %v: %s", 6*limit, what)
}

// A start that waits for its turn ends with its context, and takes no turn.
func TestStartThatWaitsIsStopped(t *testing.T) {
	watch(t)
	defer child.PatientStarts()()
	var hanging []*worker
	for range runtime.NumCPU() {
		w, _ := begin(t, child.Config{Name: "hangs", StartTimeout: 6 * limit, Env: []string{initVar + "=hang"}})
		hanging = append(hanging, w)
	}
	expect(t, "no turn is left", func() bool { return len(children(t)) == runtime.NumCPU() })
	w, _ := begin(t, child.Config{Name: "waits"})
	time.Sleep(20 * time.Millisecond) // it would start now
	if n := len(children(t)); n != runtime.NumCPU() {
		t.Errorf("%d starts at once", n)
	}
	if start := as[*child.StartError](t, w.stop()); start.Step != "spawn" {
		t.Error(start)
	}
	for _, w := range hanging {
		as[*child.StartError](t, w.stop())
	}
	wantDouble(t, up(t, child.Config{}))
}
