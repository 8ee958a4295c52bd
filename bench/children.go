//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/bench/measure"
	"github.com/verdigris-go/verdigris/tree"
)

// The rows of in-process children do the same with a tree.Supervisor and with
// suture, whose services both run.

// house is what both libraries can do here.
type house interface {
	room(n int)                        // for so many children
	add(name string, s suture.Service) // before or after start
	start() error
	stop()
}

type treeHouse struct {
	spec tree.Spec
	sup  *tree.Supervisor
}

func newTreeHouse() house { return &treeHouse{spec: tree.Spec{Intensity: plenty}} }

func (h *treeHouse) room(n int) { h.spec.Children = make([]tree.Child, 0, n) }

func (h *treeHouse) add(name string, s suture.Service) {
	h.spec.Children = append(h.spec.Children, tree.Child{ID: name, Service: s})
}

func (h *treeHouse) start() (err error) {
	if h.sup, err = tree.New(h.spec); err != nil {
		return err
	}
	h.spec.Children = nil // the supervisor has its own
	if err := h.sup.Start(context.Background()); err != nil {
		return err
	}
	return h.sup.WaitReady(context.Background())
}

func (h *treeHouse) stop() { _ = h.sup.Stop(context.Background()) } // how it ends is not the question

// dynamicHouse has children that are started one by one.
type dynamicHouse struct{ treeHouse }

func newDynamicHouse() house {
	return &dynamicHouse{treeHouse{spec: tree.Spec{Intensity: plenty, Dynamic: &tree.Dynamic{Template: tree.Child{ID: "child"}}}}}
}

func (h *dynamicHouse) room(int) {}

func (h *dynamicHouse) add(_ string, s suture.Service) {
	if _, err := h.sup.StartService(context.Background(), s); err != nil {
		panic(err) // it takes all that come
	}
}

type sutureHouse struct {
	*suture.Supervisor
	cancel context.CancelFunc
	end    chan struct{}
}

func newSutureHouse() house { return &sutureHouse{Supervisor: suture.New("bench", sutureSpec())} }

func sutureSpec() suture.Spec {
	return suture.Spec{EventHook: func(suture.Event) {}, FailureThreshold: 1e18, Timeout: patience}
}

func (h *sutureHouse) room(int) {} // it has no way to say so

func (h *sutureHouse) add(_ string, s suture.Service) { h.Add(s) }

func (h *sutureHouse) start() error {
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel, h.end = cancel, make(chan struct{})
	go func() {
		defer close(h.end)
		_ = h.Serve(ctx) // how it ends is not the question
	}()
	return nil
}

func (h *sutureHouse) stop() { h.cancel(); <-h.end }

// serving is a service that suture need not print to find a name for it.
type serving func(context.Context) error

func (f serving) Serve(ctx context.Context) error { return f(ctx) }
func (serving) String() string                    { return "child" }

// manyChildren is row F1.
func manyChildren(e effort) (lines []line, err error) {
	settle(e.children) // so that the descriptors of goroutines, which the runtime keeps, are there
	ids := make([]string, e.children)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	for _, c := range []struct {
		name  string
		ours  func() house
		begun bool // before the children come
	}{{"by a spec", newTreeHouse, false}, {"one by one", newDynamicHouse, true}} {
		scores, err := e.contest(
			side{"tree", func() (measure.Sample, error) { return startMany(c.ours(), ids, c.begun) }},
			side{"suture", func() (measure.Sample, error) { return startMany(newSutureHouse(), ids, c.begun) }})
		if err != nil {
			return nil, err
		}
		what := fmt.Sprintf("%s children %s", digits(float64(e.children)), c.name)
		lines = append(lines,
			compare("start "+what, nanoseconds, scores[0].of(each), baseline{"suture", scores[1].of(each)}, atMostTimes(0.5)),
			compare("memory of each of "+what, bytes, scores[0].of(fact("memory")), baseline{"suture", scores[1].of(fact("memory"))}, lessThanTimes(1)))
	}
	return lines, nil
}

// startMany yields the time until all children run, and the memory of each.
func startMany(h house, ids []string, begun bool) (s measure.Sample, err error) {
	settle(min(len(ids), 1000))
	used := memory()
	var up sync.WaitGroup
	up.Add(len(ids))
	service := serving(func(ctx context.Context) error { up.Done(); <-ctx.Done(); return nil })
	begin := time.Now()
	if begun {
		err = h.start()
	} else {
		h.room(len(ids))
	}
	for _, id := range ids {
		h.add(id, service)
	}
	if !begun {
		err = h.start()
	}
	if err != nil {
		return s, err
	}
	up.Wait()
	s.Done, s.Wall = len(ids), time.Since(begin)
	runtime.GC()
	s.Facts = measure.Facts{"memory": (memory() - used) / float64(len(ids))}
	h.stop()
	return s, nil
}

// settle brings the runtime into the same condition before each turn: no
// garbage, and, because it chooses the size of new stacks by those it has seen,
// many goroutines with small ones.
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

// memory is what this process has in use, stacks included. It is not inlined,
// because it needs much stack, and the runtime chooses the size of new stacks by
// those it sees.
//
//go:noinline
func memory() float64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

var errFailed = errors.New("as it was told")

// failing is a service that ends each time it is told to.
type failing struct {
	up   chan struct{}
	fail chan struct{}
}

func newFailing() *failing { return &failing{make(chan struct{}), make(chan struct{})} }

func (*failing) String() string { return "failing" }

func (f *failing) Serve(ctx context.Context) error {
	select {
	case f.up <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	select {
	case <-f.fail:
		return errFailed
	case <-ctx.Done():
		return nil
	}
}

// restarts makes it fail n times, each time when it is up again.
func (f *failing) restarts(n int) (measure.Sample, error) {
	begin := time.Now()
	for range n {
		f.fail <- struct{}{}
		<-f.up
	}
	return measure.Sample{Done: n, Wall: time.Since(begin)}, nil
}

// begin starts a house that has f in it, and sees it up.
func (f *failing) begin(h house) error {
	end := make(chan error, 1)
	go func() { end <- h.start() }()
	<-f.up
	return <-end
}

// restarts is row F2.
func restarts(e effort) (lines []line, err error) {
	ours, ourChild, err := crowded(newTreeHouse(), e.children)
	if err != nil {
		return nil, err
	}
	defer ours.stop()
	theirs, theirChild, err := crowded(newSutureHouse(), e.children)
	if err != nil {
		return nil, err
	}
	defer theirs.stop()
	few, fewChild, err := crowded(newTreeHouse(), 10)
	if err != nil {
		return nil, err
	}
	defer few.stop()
	turn := func(f *failing) func() (measure.Sample, error) {
		return func() (measure.Sample, error) { return f.restarts(e.restarts) }
	}
	scores, err := e.contest(side{"tree", turn(ourChild)}, side{"suture", turn(theirChild)}, side{"of 10", turn(fewChild)})
	if err != nil {
		return nil, err
	}
	work := "restart one of " + digits(float64(e.children))
	return []line{
		compare(work, nanoseconds, scores[0].of(each), baseline{"suture", scores[1].of(each)}, atMostTimes(0.7)),
		compare(work+", beside one of 10", nanoseconds, scores[0].of(each), baseline{"of 10", scores[2].of(each)}, atMostTimes(1)),
	}, nil
}

// crowded is a house with n children of which one can be made to fail.
func crowded(h house, n int) (house, *failing, error) {
	f := newFailing()
	h.room(n)
	for i := range n {
		var s suture.Service = serving(func(ctx context.Context) error { <-ctx.Done(); return nil })
		if i == n/2 {
			s = f
		}
		h.add(strconv.Itoa(i), s)
	}
	return h, f, f.begin(h)
}

// storms is row F3.
func storms(e effort) (lines []line, err error) {
	for _, n := range []int{1, 100} {
		scores, err := e.contest(
			side{"tree", func() (measure.Sample, error) { return storm(newTreeHouse(), n, e.storm) }},
			side{"suture", func() (measure.Sample, error) { return storm(newSutureHouse(), n, e.storm) }})
		if err != nil {
			return nil, err
		}
		lines = append(lines, compare(fmt.Sprintf("restarts while %d do nothing but fail", n), perSecond,
			scores[0].of(rate), baseline{"suture", scores[1].of(rate)}, atLeastTimes(1.5)))
	}
	deep, err := deepRestarts(e)
	return append(lines, deep...), err
}

// storm lets n children fail until there were so many failures.
func storm(h house, n, failures int) (s measure.Sample, err error) {
	settle(min(failures, 1000))
	var left atomic.Int64
	left.Store(int64(failures))
	done := make(chan struct{})
	service := serving(func(ctx context.Context) error {
		if n := left.Add(-1); n == 0 {
			close(done)
		} else if n < 0 {
			<-ctx.Done()
		}
		return errFailed
	})
	for i := range n {
		h.add(strconv.Itoa(i), service)
	}
	begin := time.Now()
	if err := h.start(); err != nil {
		return s, err
	}
	<-done
	s.Done, s.Wall = failures, time.Since(begin)
	h.stop()
	return s, nil
}

// deepRestarts restarts the only worker below many supervisors.
func deepRestarts(e effort) ([]line, error) {
	f := [2]*failing{newFailing(), newFailing()}
	var ours, theirs suture.Service = f[0], f[1]
	for range e.depth - 1 {
		sup, err := tree.New(tree.Spec{Intensity: plenty, Children: []tree.Child{{ID: "child", Service: ours}}})
		if err != nil {
			return nil, err
		}
		inner := suture.New("inner", sutureSpec())
		inner.Add(theirs)
		ours, theirs = sup, inner
	}
	houses := [2]house{newTreeHouse(), newSutureHouse()}
	for i, s := range []suture.Service{ours, theirs} {
		houses[i].add("child", s)
		if err := f[i].begin(houses[i]); err != nil {
			return nil, err
		}
		defer houses[i].stop()
	}
	scores, err := e.contest(
		side{"tree", func() (measure.Sample, error) { return f[0].restarts(e.restarts) }},
		side{"suture", func() (measure.Sample, error) { return f[1].restarts(e.restarts) }})
	if err != nil {
		return nil, err
	}
	return []line{compare(fmt.Sprintf("restart %d levels deep", e.depth), nanoseconds, scores[0].of(each),
		baseline{"suture", scores[1].of(each)}, atMostTimes(1))}, nil
}
