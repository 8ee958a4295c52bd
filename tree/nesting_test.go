package tree

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/strategy"
)

// quietHost is a suture.Supervisor that tells its events to the log.
func quietHost(l *log) *suture.Supervisor {
	return suture.New("host", suture.Spec{EventHook: func(e suture.Event) { l.add("suture: type %d", e.Type()) }})
}

// The tree gives up, and the suture.Supervisor above starts it again.
func TestSutureStartsATreeAgainThatGaveUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		f := newFake("a", &l)
		s := mustNew(t, Spec{Name: "shop", Children: []Child{child("a", f), child("b", newFake("b", &l))}, Intensity: strategy.Intensity{Restarts: strategy.NoRestarts}})
		host := quietHost(&l)
		host.Add(s)
		ctx, cancel := context.WithCancel(t.Context())
		done := host.ServeBackground(ctx)
		synctest.Wait()
		l.take()
		f.fail <- errBoom
		synctest.Wait()
		lines := l.take()
		slices.Sort(lines)
		isTrue(t, slices.Equal(lines, []string{"+a", "+b", "-a", "-b", "suture: type 2"}), "%q", lines)
		n := s.Snapshot()
		isTrue(t, n.State == Running && n.Run == 2 && n.Path == "shop", "%+v", n)
		cancel()
		<-done
	})
}

// An orderly end is final for suture: after Stop, and after an automatic shutdown.
func TestSutureDoesNotBringBackWhatEndedInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		f := newFake("a", &l)
		auto := mustNew(t, Spec{AutoShutdown: strategy.AnySignificant, Children: []Child{{ID: "a", Service: f, Restart: strategy.Temporary, Significant: true}}})
		stopped := mustNew(t, Spec{Children: []Child{child("b", newFake("b", &l))}})
		host := quietHost(&l)
		host.Add(auto)
		host.Add(stopped)
		ctx, cancel := context.WithCancel(t.Context())
		done := host.ServeBackground(ctx)
		synctest.Wait()
		l.take()
		f.fail <- nil
		l.want(t, "-a")
		stop(t, stopped)
		l.want(t, "-b")
		isTrue(t, len(host.Services()) == 0, "%v", host.Services())
		cancel()
		<-done
	})
}

func TestSutureTreeTermination(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		f := newFake("a", &l)
		sub := mustNew(t, Spec{Name: "sub", Children: []Child{child("a", f)}})
		s := mustNew(t, Spec{Name: "top", Children: []Child{child("sub", sub)}})
		host := quietHost(&l)
		host.Add(s)
		done := host.ServeBackground(t.Context())
		synctest.Wait()
		f.fail <- suture.ErrTerminateSupervisorTree
		isErr(t, <-done, suture.ErrTerminateSupervisorTree)
	})
}

func TestSutureStopsATreeWithinItsStopLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		slow := newFake("a", &l)
		slow.wind = 20 * time.Second // suture's own limit is 10 s
		s := mustNew(t, Spec{Children: []Child{{ID: "a", Service: slow, Shutdown: After(30 * time.Second)}}})
		host := suture.New("host", suture.Spec{Timeout: s.StopLimit() + time.Second})
		host.Add(s)
		ctx, cancel := context.WithCancel(t.Context())
		done := host.ServeBackground(ctx)
		synctest.Wait()
		cancel()
		<-done
		l.want(t, "+a", "-a")
	})
}

// A suture.Supervisor cannot be served twice, so it is made anew for each run. A tree below it finds its place.
func TestSutureInsideATree(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		f := newFake("a", &l)
		var inner *Supervisor
		middle := PerRun(func(context.Context) (suture.Service, error) {
			inner = mustNew(t, Spec{Name: "inner", Children: []Child{child("a", f)}})
			host := suture.New("host", suture.Spec{EventHook: func(suture.Event) {}})
			host.Add(inner)
			return host, nil
		})
		var events log
		s := begin(t, Spec{Name: "top", OnEvent: events.hook, Children: []Child{{ID: "host", Service: middle, Type: TypeSupervisor, Shutdown: After(time.Minute)}}})
		synctest.Wait()
		isTrue(t, slices.Contains(events.take(), "started top/host/inner/a#1"), "no event of the tree below")
		n := stateOf(t, s, "host")
		isTrue(t, len(n.Children) == 1 && n.Children[0].Path == "top/host/inner" && n.Children[0].Children[0].State == Running, "%+v", n)
		first := inner
		if err := s.TerminateChild(t.Context(), "host"); err != nil {
			t.Fatal(err)
		}
		l.want(t, "+a", "-a")
		if _, err := s.RestartChild(t.Context(), "host"); err != nil {
			t.Fatal(err)
		}
		l.want(t, "+a")
		isTrue(t, inner != first, "the same again")
		stop(t, s)
	})
}

// wrapper is a service around a supervisor, as a pool is.
type wrapper struct{ *Supervisor }

func (w wrapper) Serve(ctx context.Context) error { return w.Supervisor.Serve(ctx) }
func (w wrapper) ServeReady(ctx context.Context, ready func()) error {
	return w.Supervisor.ServeReady(ctx, ready)
}

func TestPathsOfNestedSupervisors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, c := range []struct {
			name string
			make func(s *Supervisor) suture.Service
			want string
		}{
			{"x", func(s *Supervisor) suture.Service { return s }, "root/c/a"},
			{"x", func(s *Supervisor) suture.Service { return wrapper{s} }, "root/c/x/a"},
			{"", func(s *Supervisor) suture.Service { return wrapper{s} }, "root/c/a"},
		} {
			path := ""
			inner := mustNew(t, Spec{Name: c.name, Children: []Child{child("a", ServiceFunc(func(ctx context.Context) error {
				path = Path(ctx)
				return idle(ctx)
			}))}})
			s := begin(t, Spec{Children: []Child{child("c", c.make(inner))}})
			synctest.Wait()
			isTrue(t, path == c.want, "got %s, want %s", path, c.want)
			isTrue(t, stateOf(t, s, "c").Type == TypeSupervisor, "not a supervisor")
			stop(t, s)
		}
		isTrue(t, Path(t.Context()) == "" && !SetInfo(t.Context(), 1), "a path outside of a tree")
	})
}

// Hooks see their own supervisor and all below; a panic in one is counted and harms nothing.
func TestHooksOfNestedSupervisors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var low, high log
		f := newFake("a", &log{})
		inner := mustNew(t, Spec{OnEvent: low.hook, Children: []Child{child("a", f)}})
		s := begin(t, Spec{Name: "top", OnEvent: func(e Event) { high.hook(e); panic("hook") }, Children: []Child{child("c", inner)}})
		low.want(t, "starting top/c/a#1", "started top/c/a#1", "up top/c#1")
		high.want(t, "starting top/c#1", "starting top/c/a#1", "started top/c/a#1", "up top/c#1", "started top/c#1", "up top#1")
		f.fail <- errBoom
		low.want(t, "exited top/c/a#1", "starting top/c/a#2", "started top/c/a#2")
		isTrue(t, s.Snapshot().HookPanics == 9, "%d panics", s.Snapshot().HookPanics)
		stop(t, s)
	})
}

// A server that needs the workers while it drains is the last child.
func TestLastChildDrainsWhileTheOthersLive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		workers := newFake("workers", &l)
		server := newFake("server", &l)
		server.end = func(context.Context) error {
			time.Sleep(3 * time.Second) // requests that need the workers
			l.add("drained")
			return nil
		}
		s := begin(t, Spec{Strategy: strategy.RestForOne, Children: []Child{child("workers", workers), {ID: "server", Service: server, Shutdown: After(10 * time.Second)}}})
		synctest.Wait()
		l.take()
		stop(t, s)
		l.want(t, "drained", "-server", "-workers")
	})
}

func TestASupervisorIsNotServedTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inner := mustNew(t, Spec{})
		s := begin(t, Spec{Children: []Child{child("a", inner)}})
		isErr(t, inner.Serve(t.Context()), ErrStillRunning)
		_, err := s.StartChild(t.Context(), child("b", inner))
		isErr(t, err, ErrStillRunning)
		stop(t, s)
	})
}

// E2: what was added at run time is lost with the supervisor, and the budget is fresh.
func TestANewLifeBeginsFromTheSpec(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake("a", &log{})
		s := begin(t, Spec{Children: []Child{child("a", f)}})
		if _, err := s.StartChild(t.Context(), child("b", ServiceFunc(idle))); err != nil {
			t.Fatal(err)
		}
		f.fail <- errBoom
		synctest.Wait()
		isTrue(t, s.Snapshot().Supervisor.Used == 1, "not counted")
		stop(t, s)
		isErr(t, s.Start(t.Context()), nil)
		isErr(t, s.WaitReady(t.Context()), nil)
		n := s.Snapshot()
		isTrue(t, len(n.Children) == 1 && n.Supervisor.Used == 0 && n.Run == 2, "%+v", n)
		stop(t, s)
	})
}

func TestStartErrorNamesTheInnermostChild(t *testing.T) {
	bubble(t, func(t *testing.T) {
		bad := starter{func(context.Context) error { return errBoom }, nil}
		inner := mustNew(t, Spec{Children: []Child{child("bad", bad)}})
		s := mustNew(t, Spec{Name: "top", Children: []Child{child("sub", inner)}})
		err := s.Serve(t.Context())
		isTrue(t, err.Error() == "tree: top/sub/bad did not start: boom", "%v", err)
		outer, _ := errors.AsType[*StartError](err)
		isTrue(t, outer.ID == "sub" && errors.Is(err, errBoom), "%+v", outer)
	})
}
