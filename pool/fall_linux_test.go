package pool_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/child/cfault"
	"github.com/verdigris-go/verdigris/internal/ccrash"
	"github.com/verdigris-go/verdigris/pool"
)

// fall is a call that brings its worker down, if How says so, when the door is opened.
type fall struct {
	Door  string
	How   string
	Trace string // the file to which each execution adds a line
	Name  string
}

var (
	falls = child.Define("fall", func(_ context.Context, f fall) (int, error) {
		if f.Door != "" {
			if err := knock(f.Door); err != nil {
				return 0, err
			}
		}
		switch f.How {
		case "panic":
			panic("as told")
		case "fault":
			ccrash.Segfault()
		}
		trace, err := os.OpenFile(f.Trace, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return 0, err
		}
		defer trace.Close()
		_, err = fmt.Fprintln(trace, f.Name)
		return os.Getpid(), err
	})
	grow = child.Define("grow", func(_ context.Context, bytes int) (int, error) { ccrash.Leak(bytes); return os.Getpid(), nil })
)

// traces counts the executions of each call.
func traces(t *testing.T, file string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	count := map[string]int{}
	for name := range strings.Lines(string(text)) {
		count[strings.TrimSpace(name)]++
	}
	return count
}

func ways() []string {
	if !ccrash.HasC || cfault.Check() != nil {
		return []string{"panic"}
	}
	return []string{"panic", "fault"}
}

// F82: calls that wait in a worker behind one that brings it down go to another worker at
// once, and each is executed once.
func TestCallsBehindADeath(t *testing.T) {
	for _, how := range ways() {
		for _, concurrency := range []int{1, 3} {
			t.Run(fmt.Sprint(how, " of ", concurrency), func(t *testing.T) {
				for range 5 {
					behindADeath(t, how, concurrency)
				}
			})
		}
	}
}

func behindADeath(t *testing.T, how string, concurrency int) {
	p, _, stop := serve(t, pool.Config{
		Size: 1, Spares: 1, MinReady: 1, Ahead: 50, Worker: child.Config{Concurrency: concurrency},
	})
	defer stop()
	until(t, "the spare", func() bool { return p.Stats().Spares == 1 })
	d, file := newDoor(t, filepath.Join(t.TempDir(), "door")), filepath.Join(t.TempDir(), "trace")
	var all sync.WaitGroup
	call := func(f fall) {
		all.Go(func() {
			_, err := falls.Call(context.Background(), p, f)
			crash, crashed := errors.AsType[*child.CrashError](err)
			if f.How != "" && !crashed || f.How == "" && f.Door == "" && err != nil && !crashed || crashed && crash.Cause != child.Panicked && crash.Cause != child.Segfault {
				t.Errorf("%+v: %v", f, err)
			}
			ran := traces(t, file)[f.Name]
			if err == nil && ran != 1 || ran > 1 {
				t.Errorf("%+v was executed %d times: %v", f, ran, err)
			}
			if f.Door == "" && concurrency == 1 && err != nil {
				t.Errorf("%+v waited behind, and is lost: %v", f, err)
			}
		})
	}
	call(fall{Door: d.path, How: how, Trace: file, Name: "guilty"})
	open := d.visitor(t)
	for n := range concurrency - 1 { // the others that run
		call(fall{Door: d.path, Trace: file, Name: fmt.Sprint("beside ", n)})
		_ = d.visitor(t)
	}
	for n := range 40 {
		call(fall{Trace: file, Name: fmt.Sprint("behind ", n)})
	}
	until(t, "all calls to be on their way", func() bool { return p.Stats().Busy+p.Stats().Queued == 40+concurrency })
	open()
	all.Wait()
}

// F82: the spare has answered before the memory of the dead one is given back. How soon
// depends on the machine: of some deaths it has to be so with one.
func TestSpareDoesNotWaitForTheEnd(t *testing.T) {
	for _, how := range ways() {
		t.Run(how, func(t *testing.T) {
			p, _, _ := serve(t, pool.Config{Size: 1, Spares: 1})
			for range 20 {
				if answersBeforeTheEnd(t, p, how) {
					return
				}
			}
			t.Error("of 20 workers each was dead before another one had answered")
		})
	}
}

func answersBeforeTheEnd(t *testing.T, p *pool.Pool, how string) bool {
	until(t, "a worker and its spare", func() bool { s := p.Stats(); return s.Up == 1 && s.Spares == 1 })
	const size = 64 << 20
	victim, err := grow.Call(t.Context(), p, size)
	if err != nil {
		t.Fatal(err)
	}
	died := make(chan error, 1)
	go func() {
		_, err := falls.Call(context.Background(), p, fall{How: how})
		died <- err
	}()
	alive := false
	until(t, "an answer of the other worker", func() bool { // the call may come first
		other, err := pid.Call(t.Context(), p, true)
		alive = hasMemory(victim)
		if err != nil {
			t.Fatal(err)
		}
		return other != victim
	})
	select {
	case err := <-died:
		if _, crashed := errors.AsType[*child.CrashError](err); !crashed {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the call that died has no end")
	}
	return alive
}

func hasMemory(pid int) bool {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	return err == nil && !strings.HasPrefix(string(statm), "0 ")
}
