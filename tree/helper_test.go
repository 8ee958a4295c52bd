package tree

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thejerf/suture/v4"
)

var errBoom = errors.New("boom")

// bubble runs a test in fake time. When it ends, no goroutine may be left: synctest fails the test otherwise.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// log is a list of what happened, in order.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

func (l *log) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

func (l *log) want(t *testing.T, lines ...string) {
	t.Helper()
	synctest.Wait()
	if got := l.take(); !slices.Equal(got, lines) {
		t.Errorf("\n got  %q\n want %q", got, lines)
	}
}

// hook logs events as "kind path#run".
func (l *log) hook(e Event) { l.add("%v %s#%d", e.Kind, e.Path, e.Run) }

// fake is a service under the control of the test. It logs "+name" when it is up and "-name" when it has ended.
type fake struct {
	name string
	log  *log
	fail chan error                      // what it is to end with
	wind time.Duration                   // how long it takes to stop; negative: it does not listen
	end  func(ctx context.Context) error // how it ends when asked; nil: ctx.Err()
}

func newFake(name string, l *log) *fake { return &fake{name: name, log: l, fail: make(chan error)} }

func (f *fake) Serve(ctx context.Context) error {
	f.log.add("+%s", f.name)
	defer f.log.add("-%s", f.name)
	if f.wind < 0 {
		return <-f.fail
	}
	select {
	case err := <-f.fail:
		return err
	case <-ctx.Done():
	}
	time.Sleep(f.wind)
	if f.end != nil {
		return f.end(ctx)
	}
	return ctx.Err()
}

// killable is a fake that can be killed.
type killable struct {
	*fake
	killed int
}

func (k *killable) Kill() {
	k.killed++
	k.log.add("kill %s", k.name)
	go func() { k.fail <- errBoom }()
}

// retiree is a fake that logs when it is retired.
type retiree struct{ *fake }

func (r retiree) Retire(cause error) { r.log.add("retire %s: %v", r.name, cause) }

// starter is a service with a start of its own.
type starter struct {
	start func(ctx context.Context) error // nil error: ready
	fake  *fake
}

func (s starter) Serve(ctx context.Context) error { return s.ServeReady(ctx, func() {}) }

func (s starter) ServeReady(ctx context.Context, ready func()) error {
	if err := s.start(ctx); err != nil {
		return err
	}
	ready()
	return s.fake.Serve(ctx)
}

// forever is a service that only waits for its end.
func idle(ctx context.Context) error { <-ctx.Done(); return nil }

func mustNew(t *testing.T, spec Spec) *Supervisor {
	t.Helper()
	s, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// begin starts a supervisor and waits until it is up. It is stopped at the end of the test by stop.
func begin(t *testing.T, spec Spec) *Supervisor {
	t.Helper()
	s := mustNew(t, spec)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func stop(t *testing.T, s *Supervisor) {
	t.Helper()
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

func isTrue(t *testing.T, ok bool, format string, args ...any) {
	t.Helper()
	if !ok {
		t.Errorf(format, args...)
	}
}

func isErr(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("got error %v, want %v", err, target)
	}
}

// child makes a Child of a service with the fields that matter in most tests.
func child(id string, s suture.Service) Child { return Child{ID: id, Service: s} }

func stateOf(t *testing.T, s *Supervisor, id string) Snapshot {
	t.Helper()
	for _, c := range s.Snapshot().Children {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("no child %s", id)
	return Snapshot{}
}
