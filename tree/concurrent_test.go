package tree

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/verdigris-go/verdigris/strategy"
)

// once is a service that fails now and then, and notices when it is served twice at the same time.
type once struct {
	running atomic.Int32
	starts  atomic.Int32
	twice   *atomic.Bool
}

func (o *once) Serve(ctx context.Context) error { return o.ServeReady(ctx, func() {}) }

func (o *once) ServeReady(ctx context.Context, ready func()) error {
	if o.running.Add(1) != 1 {
		o.twice.Store(true)
	}
	defer o.running.Add(-1)
	if o.starts.Load() > 0 {
		time.Sleep(rand.N(5 * time.Millisecond))
	}
	if o.starts.Add(1) > 1 && rand.IntN(4) == 0 {
		return errBoom
	}
	ready()
	select {
	case <-ctx.Done():
		time.Sleep(rand.N(8 * time.Millisecond))
		return ctx.Err()
	case <-time.After(rand.N(40 * time.Millisecond)):
		return []error{errBoom, nil, ErrShutdown, Excuse(errBoom)}[rand.IntN(4)]
	}
}

// Many callers ask for everything at the same time, while children fail, start slowly and are abandoned. No service
// is ever served twice at once, nobody waits for ever, and in the end nothing is left.
func TestConcurrentUse(t *testing.T) {
	for _, st := range []strategy.Strategy{strategy.OneForOne, strategy.OneForAll, strategy.RestForOne} {
		t.Run(st.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) { abuse(t, st) })
		})
	}
}

func abuse(t *testing.T, st strategy.Strategy) {
	var twice atomic.Bool
	services := map[string]*once{}
	var children []Child
	for i := range 6 {
		id := fmt.Sprint("c", i)
		services[id] = &once{twice: &twice}
		children = append(children, Child{
			ID: id, Service: services[id], Restart: strategy.Restart(i % 3), Shutdown: After(5 * time.Millisecond),
			Backoff: strategy.Backoff{Initial: time.Duration(i%2) * 4 * time.Millisecond}, StartTimeout: 4 * time.Millisecond,
		})
	}
	sub := mustNew(t, Spec{Strategy: st, Intensity: strategy.Intensity{Restarts: 30, Period: time.Second}, Children: children})
	s := mustNew(t, Spec{Intensity: strategy.Intensity{Restarts: 1 << 20}, Children: []Child{
		{ID: "sub", Service: sub, Backoff: strategy.Backoff{Initial: time.Millisecond}},
	}})
	isErr(t, s.Start(t.Context()), nil)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 200 {
				ctx, cancel := context.WithTimeout(t.Context(), rand.N(20*time.Millisecond))
				c := children[rand.IntN(len(children))]
				switch rand.IntN(8) {
				case 0:
					_ = sub.TerminateChild(ctx, c.ID)
				case 1, 2:
					_, _ = sub.RestartChild(ctx, c.ID)
				case 3:
					_ = sub.DeleteChild(ctx, c.ID)
				case 4, 5:
					_, _ = sub.StartChild(ctx, c)
				case 6:
					_, _ = sub.Count(ctx)
				default:
					s.Snapshot()
				}
				cancel()
				time.Sleep(rand.N(time.Millisecond))
			}
			if i == 0 {
				sub.Kill()
			}
		})
	}
	wg.Wait()
	stop(t, s)
	time.Sleep(time.Second) // for those that were abandoned
	synctest.Wait()
	isTrue(t, !twice.Load(), "a service was served twice at once")
	for id, o := range services {
		isTrue(t, o.running.Load() == 0, "%s still runs", id)
	}
	isTrue(t, len(sub.abandoned) == 0, "%d abandoned runs are remembered", len(sub.abandoned))
}
