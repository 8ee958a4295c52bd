package pool_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
)

// fragile doubles a number; its process does not survive 117.
var fragile = child.Define("fragile", func(_ context.Context, n int) (int, error) {
	if n == 117 {
		os.Exit(7)
	}
	return 2 * n, nil
})

// One crash among 200 calls on 4 workers costs one call.
func TestMapLosesOneCall(t *testing.T) {
	for _, cfg := range []pool.Config{{Size: 4}, {Size: 4, Ahead: 4}, {Size: 4, Choose: pool.ByKey}} {
		for _, completed := range []bool{false, true} {
			p, _, _ := serve(t, cfg)
			n, sum := 0, 0
			var lost []error
			for out, err := range pool.Map(t.Context(), p, fragile, (&upTo{n: 200}).all(), pool.MapConfig{AsCompleted: completed, Key: byNumber}) {
				if err != nil {
					lost = append(lost, err)
					continue
				}
				if !completed && out != 2*(n+len(lost)) {
					t.Errorf("result %d is %d", n, out)
				}
				n, sum = n+1, sum+out
			}
			if n != 199 || sum != 199*200-2*117 {
				t.Errorf("%d results, their sum is %d", n, sum)
			}
			if len(lost) != 1 {
				t.Fatalf("%d are lost: %v", len(lost), lost)
			}
			failed, _ := errors.AsType[*pool.MapError](lost[0])
			crash, _ := errors.AsType[*child.CrashError](lost[0])
			if failed == nil || crash == nil || failed.Index != 117 || failed.Input != 117 || crash.Calls[0].Key != "117" || !errors.Is(failed, child.Exited) {
				t.Errorf("%#v", lost[0])
			}
		}
	}
}

// The queue's limits are for those who can come later. Map's calls wait, and take
// no room in the queue from others.
func TestMapInAFullPool(t *testing.T) {
	for name, cfg := range map[string]pool.Config{
		"no queue": {Queue: pool.NoQueue}, "queue of 1": {Queue: 1}, "queue timeout": {QueueTimeout: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Size, cfg.MinReady = 2, 2
			p, _, _ := serve(t, cfg)
			open1, held1 := holdOne(t, p)
			open2, held2 := holdOne(t, p)
			mapped := make(chan error, 1)
			go func() {
				n := 0
				for out, err := range pool.Map(t.Context(), p, double, (&upTo{n: 100}).all(), pool.MapConfig{}) {
					if err != nil || out != 2*n {
						mapped <- fmt.Errorf("result %d: %d, %w", n, out, err)
						return
					}
					n++
				}
				mapped <- nil
			}()
			until(t, "the map waits", func() bool { return p.Stats().Queued == p.Width() })
			if cfg.Queue == 1 { // there is still room for one other
				ctx, cancel := context.WithCancel(t.Context())
				other := make(chan error, 1)
				go func() { _, err := double.Call(ctx, p, 1); other <- err }()
				until(t, "another waits too", func() bool { return p.Stats().Queued == p.Width()+1 })
				defer func() {
					cancel()
					if err := <-other; err != nil && !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
				}()
			}
			_, err := double.Call(t.Context(), p, 1)
			var full *pool.OverloadedError
			var late *pool.QueueTimeoutError
			if !errors.As(err, &full) && !errors.As(err, &late) {
				t.Errorf("a call that is not Map's: %v", err)
			}
			open1()
			open2()
			if err := errors.Join(<-mapped, <-held1, <-held2); err != nil {
				t.Error(err)
			}
			until(t, "nobody waits", func() bool { return p.Stats().Queued == 0 })
		})
	}
}

// Two maps and other callers share a pool while its size changes; nothing fails.
func TestMapBesideOthers(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 2, Max: 4})
	busily(t, p, 2, func() {
		var maps sync.WaitGroup
		for range 2 {
			maps.Go(func() {
				n := 0
				for out, err := range pool.Map(t.Context(), p, double, (&upTo{n: 3000}).all(), pool.MapConfig{}) {
					if err != nil || out != 2*n {
						t.Errorf("result %d: %d, %v", n, out, err)
						return
					}
					n++
				}
				if n != 3000 {
					t.Errorf("%d results", n)
				}
			})
		}
		for _, n := range []int{4, 1, 3} {
			if err := p.Resize(t.Context(), n); err != nil {
				t.Error(err)
			}
		}
		maps.Wait()
	})
}

// An elastic pool grows for a map, up to its limit.
func TestMapGrowsAPool(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1, Max: 3})
	d := newDoor(t, filepath.Join(t.TempDir(), "door"))
	mapped := make(chan error, 1)
	go func() {
		for _, err := range pool.Map(t.Context(), p, hold, func(yield func(string) bool) {
			for range 6 {
				if !yield(d.path) {
					return
				}
			}
		}, pool.MapConfig{}) {
			if err != nil {
				mapped <- err
			}
		}
		mapped <- nil
	}()
	opens := []func(){d.visitor(t), d.visitor(t), d.visitor(t)} // three at once
	for _, open := range opens {
		open()
	}
	for range 3 {
		d.visitor(t)()
	}
	if err := <-mapped; err != nil {
		t.Error(err)
	}
}

// A loop that is left does not wait for a worker that goes on.
func TestMapIsLeftWhileWorkersGoOn(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 2, MinReady: 2})
	d := newDoor(t, filepath.Join(t.TempDir(), "door"))
	ctx, cancel := context.WithCancel(t.Context())
	var opens []func()
	go func() {
		opens = append(opens, d.visitor(t), d.visitor(t))
		cancel()
	}()
	var last error
	n := 0
	for _, err := range pool.Map(ctx, p, hold, func(yield func(string) bool) {
		for yield(d.path) {
		}
	}, pool.MapConfig{}) {
		n, last = n+1, err
	}
	cut, _ := errors.AsType[*pool.CutOffError](last)
	if cut == nil || cut.Taken != n-1 {
		t.Errorf("the last of %d pairs: %v", n, last)
	}
	for _, open := range opens {
		open()
	}
	if got, err := double.Call(t.Context(), p, 3); got != 6 || err != nil {
		t.Error(got, err)
	}
}

// A map works on one worker as on a pool, and survives its crash.
func TestMapOnAProcess(t *testing.T) {
	for _, cfg := range []child.Config{{}, {CallTimeout: time.Minute}} {
		w := child.New(cfg)
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() {
			for {
				err := w.Serve(ctx)
				if ctx.Err() != nil {
					served <- err
					return
				}
			}
		}()
		until(t, "the worker is up", func() bool { return w.Stats().Up })
		n, lost := 0, 0
		for out, err := range pool.Map(t.Context(), w, fragile, (&upTo{n: 150}).all(), pool.MapConfig{}) {
			if crash, _ := errors.AsType[*child.CrashError](err); crash != nil {
				lost++
			} else if err != nil || out != 2*(n+lost) {
				t.Errorf("result %d: %d, %v", n, out, err)
			} else {
				n++
			}
		}
		if n != 149 || lost != 1 {
			t.Errorf("%d results, %d lost", n, lost)
		}
		stop()
		<-served
	}
}
