package tree

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/strategy"
)

// The benchmarks do the same work with a Supervisor and with suture, in the same run:
//
//	go test ./tree -run '^$' -bench . -benchmem

const many = 100_000

// plenty is a budget that no benchmark exceeds.
var plenty = strategy.Intensity{Restarts: 1 << 40, Period: time.Second}

// host is what both libraries can do here.
type host interface {
	room(n int) // for so many children
	add(name string, s suture.Service)
	start(ctx context.Context)
	stop()
}

var hosts = []struct {
	name string
	make func() host
}{
	{"tree", func() host { return &treeHost{spec: Spec{Intensity: plenty}} }},
	{"suture", func() host {
		return &sutureHost{Supervisor: suture.New("bench", suture.Spec{EventHook: func(suture.Event) {}, FailureThreshold: 1e18, Timeout: time.Minute})}
	}},
}

type treeHost struct {
	spec Spec
	sup  *Supervisor
}

func (h *treeHost) room(n int) { h.spec.Children = make([]Child, 0, n) }

func (h *treeHost) add(name string, s suture.Service) {
	h.spec.Children = append(h.spec.Children, Child{ID: name, Service: s})
}

func (h *treeHost) start(ctx context.Context) {
	var err error
	if h.sup, err = New(h.spec); err == nil {
		err = errors.Join(h.sup.Start(ctx), h.sup.WaitReady(ctx))
	}
	if err != nil {
		panic(err)
	}
	h.spec.Children = nil // the supervisor has its own
}

func (h *treeHost) stop() { _ = h.sup.Stop(context.Background()) }

type sutureHost struct {
	*suture.Supervisor
	cancel context.CancelFunc
	done   <-chan error
}

func (h *sutureHost) room(int) {}

func (h *sutureHost) add(_ string, s suture.Service) { h.Add(s) }

func (h *sutureHost) start(ctx context.Context) {
	ctx, h.cancel = context.WithCancel(ctx)
	h.done = h.ServeBackground(ctx)
}

func (h *sutureHost) stop() { h.cancel(); <-h.done }

// named is a service that suture need not print to find a name for it.
type named struct{ serve func(context.Context) error }

func (n *named) Serve(ctx context.Context) error { return n.serve(ctx) }
func (n *named) String() string                  { return "child" }

// BenchmarkStart starts 100,000 children, and tells how much memory each of them takes.
func BenchmarkStart(b *testing.B) {
	ids := make([]string, many)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	for _, h := range hosts {
		b.Run(h.name, func(b *testing.B) {
			var bytes uint64
			for b.Loop() {
				b.StopTimer()
				before := memory()
				var up sync.WaitGroup
				up.Add(many)
				s := &named{func(ctx context.Context) error { up.Done(); <-ctx.Done(); return nil }}
				b.StartTimer()
				x := h.make()
				x.room(many)
				for _, id := range ids {
					x.add(id, s)
				}
				x.start(context.Background())
				up.Wait()
				b.StopTimer()
				bytes += memory() - before
				x.stop()
				b.StartTimer()
			}
			b.ReportMetric(float64(bytes)/float64(b.N)/many, "B/child")
		})
	}
}

// memory is what is in use after a garbage collection, stacks included.
func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// BenchmarkRestart measures the time from the failure of one child until it is served again.
func BenchmarkRestart(b *testing.B) {
	for _, n := range []int{10, many} {
		for _, h := range hosts {
			b.Run(fmt.Sprintf("%s/of%d", h.name, n), func(b *testing.B) {
				fail, up := make(chan error), make(chan struct{})
				x := h.make()
				for i := range n {
					s := &named{idle}
					if i == n/2 {
						s.serve = func(ctx context.Context) error {
							select {
							case up <- struct{}{}:
							case <-ctx.Done():
							}
							select {
							case err := <-fail:
								return err
							case <-ctx.Done():
								return nil
							}
						}
					}
					x.add(strconv.Itoa(i), s)
				}
				started := make(chan struct{})
				go func() { x.start(context.Background()); close(started) }()
				<-up
				<-started
				b.ReportAllocs()
				for b.Loop() {
					fail <- errBoom
					<-up
				}
				x.stop()
			})
		}
	}
}

// BenchmarkStorm measures one restart while 1,000 children do nothing but fail.
func BenchmarkStorm(b *testing.B) {
	for _, h := range hosts {
		b.Run(h.name, func(b *testing.B) {
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan struct{})
			s := &named{func(ctx context.Context) error {
				if n := left.Add(-1); n == 0 {
					close(done)
				} else if n < 0 {
					<-ctx.Done()
				}
				return errBoom
			}}
			x := h.make()
			for i := range 1000 {
				x.add(strconv.Itoa(i), s)
			}
			b.ReportAllocs()
			b.ResetTimer()
			x.start(context.Background())
			<-done
			b.StopTimer()
			x.stop()
		})
	}
}
