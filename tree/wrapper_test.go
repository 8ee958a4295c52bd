package tree

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thejerf/suture/v4"
)

// watched looks on while a supervisor runs.
type watched struct {
	*Supervisor
	served int
}

func (w *watched) ServeReady(ctx context.Context, ready func()) error {
	w.served++
	return w.Supervisor.ServeReady(ctx, ready)
}

func (w *watched) Unwrap() suture.Service { return w.Supervisor }

func TestUnwrap(t *testing.T) {
	sup, err := New(Spec{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name        string
		service     suture.Service
		transparent bool
		typ         Type
	}{
		{"supervisor", sup, true, TypeSupervisor},
		{"wrapper", &watched{Supervisor: sup}, true, TypeSupervisor},
		{"wrapper of a wrapper", around{&watched{Supervisor: sup}}, true, TypeSupervisor},
		{"wrapper of nothing", around{}, false, TypeWorker},
		{"wrapper of a worker", around{PerRun(nil)}, false, TypeWorker},
		{"worker", PerRun(nil), false, TypeWorker},
	} {
		if got := isTransparent(c.service); got != c.transparent {
			t.Errorf("%s: transparent is %v", c.name, got)
		}
		if got := typeOf(c.service); got != c.typ {
			t.Errorf("%s: type is %v", c.name, got)
		}
	}
}

// around is the least that is a Wrapper.
type around struct{ inner suture.Service }

func (a around) Serve(ctx context.Context) error { return a.inner.Serve(ctx) }
func (a around) Unwrap() suture.Service          { return a.inner }

// A service learns the handle of its own run, and it is the one that StartChild returns.
func TestRunOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sup, err := New(Spec{})
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		if RunOf(ctx).Same(RunOf(ctx)) {
			t.Error("handles of nothing are the same")
		}
		if err := sup.Start(ctx); err != nil {
			t.Fatal(err)
		}
		own := make(chan Run, 1)
		service := ServiceFunc(func(ctx context.Context) error {
			own <- RunOf(ctx)
			<-ctx.Done()
			return nil
		})
		started, err := sup.StartChild(ctx, Child{ID: "a", Service: service, Shutdown: After(time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		self := <-own
		if !self.Same(started) || self.ID != "a" || !self.Alive() {
			t.Errorf("own handle %+v, that of StartChild %+v", self, started)
		}
		if err := sup.TerminateChild(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		again, err := sup.RestartChild(ctx, "a")
		if err != nil || again.Same(started) || !(<-own).Same(again) || self.Alive() {
			t.Errorf("second run %+v: %v", again, err)
		}
		_ = sup.Stop(ctx)
	})
}
