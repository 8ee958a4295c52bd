package pool_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
	"github.com/verdigris-go/verdigris/strategy"
)

// pids are the processes of the pool's workers.
func pids(p *pool.Pool) (all []int) {
	for _, w := range p.Stats().Workers {
		all = append(all, w.PID)
	}
	return all
}

func allUp(p *pool.Pool) func() bool {
	return func() bool {
		s := p.Stats()
		return s.Up == s.Size && !slices.ContainsFunc(s.Workers, func(w pool.WorkerStats) bool { return !w.Up })
	}
}

func TestReplace(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 3, MinReady: 3, Spares: 1})
	until(t, "all are up", allUp(p))
	before := pids(p)
	most := processes(func() {
		busily(t, p, 4, func() {
			if err := p.Replace(t.Context()); err != nil {
				t.Error(err)
			}
		})
	})
	until(t, "all are up again", allUp(p))
	after := pids(p)
	if len(after) != 4 || slices.ContainsFunc(after, func(n int) bool { return slices.Contains(before, n) }) {
		t.Errorf("workers %v were replaced by %v", before, after)
	}
	if most > 3+1+1 {
		t.Errorf("there were %d processes", most)
	}
}

// Where memory or licences allow no process more, a worker is gone before its
// replacement is started. A call that comes meanwhile waits.
func TestReplaceWithoutSurge(t *testing.T) {
	dir := t.TempDir()
	d := newDoor(t, filepath.Join(dir, "door"))
	p, _, _ := serve(t, pool.Config{
		Size: 1, Surge: pool.NoSurge, Worker: child.Config{Setup: fewOpen.With(few{dir, 1}), Wait: time.Minute},
	})
	before := pids(p)
	replaced := make(chan error, 1)
	go func() { replaced <- p.Replace(context.Background()) }()
	open := d.visitor(t) // the new one, which takes its time
	if now := children(); len(now) != 1 || p.Stats().Up != 0 {
		t.Errorf("processes while the new worker starts: %v", now)
	}
	called := make(chan error, 1)
	go func() { _, err := double.Call(context.Background(), p, 1); called <- err }()
	until(t, "the call waits", func() bool { return p.Stats().Queued == 1 })
	open()
	if err := errors.Join(<-replaced, <-called); err != nil {
		t.Error(err)
	}
	if after := pids(p); len(after) != 1 || after[0] == before[0] {
		t.Errorf("worker %v was replaced by %v", before, after)
	}
}

func TestReplaceWith(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 2, Worker: child.Config{Setup: versions.With("one")}})
	if v, err := version.Call(t.Context(), p, true); v != "one" || err != nil {
		t.Fatal(v, err)
	}
	if err := p.ReplaceWith(t.Context(), versions.With("two")); err != nil {
		t.Fatal(err)
	}
	_, _ = crash.Call(t.Context(), p, true)
	for range 4 { // also the one that was restarted
		if v, err := version.Call(t.Context(), p, true); v != "two" || err != nil {
			t.Error(v, err)
		}
	}
}

// New workers that cannot start do not cost the pool its old ones, nor its
// intensity, and no call fails.
func TestReplaceTurnsBack(t *testing.T) {
	for _, surge := range []int{1, pool.NoSurge} {
		p, ended, _ := serve(t, pool.Config{
			Size: 2, MinReady: 2, Surge: surge, Intensity: strategy.Intensity{Restarts: strategy.NoRestarts},
			Worker: child.Config{Setup: versions.With("one")},
		})
		busily(t, p, 2, func() {
			err := p.ReplaceWith(t.Context(), versions.With("bad"))
			if _, ok := errors.AsType[*child.StartError](err); !ok || !strings.Contains(err.Error(), "a bad version") {
				t.Errorf("surge %d: %v", surge, err)
			}
		})
		for range 4 {
			if v, err := version.Call(t.Context(), p, true); v != "one" || err != nil {
				t.Errorf("surge %d: %v %v", surge, v, err)
			}
		}
		if s := p.Stats(); s.Up != 2 || len(s.Workers) != 2 || len(ended) > 0 {
			t.Errorf("surge %d: %+v", surge, s)
		}
		if err := p.ReplaceWith(t.Context(), versions.With("two")); err != nil {
			t.Error(err)
		}
		if v, err := version.Call(t.Context(), p, true); v != "two" || err != nil {
			t.Error(v, err)
		}
	}
}

func TestOneReplaceAtATime(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1})
	open, held := holdOne(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- p.Replace(ctx) }()
	until(t, "the replacement has begun", func() bool { return len(p.Stats().Workers) == 2 })
	if err := p.Replace(t.Context()); !errors.Is(err, pool.ErrReplacing) {
		t.Error(err)
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	open()
	if err := <-held; err != nil {
		t.Error(err)
	}
	until(t, "it went on", func() bool { s := p.Stats(); return s.Replaced == 1 && s.Up == 1 })
	if err := p.Replace(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReplaceUnserved(t *testing.T) {
	p := pool.New(pool.Config{Size: 1, Worker: child.Config{Setup: versions.With("one")}})
	if err := p.ReplaceWith(t.Context(), versions.With("two")); err != nil {
		t.Error(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx) }()
	until(t, "it is up", func() bool { return p.Stats().Up == 1 })
	if v, err := version.Call(t.Context(), p, true); v != "two" || err != nil {
		t.Error(v, err)
	}
	stop()
	<-served
}

func TestPause(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1, Queue: 1, Worker: child.Config{Wait: 20 * time.Millisecond}})
	open, held := holdOne(t, p)
	p.Pause()
	queued := make(chan error, 1)
	go func() { _, err := double.Call(context.Background(), p, 1); queued <- err }()
	until(t, "it is queued", func() bool { return p.Stats().Queued == 1 })
	open()
	if err := <-held; err != nil { // what runs goes on
		t.Error(err)
	}
	if _, err := double.Call(t.Context(), p, 1); !isOverloaded(err) {
		t.Error(err)
	}
	if s := p.Stats(); s.Queued != 1 || s.Busy != 0 {
		t.Errorf("%+v", s)
	}
	p.Resume()
	if err := <-queued; err != nil {
		t.Error(err)
	}
}

func TestDrain(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1})
	d := newDoor(t, filepath.Join(t.TempDir(), "door"))
	results := make(chan error, 2)
	for range 2 {
		go func() { _, err := hold.Call(context.Background(), p, d.path); results <- err }()
	}
	first := d.visitor(t)
	until(t, "the other is queued", func() bool { return p.Stats().Queued == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	drained := make(chan error, 1)
	go func() { drained <- p.Drain(ctx) }()
	until(t, "calls are refused", func() bool {
		_, err := double.Call(withTimeout(t, time.Millisecond), p, 1)
		u, ok := errors.AsType[*child.UnavailableError](err)
		return ok && strings.Contains(u.Reason, "drained")
	})
	first()
	second := d.visitor(t) // what was queued is not lost
	cancel()
	if err := <-drained; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	second()
	if err := p.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if err := errors.Join(<-results, <-results); err != nil {
		t.Error(err)
	}
	p.Resume()
	if n, err := double.Call(t.Context(), p, 2); n != 4 || err != nil {
		t.Error(n, err)
	}
}
