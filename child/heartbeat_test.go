//go:build linux

package child_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/ccrash"
)

// busy never returns, in the way it is told.
var busy = child.Define("busy", func(_ context.Context, way string) (bool, error) {
	switch way {
	case "C":
		ccrash.Spin()
	case "Go":
		spinInGo()
	case "log":
		for {
			_ = floodOf{Bytes: 1 << 20, Records: true}.flow()
		}
	case "print":
		for {
			_ = floodOf{Bytes: 1 << 20}.flow()
		}
	}
	select {}
})

//go:noinline
func spinInGo() {
	for n := 0; ; n++ {
	}
}

// A worker that is not run any more is found, and named as what it is.
func TestHungWorker(t *testing.T) {
	watch(t)
	const beat = 50 * time.Millisecond
	w := up(t, child.Config{Name: "w", Heartbeat: beat})
	wantDouble(t, w)
	freeze(t, w.pid())
	began := time.Now()
	err := w.end()
	crash := as[*child.CrashError](t, err)
	if crash.Cause != child.Hung || crash.Observed.Signal != syscall.SIGKILL || len(crash.Calls) != 0 || !crash.Cause.Ordered() {
		t.Errorf("%v %+v", err, crash.Exit)
	}
	if want := "was killed because it did not answer the heartbeat: no answer for 3 periods of 50ms"; !strings.HasSuffix(err.Error(), want) {
		t.Error(err)
	}
	if took := time.Since(began); took < 2*beat || took > soon {
		t.Errorf("it took %v", took)
	}
}

// Whatever keeps a function busy, the heartbeat goes on beside it. Only its
// deadline kills it.
func TestBusyWorkersAreNotHung(t *testing.T) {
	watch(t)
	t.Run("ways", func(t *testing.T) {
		for _, test := range []struct {
			way         string
			concurrency int
		}{{"C", 1}, {"C", 2}, {"Go", 1}, {"Go", 2}, {"log", 1}, {"print", 1}, {"nothing", 1}} {
			t.Run(fmt.Sprint(test.way, test.concurrency), func(t *testing.T) {
				t.Parallel()
				w := up(t, child.Config{
					Env: []string{"GOMAXPROCS=1"}, Concurrency: test.concurrency, // one thread at a time runs Go code
					Heartbeat: 250 * time.Millisecond, CallTimeout: 1500 * time.Millisecond, Grace: 10 * time.Millisecond,
				})
				_, err := busy.Call(named("a"), w, test.way)
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				if crash := as[*child.CrashError](t, w.end()); crash.Cause != child.Deadline {
					t.Error(crash)
				}
			})
		}
	})
}

// A worker whose log nobody takes answers all the same.
func TestHeartbeatBehindABlockedLogger(t *testing.T) {
	watch(t)
	h := &blocking{release: make(chan struct{})}
	t.Cleanup(func() { close(h.release) })
	w := up(t, child.Config{Logger: slog.New(h), Heartbeat: 500 * time.Millisecond, CallTimeout: 2500 * time.Millisecond, Grace: 10 * time.Millisecond})
	_, _ = busy.Call(t.Context(), w, "log")
	if crash := as[*child.CrashError](t, w.end()); crash.Cause != child.Deadline {
		t.Error(crash)
	}
}

// A worker in another language has to answer too, unless nobody asks.
func TestWorkerWithoutAPulse(t *testing.T) {
	watch(t)
	cfg := fake("fake: well behaved")
	cfg.Heartbeat = child.NoHeartbeat
	calm := up(t, cfg)
	cfg.Heartbeat = 20 * time.Millisecond
	if crash := as[*child.CrashError](t, up(t, cfg).end()); crash.Cause != child.Hung {
		t.Error(crash)
	}
	if v, err := double.Call(t.Context(), calm, 1); v != 7 || err != nil {
		t.Error(v, err)
	}
}

func init() {
	// with workers that it asks often, until the gate opens; then it tells how they are
	roles["parent: with a short heartbeat"] = func() {
		child.Init()
		var all []*child.Process
		for range 3 {
			p := child.New(child.Config{Heartbeat: 100 * time.Millisecond, Logger: slog.New(newRecorder())})
			up := make(chan struct{})
			go func() {
				if err := p.ServeReady(context.Background(), func() { close(up) }); err != nil {
					fmt.Println("lost:", err)
				}
			}()
			<-up
			all = append(all, p)
		}
		fmt.Println("up")
		gate(os.Getenv("GATE")).wait()
		for _, p := range all {
			fmt.Println(double.Call(context.Background(), p, 21))
		}
	}
}

// A parent that was stopped for thirty periods judges nobody for that.
func TestStoppedParentKillsNobody(t *testing.T) {
	watch(t)
	g := newGate(t)
	a := start(t, os.Args[0], "parent: with a short heartbeat", "GATE="+string(g))
	a.line("up")
	freeze(t, a.cmd.Process.Pid)
	time.Sleep(3 * time.Second) // the fault itself
	must(t, a.cmd.Process.Signal(syscall.SIGCONT))
	time.Sleep(time.Second) // ten periods, in which a wrong kill would happen
	g.open(t)
	for range 3 {
		if got := a.line(""); got != "42 <nil>" {
			t.Error(got)
		}
	}
}
