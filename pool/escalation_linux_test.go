package pool_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
	"github.com/verdigris-go/verdigris/strategy"
	"github.com/verdigris-go/verdigris/tree"
)

// sibling is a service beside a pool. A stubborn one, which has a channel, stops only
// when it is killed.
type sibling struct{ killed chan struct{} }

func (s *sibling) Serve(ctx context.Context) error {
	<-ctx.Done()
	if s.killed != nil {
		<-s.killed
	}
	return nil
}

func (s *sibling) Kill() { s.killed <- struct{}{} }

// history writes down what happens to the children of a supervisor: + started, ! ended
// by itself, - stopped, x killed.
type history struct {
	mu    sync.Mutex
	words []string
}

func (h *history) write(e tree.Event) {
	sign := map[tree.EventKind]string{tree.EventStarted: "+", tree.EventExited: "!", tree.EventStopped: "-", tree.EventKilling: "x"}[e.Kind]
	name, direct := strings.CutPrefix(e.Path, "root/")
	if sign == "" || !direct || strings.Contains(name, "/") {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.words = append(h.words, sign+name)
}

func (h *history) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.words, " ")
}

// F67: a pool whose workers cannot stay up gives up. Its supervisor restarts it, with
// the siblings that its strategy says, in order and in bounded time though one of them
// does not want to stop; and gives up itself when that does not help. What has
// happened is in the error.
func TestEscalation(t *testing.T) {
	for _, c := range []struct {
		how  strategy.Strategy
		want string
	}{
		{strategy.OneForOne, "+first +pool +last " + "!pool +pool " + "!pool xlast -last -first"},
		{strategy.RestForOne, "+first +pool +last " + "!pool xlast -last +pool +last " + "!pool xlast -last -first"},
		{strategy.OneForAll, "+first +pool +last " + "!pool xlast -last -first +first +pool +last " + "!pool xlast -last -first"},
	} {
		t.Run(c.how.String(), func(t *testing.T) {
			var h history
			var d diary
			p := pool.New(pool.Config{Name: "p", Size: 2, MinReady: 2, Intensity: strategy.Intensity{Restarts: strategy.NoRestarts}, Events: d.write})
			root, err := tree.New(tree.Spec{
				Strategy: c.how, Intensity: strategy.Intensity{Restarts: 1, Period: time.Minute}, OnEvent: h.write,
				Children: []tree.Child{
					{ID: "first", Service: &sibling{}},
					{ID: "pool", Service: p},
					{ID: "last", Service: &sibling{make(chan struct{})}, Shutdown: tree.After(20 * time.Millisecond)},
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- root.Serve(t.Context()) }()
			for life := 1; life <= 2; life++ {
				until(t, "the tree is up", func() bool { return strings.Count(h.String(), "+pool") == life && p.Stats().Up == 2 })
				until(t, "all have started", func() bool {
					s := h.String()
					return strings.Contains(s, "+last") && (c.how == strategy.OneForOne || strings.Count(s, "+last") == life)
				})
				syscall.Kill(p.Stats().Workers[0].PID, syscall.SIGKILL)
				until(t, "the pool notices", func() bool { return strings.Count(h.String(), "!pool") == life })
			}
			checkEscalation(t, <-ended)
			if got := h.String(); got != c.want {
				t.Errorf("%s\ninstead of\n%s", got, c.want)
			}
			if _, err := double.Call(t.Context(), p, 1); !errors.Is(err, child.ErrNotStarted) || !strings.Contains(err.Error(), "nobody serves it any more") {
				t.Errorf("a call afterwards: %v", err)
			}
			if s := p.Stats(); s.Condition != pool.Stopped || s.Deaths[child.Killed] != 2 {
				t.Errorf("%v", s)
			}
			var way []string
			for _, e := range told[pool.EventCondition](&d) {
				if e.To != pool.Degraded {
					way = append(way, e.To.String())
				}
			}
			if want := []string{"starting", "ready", "stopped", "starting", "ready", "stopped"}; !slices.Equal(way, want) {
				t.Errorf("%v", way)
			}
		})
	}
}

// checkEscalation looks at what a host sees: who it was, and the last causes.
func checkEscalation(t *testing.T, err error) {
	t.Helper()
	top, ok := errors.AsType[*tree.IntensityError](err)
	if !ok || top.ID != "pool" || len(top.Causes) != 2 {
		t.Fatalf("%v", err)
	}
	inner, ok := errors.AsType[*tree.IntensityError](top.Causes[1].Err)
	if !ok || len(inner.Causes) != 1 || !errors.Is(inner.Causes[0].Err, child.Killed) {
		t.Errorf("%v", top.Causes[1].Err)
	}
}

// Nothing that a call does to its worker ever escalates: neither a crash, nor a
// function that hangs beyond its deadline.
func TestBadInputNeverEscalates(t *testing.T) {
	var h history
	none := strategy.Intensity{Restarts: strategy.NoRestarts}
	p := pool.New(pool.Config{Size: 2, Intensity: none, Events: func(pool.Event) {}, Worker: child.Config{Grace: time.Millisecond, Wait: time.Minute}})
	root, err := tree.New(tree.Spec{Strategy: strategy.OneForAll, Intensity: none, OnEvent: h.write, Children: []tree.Child{
		{ID: "sibling", Service: &sibling{}}, {ID: "pool", Service: p},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- root.Serve(ctx) }()
	until(t, "it is up", func() bool { return p.Stats().Up == 2 })
	d := newDoor(t, t.TempDir()+"/door")
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for n := range 100 {
				if n%20 > 0 {
					_, _ = crash.Call(ctx, p, true)
				} else {
					late, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
					_, _ = hold.Call(late, p, d.path)
					cancel()
				}
			}
		})
	}
	wg.Wait()
	if n, err := double.Call(ctx, p, 1); n != 2 || err != nil {
		t.Error(n, err)
	}
	s := p.Stats()
	if s.Deaths[child.Exited] < 100 || s.Deaths[child.Deadline] == 0 {
		t.Errorf("%v", s.Deaths)
	}
	stop()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := h.String(); got != "+sibling +pool -pool -sibling" {
		t.Error(got)
	}
}
