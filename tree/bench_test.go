//go:build unix

package tree

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/strategy"
)

// The benchmarks do the same work with a Supervisor and with suture, in turns, so that both suffer alike from whatever
// else the machine is doing:
//
//	go test ./tree -run '^$' -bench . -benchtime 1x
//
// What is printed are medians over all rounds. x_suture is the ratio of the times of one round, ours to suture's:
// below 1, ours was faster. x_lo and x_hi are its quartiles. cpu_x_suture is the same for the processor time, which
// depends less on what else is running.

const many = 100_000

// plenty is a budget that no benchmark exceeds.
var plenty = strategy.Intensity{Restarts: 1 << 40, Period: time.Second}

// host is what both libraries can do here.
type host interface {
	room(n int)                        // for so many children, before start
	add(name string, s suture.Service) // before start or after it
	start(ctx context.Context)
	stop()
}

// contestants makes one of each: ours first.
func contestants() [2]host {
	return [2]host{&treeHost{spec: Spec{Intensity: plenty}}, newSutureHost()}
}

type treeHost struct {
	spec Spec
	sup  *Supervisor
}

func (h *treeHost) room(n int) { h.spec.Children = make([]Child, 0, n) }

func (h *treeHost) add(name string, s suture.Service) {
	if h.sup == nil {
		h.spec.Children = append(h.spec.Children, Child{ID: name, Service: s})
		return
	}
	if _, err := h.sup.StartChild(context.Background(), Child{ID: name, Service: s}); err != nil {
		panic(err)
	}
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

// dynamicHost is a treeHost with a dynamic supervisor.
type dynamicHost struct{ treeHost }

func newDynamicHost() *dynamicHost {
	return &dynamicHost{treeHost{spec: Spec{Intensity: plenty, Dynamic: &Dynamic{Template: Child{ID: "child"}}}}}
}

func (h *dynamicHost) add(_ string, s suture.Service) {
	if _, err := h.sup.StartService(context.Background(), s); err != nil {
		panic(err)
	}
}

func dynamicContestants() [2]host { return [2]host{newDynamicHost(), newSutureHost()} }

type sutureHost struct {
	*suture.Supervisor
	cancel context.CancelFunc
	done   <-chan error
}

func newSutureHost() *sutureHost {
	return &sutureHost{Supervisor: suture.New("bench", sutureSpec())}
}

func sutureSpec() suture.Spec {
	return suture.Spec{EventHook: func(suture.Event) {}, FailureThreshold: 1e18, Timeout: time.Minute}
}

func (h *sutureHost) room(int) {} // it has no way to say so

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

// score is what one side took for one operation, round by round.
type score struct{ wall, cpu []float64 }

// turn is what a side has to do. What comes before and after is not measured; sides are 0 (ours) and 1.
type turn struct{ before, work, after func(side int) }

// contest lets both sides take turns of n operations and reports how they compare.
func contest(b *testing.B, rounds, n int, t turn) {
	var scores [2]score
	for i := range rounds {
		for k := range 2 {
			side := (i + k) % 2 // nobody is always first
			if t.before != nil {
				t.before(side)
			}
			wall, cpu := time.Now(), processorTime()
			t.work(side)
			s := &scores[side]
			s.wall = append(s.wall, float64(time.Since(wall))/float64(n))
			s.cpu = append(s.cpu, float64(processorTime()-cpu)/float64(n))
			if t.after != nil {
				t.after(side)
			}
		}
	}
	x := ratios(scores[0].wall, scores[1].wall)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(quantile(scores[0].wall, 0.5), "tree-ns")
	b.ReportMetric(quantile(scores[1].wall, 0.5), "suture-ns")
	b.ReportMetric(quantile(x, 0.25), "x_lo")
	b.ReportMetric(quantile(x, 0.5), "x_suture")
	b.ReportMetric(quantile(x, 0.75), "x_hi")
	b.ReportMetric(quantile(ratios(scores[0].cpu, scores[1].cpu), 0.5), "cpu_x_suture")
}

func ratios(ours, theirs []float64) []float64 {
	x := make([]float64, len(ours))
	for i := range x {
		x[i] = ours[i] / theirs[i]
	}
	return x
}

func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// settle brings the runtime into the same condition before each turn: no garbage, and, because the runtime
// chooses the size of new stacks by those it has seen in the last collection, many goroutines with small ones.
func settle(goroutines int) {
	var up, down sync.WaitGroup
	release := make(chan struct{})
	up.Add(goroutines)
	for range goroutines {
		down.Go(func() { up.Done(); <-release })
	}
	up.Wait()
	runtime.GC()
	runtime.GC()
	close(release)
	down.Wait()
}

// memory is what is in use, stacks included. It is not inlined, because it needs much stack, and the runtime chooses
// the size of new stacks by those it sees.
//
//go:noinline
func memory() float64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// BenchmarkStart starts 100,000 children, and tells how much memory each of them takes: those of the spec, those that
// are added one by one, and those of a dynamic supervisor.
func BenchmarkStart(b *testing.B) {
	ids := make([]string, many)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	for _, c := range []struct {
		name  string
		make  func() [2]host
		begun bool // before the children are added
	}{{"Static", contestants, false}, {"Added", contestants, true}, {"Dynamic", dynamicContestants, true}} {
		b.Run(c.name, func(b *testing.B) {
			settle(many) // so that the descriptors of goroutines, which the runtime keeps, are there
			for b.Loop() {
				startMany(b, ids, c.make, c.begun)
			}
		})
	}
}

func startMany(b *testing.B, ids []string, contestants func() [2]host, begun bool) {
	var x host
	var bytes [2][]float64
	var used float64
	var up sync.WaitGroup
	contest(b, 7, len(ids), turn{
		before: func(side int) {
			settle(1000)
			used = memory()
			x = contestants()[side]
			up.Add(len(ids))
		},
		work: func(int) {
			s := &named{func(ctx context.Context) error { up.Done(); <-ctx.Done(); return nil }}
			if begun {
				x.start(context.Background())
			} else {
				x.room(len(ids))
			}
			for _, id := range ids {
				x.add(id, s)
			}
			if !begun {
				x.start(context.Background())
			}
			up.Wait()
		},
		after: func(side int) {
			runtime.GC()
			bytes[side] = append(bytes[side], (memory()-used)/float64(len(ids)))
			x.stop()
			x = nil
		},
	})
	b.ReportMetric(quantile(bytes[0], 0.5), "tree-B/child")
	b.ReportMetric(quantile(bytes[1], 0.5), "suture-B/child")
}

// failing is a service that ends each time it is told to.
type failing struct {
	up   chan struct{}
	fail chan error
}

func newFailing() *failing { return &failing{up: make(chan struct{}), fail: make(chan error)} }

func (*failing) String() string { return "failing" }

func (f *failing) Serve(ctx context.Context) error {
	select {
	case f.up <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	select {
	case err := <-f.fail:
		return err
	case <-ctx.Done():
		return nil
	}
}

// restarts makes it fail n times, each time when it is up again.
func (f *failing) restarts(n int) {
	for range n {
		f.fail <- errBoom
		<-f.up
	}
}

// BenchmarkRestart measures the time from the failure of one child until it is served again.
func BenchmarkRestart(b *testing.B) {
	for _, n := range []int{10, many} {
		b.Run(fmt.Sprintf("of%d", n), func(b *testing.B) {
			x := contestants()
			var f [2]*failing
			for side, h := range x {
				f[side] = newFailing()
				for i := range n {
					var s suture.Service = &named{idle}
					if i == n/2 {
						s = f[side]
					}
					h.add(strconv.Itoa(i), s)
				}
			}
			restartInTurns(b, x, f)
		})
	}
}

// BenchmarkDeep measures the same for the only worker below a hundred supervisors.
func BenchmarkDeep(b *testing.B) {
	f := [2]*failing{newFailing(), newFailing()}
	var ours, theirs suture.Service = f[0], f[1]
	for range 99 {
		sup, err := New(Spec{Intensity: plenty, Children: []Child{{ID: "child", Service: ours}}})
		if err != nil {
			b.Fatal(err)
		}
		inner := suture.New("inner", sutureSpec())
		inner.Add(theirs)
		ours, theirs = sup, inner
	}
	x := contestants()
	x[0].add("child", ours)
	x[1].add("child", theirs)
	restartInTurns(b, x, f)
}

func restartInTurns(b *testing.B, x [2]host, f [2]*failing) {
	for side, h := range x {
		started := make(chan struct{})
		go func() { h.start(context.Background()); close(started) }()
		<-f[side].up
		<-started
		defer h.stop()
		f[side].restarts(1000)
	}
	runtime.GC()
	const n = 500
	for b.Loop() {
		contest(b, 101, n, turn{work: func(side int) { f[side].restarts(n) }})
	}
}

// BenchmarkStorm measures one restart while 1 or 1,000 children do nothing but fail.
func BenchmarkStorm(b *testing.B) {
	for _, children := range []int{1, 1000} {
		b.Run(fmt.Sprintf("of%d", children), func(b *testing.B) {
			for b.Loop() {
				storm(b, children)
			}
		})
	}
}

func storm(b *testing.B, children int) {
	const n = 50_000
	var x host
	contest(b, 15, n, turn{
		before: func(side int) { x = contestants()[side]; settle(1000) },
		work: func(int) {
			var left atomic.Int64
			left.Store(n)
			done := make(chan struct{})
			s := &named{func(ctx context.Context) error {
				if n := left.Add(-1); n == 0 {
					close(done)
				} else if n < 0 {
					<-ctx.Done()
				}
				return errBoom
			}}
			for i := range children {
				x.add(strconv.Itoa(i), s)
			}
			x.start(context.Background())
			<-done
		},
		after: func(int) { x.stop() },
	})
}
