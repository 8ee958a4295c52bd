package pool_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
)

// busily makes calls all the time while f runs. None may fail.
func busily(t *testing.T, p *pool.Pool, callers int, f func()) {
	t.Helper()
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range callers {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				if got, err := double.Call(context.Background(), p, n); err != nil || got != 2*n {
					t.Errorf("double(%d) = %d, %v", n, got, err)
					return
				}
			}
		})
	}
	f()
	close(done)
	wg.Wait()
}

func TestResize(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1})
	busily(t, p, 4, func() {
		for _, n := range []int{4, 2, 3, 1} {
			if err := p.Resize(t.Context(), n); err != nil {
				t.Fatal(err)
			}
			if s := p.Stats(); s.Size != n || s.Up != n || len(s.Workers) != n || s.Leaving != 0 || len(children()) != n {
				t.Errorf("resized to %d: %+v, processes %v", n, s, children())
			}
		}
	})
	for _, n := range []int{0, -1, 5000} {
		if err := p.Resize(t.Context(), n); err == nil {
			t.Errorf("it can be resized to %d", n)
		}
	}
}

// A worker that has to go ends its call first; who waits for that may give up.
func TestResizeWaitsForCalls(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 2, MinReady: 2})
	open1, held1 := holdOne(t, p)
	open2, held2 := holdOne(t, p)
	ctx, cancel := context.WithCancelCause(t.Context())
	given := errors.New("it took too long")
	resized := make(chan error, 1)
	go func() { resized <- p.Resize(ctx, 1) }()
	until(t, "one is leaving", func() bool { return p.Stats().Leaving == 1 })
	cancel(given)
	if err := <-resized; !errors.Is(err, given) {
		t.Error(err)
	}
	open1()
	open2()
	if err := errors.Join(<-held1, <-held2); err != nil {
		t.Error(err)
	}
	if err := p.Resize(t.Context(), 1); err != nil || len(p.Stats().Workers) != 1 {
		t.Error(err, p.Stats())
	}
}

func TestResizeUnserved(t *testing.T) {
	p := pool.New(pool.Config{Size: 1, Max: 3})
	if err := p.Resize(t.Context(), 4); err == nil || !strings.Contains(err.Error(), "1..3") {
		t.Error(err)
	}
	if err := p.Resize(t.Context(), 2); err != nil || p.Stats().Size != 2 {
		t.Error(err)
	}
	bad := pool.New(pool.Config{Size: -1})
	if err := bad.Resize(t.Context(), 2); err == nil {
		t.Error("a bad pool can be resized")
	}
}

// A pool grows when calls have to wait, and shrinks when they do not any more.
func TestElasticPool(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1, Max: 3, Idle: 50 * time.Millisecond})
	d := newDoor(t, filepath.Join(t.TempDir(), "door"))
	held := make(chan error, 5)
	for range 5 {
		go func() { _, err := hold.Call(context.Background(), p, d.path); held <- err }()
	}
	opens := []func(){d.visitor(t), d.visitor(t), d.visitor(t)}
	if s := p.Stats(); s.Size != 3 || s.Busy != 3 || s.Queued != 2 {
		t.Errorf("5 calls for one to three workers: %+v", s)
	}
	for _, open := range opens {
		open()
	}
	for range 2 {
		d.visitor(t)()
	}
	for range 5 {
		if err := <-held; err != nil {
			t.Error(err)
		}
	}
	until(t, "it is back at its size", func() bool { return len(p.Stats().Workers) == 1 && len(children()) == 1 })
	if n, err := double.Call(t.Context(), p, 3); n != 6 || err != nil {
		t.Error(n, err)
	}
}

// A pool that is served again begins with its size, and its calls go on waiting.
func TestServedAgain(t *testing.T) {
	p := pool.New(pool.Config{Size: 2, Spares: 1})
	for n := range 3 {
		ctx, stop := context.WithCancel(t.Context())
		ready, served := make(chan struct{}), make(chan error, 1)
		go func() { served <- p.ServeReady(ctx, func() { close(ready) }) }()
		<-ready
		if got, err := double.Call(t.Context(), p, n); got != 2*n || err != nil {
			t.Error(got, err)
		}
		until(t, "all are up", func() bool { s := p.Stats(); return s.Up == 2 && s.Spares == 1 })
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if s := p.Stats(); s.Up != 0 || s.Busy != 0 || len(s.Workers) != 3 {
			t.Errorf("%+v", s)
		}
	}
	p.Retire(nil)
	_, err := double.Call(t.Context(), p, 1)
	if _, ok := errors.AsType[*child.UnavailableError](err); !ok {
		t.Error(err)
	}
}
