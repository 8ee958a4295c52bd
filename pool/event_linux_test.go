package pool_test

import (
	"fmt"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
)

// diary keeps the events of a pool.
type diary struct {
	mu     sync.Mutex
	events []pool.Event
}

func (d *diary) write(e pool.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

func (d *diary) all() []pool.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.events)
}

// told lists the events of one type so far.
func told[E pool.Event](d *diary) (list []E) {
	for _, e := range d.all() {
		if e, ok := e.(E); ok {
			list = append(list, e)
		}
	}
	return list
}

func TestEvents(t *testing.T) {
	var d diary
	p, _, _ := serve(t, pool.Config{Size: 1, MaxCalls: 2, Surge: pool.NoSurge, Events: d.write, Worker: child.Config{Name: "w"}})
	first := p.Stats().Workers[0].PID
	if _, err := crash.Call(t.Context(), p, true); err == nil {
		t.Fatal("it lives")
	}
	for n := range 2 {
		if _, err := double.Call(t.Context(), p, n); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the worker that had two calls is gone", func() bool { return len(told[pool.EventUp](&d)) == 3 })
	if err := p.Resize(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if ups := told[pool.EventUp](&d); ups[0].Worker != (pool.Worker{Name: "w-1", PID: first, Run: 1}) || ups[1].Worker.Run != 2 || ups[0].Took <= 0 {
		t.Errorf("%+v", ups)
	}
	if died := told[pool.EventDied](&d); len(died) != 1 || died[0].Crash.PID != first || died[0].Counted || died[0].Pool != "w" {
		t.Errorf("%+v", died)
	}
	if gone := told[pool.EventRecycled](&d); len(gone) != 1 || gone[0].Reason != pool.ReasonCalls || gone[0].Calls != 2 || gone[0].Worker.Run != 2 {
		t.Errorf("%+v", gone)
	}
	if sizes := told[pool.EventResized](&d); len(sizes) != 1 || sizes[0].From != 1 || sizes[0].To != 2 {
		t.Errorf("%+v", sizes)
	}
}

// A slot may get another process, with a Process of its own. Its lives are counted on.
func TestRunsAreCountedOn(t *testing.T) {
	var d diary
	p, _, _ := serve(t, pool.Config{Size: 1, Surge: pool.NoSurge, Events: d.write, Worker: child.Config{Name: "w"}})
	for want := uint64(1); want <= 3; want++ {
		if s := p.Stats().Workers[0]; s.Run != want {
			t.Errorf("run %d instead of %d", s.Run, want)
		}
		if err := p.Replace(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	_, err := crash.Call(t.Context(), p, true)
	if !regexp.MustCompile(`^worker w-1 \(pid \d+, run 4\) exited with status 7`).MatchString(fmt.Sprint(err)) {
		t.Error(err)
	}
	for n, e := range told[pool.EventRecycled](&d) {
		if e.Worker.Run != uint64(n)+1 || e.Reason != pool.ReasonReplaced {
			t.Errorf("%v", e)
		}
	}
}

func TestEventsOfTrouble(t *testing.T) {
	var d diary
	p, ended, _ := serve(t, pool.Config{Size: 1, Surge: pool.NoSurge, Events: d.write, Worker: child.Config{Setup: versions.With("good")}})
	syscall.Kill(p.Stats().Workers[0].PID, syscall.SIGKILL)
	until(t, "an idle death is told", func() bool { return len(told[pool.EventDied](&d)) == 1 })
	if e := told[pool.EventDied](&d)[0]; !e.Counted || len(e.Crash.Calls) != 0 {
		t.Errorf("%+v", e)
	}
	if err := p.ReplaceWith(t.Context(), versions.With("bad")); err == nil {
		t.Error("it starts")
	}
	if e := told[pool.EventStartFailed](&d); len(e) != 1 || e[0].Err == nil || e[0].Worker.Name != "worker-1" {
		t.Errorf("%+v", e)
	}
	if len(ended) > 0 {
		t.Error("the pool has given up")
	}
}
