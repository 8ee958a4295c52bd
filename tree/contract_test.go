package tree

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/strategy"
)

// The tests in this file pin what a supervisor and the services it runs may expect of each other.

func TestCancelStopsThreeLevelsInReverseOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		slow := func(name string) *fake { f := newFake(name, &l); f.wind = time.Second; return f }
		low := mustNew(t, Spec{Children: []Child{child("d", slow("d")), child("e", slow("e"))}})
		mid := mustNew(t, Spec{Children: []Child{child("b", slow("b")), child("low", low), child("f", slow("f"))}})
		top := mustNew(t, Spec{Children: []Child{child("a", slow("a")), child("mid", mid), child("g", slow("g"))}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- top.Serve(ctx) }()
		synctest.Wait()
		isTrue(t, len(l.take()) == 6, "not all are up")
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve returned %v", err)
		}
		l.want(t, "-g", "-f", "-e", "-d", "-b", "-a")
	})
}

func TestRunContextKeepsValuesButNotCancellation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type key struct{}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "v"), time.Second)
		defer cancel()
		var cause error
		slow := newFake("z", &log{})
		slow.wind = time.Minute
		s := mustNew(t, Spec{Name: "top", Children: []Child{{ID: "a", Service: ServiceFunc(func(ctx context.Context) error {
			_, has := ctx.Deadline()
			isTrue(t, !has && ctx.Value(key{}) == "v" && Path(ctx) == "top/a", "deadline %v, value %v, path %q", has, ctx.Value(key{}), Path(ctx))
			<-ctx.Done()
			cause = context.Cause(ctx)
			return nil
		})}, {ID: "z", Service: slow, Shutdown: Infinity}}})
		begun := time.Now()
		if err := s.Serve(ctx); err != nil {
			t.Error(err)
		}
		isErr(t, cause, ErrShutdown)
		isTrue(t, time.Since(begun) == time.Second+time.Minute, "took %v", time.Since(begun))
	})
}

func TestNextSiblingStartsWhenReady(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		gate := make(chan error)
		slow := starter{func(context.Context) error { l.add("starting"); return <-gate }, newFake("a", &l)}
		s := mustNew(t, Spec{Children: []Child{child("a", slow), child("b", newFake("b", &l))}})
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.want(t, "starting")
		isTrue(t, !isClosed(s.Ready()), "ready too early")
		gate <- nil
		<-s.Ready()
		l.want(t, "+a", "+b")
		stop(t, s)
		isErr(t, s.Wait(), nil)
	})
}

// anyReady calls ready from another goroutine, several times, and once more after everything is over.
type anyReady struct{ ready chan func() }

func (a *anyReady) Serve(ctx context.Context) error { return idle(ctx) }
func (a *anyReady) ServeReady(ctx context.Context, ready func()) error {
	go func() { ready(); ready(); a.ready <- ready }()
	<-ctx.Done()
	return nil
}

func TestReadyFromAnyGoroutineAndIgnoredAfterTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		a := &anyReady{make(chan func(), 1)}
		s := begin(t, Spec{Children: []Child{child("a", a)}, OnEvent: l.hook})
		ready := <-a.ready
		ready()
		stop(t, s)
		ready()
		l.want(t, "starting root/a#1", "started root/a#1", "up root#1", "ending root#1", "stopping root/a#1", "stopped root/a#1", "ended root#1")
	})
}

// A ready that comes when the start has failed already must not make a running child of it.
func TestReadyAfterTheReturnIsIgnored(t *testing.T) {
	s := mustNew(t, Spec{Children: []Child{child("a", ServiceFunc(idle))}})
	l := newLoop(t.Context(), s, 1)
	r := l.newRun(l.policy.member("a"), 1, time.Now())
	r.end(errBoom)
	r.ready()
	isErr(t, l.startResult(r), errBoom)
}

// What a service leaves behind is told that the run is over.
func TestContextEndsWithTheRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rest := make(chan error)
		s := begin(t, Spec{Children: []Child{{ID: "a", Restart: strategy.Temporary, Service: ServiceFunc(func(ctx context.Context) error {
			go func() { <-ctx.Done(); rest <- context.Cause(ctx) }()
			return nil
		})}}})
		isErr(t, <-rest, context.Canceled)
		stop(t, s)
	})
}

func TestReturnBeforeReadyIsAFailedStart(t *testing.T) {
	for _, c := range []struct {
		name      string
		ret, want error
	}{{"error", errBoom, errBoom}, {"nil", nil, ErrNotReady}, {"sentinel", suture.ErrDoNotRestart, nil}} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var l log
				bad := starter{func(context.Context) error { return c.ret }, newFake("b", &l)}
				var svc suture.Service = bad
				if c.ret == nil {
					svc = &early{}
				}
				s := mustNew(t, Spec{Children: []Child{child("a", newFake("a", &l)), child("b", svc), child("c", newFake("c", &l))}})
				err := s.Serve(t.Context())
				start, ok := errors.AsType[*StartError](err)
				isTrue(t, ok && start.ID == "b", "got %v", err)
				if c.want != nil {
					isErr(t, err, c.want)
				}
				isTrue(t, !errors.Is(err, suture.ErrDoNotRestart), "a host would forget the tree")
				l.want(t, "+a", "-a")
			})
		})
	}
}

type early struct{}

func (*early) Serve(context.Context) error              { return nil }
func (*early) ServeReady(context.Context, func()) error { return nil }

func TestIgnoreIsASuccessWithoutARun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		ignore := starter{func(context.Context) error { return fmt.Errorf("off: %w", ErrIgnore) }, nil}
		s := begin(t, Spec{Children: []Child{child("a", ignore), child("b", newFake("b", &l))}})
		l.want(t, "+b")
		isTrue(t, stateOf(t, s, "a").State == Down, "not down")
		run, err := s.RestartChild(t.Context(), "a")
		isTrue(t, err == nil && run.N == 0 && !run.Alive(), "%v %v", run, err)
		stop(t, s)
	})
}

func TestStartTimeoutKillsAndFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		hang := killableStarter{starter{func(ctx context.Context) error { <-ctx.Done(); l.add("%v", context.Cause(ctx)); return ctx.Err() }, nil}, &l}
		s := mustNew(t, Spec{Children: []Child{{ID: "a", Service: hang, StartTimeout: 3 * time.Second}}})
		begun := time.Now()
		isErr(t, s.Serve(t.Context()), ErrStartTimeout)
		isTrue(t, time.Since(begun) == 3*time.Second, "took %v", time.Since(begun))
		l.want(t, "kill", ErrKilled.Error())
	})
}

type killableStarter struct {
	starter
	log *log
}

func (k killableStarter) Kill() { k.log.add("kill") }

func TestPanicAndGoexitAreFailures(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ways := []func(){func() { panic("oh no") }, func() { panic(errBoom) }, runtime.Goexit}
		s := mustNew(t, Spec{Intensity: strategy.Intensity{Restarts: 2}, Children: []Child{child("a", ServiceFunc(func(context.Context) error {
			way := ways[0]
			ways = ways[1:]
			way()
			return nil
		}))}})
		err := s.Serve(t.Context())
		gaveUp, ok := errors.AsType[*IntensityError](err)
		if !ok || len(gaveUp.Causes) != 3 {
			t.Fatalf("got %v", err)
		}
		p, ok := errors.AsType[*PanicError](gaveUp.Causes[0].Err)
		isTrue(t, ok && p.Value == "oh no" && strings.Contains(string(p.Stack), "contract_test.go"), "no stack: %v", gaveUp.Causes[0].Err)
		isErr(t, gaveUp.Causes[1].Err, errBoom)
		isErr(t, gaveUp.Causes[2].Err, ErrGoexit)
	})
}

func TestKillLadder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		k := &killable{fake: newFake("k", &l)}
		k.wind = -1
		b := &killable{fake: newFake("b", &l)}
		b.wind = -1
		s := begin(t, Spec{OnEvent: l.hook, Children: []Child{{ID: "k", Service: k, Shutdown: After(2 * time.Second)}, {ID: "b", Service: b, Shutdown: BrutalKill}}})
		synctest.Wait()
		l.take()
		begun := time.Now()
		stop(t, s)
		isTrue(t, time.Since(begun) == 2*time.Second, "took %v", time.Since(begun))
		l.want(t, "ending root#1", "killing root/b#1", "kill b", "-b", "stopped root/b#1",
			"stopping root/k#1", "killing root/k#1", "kill k", "-k", "stopped root/k#1", "ended root#1")
	})
}

func TestBrutalKillOfAGoroutineCancelsAndWaitsAShortTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		f := newFake("a", &l)
		f.wind = killWait / 2
		s := begin(t, Spec{OnEvent: l.hook, Children: []Child{{ID: "a", Service: f, Shutdown: BrutalKill}}})
		synctest.Wait()
		l.take()
		stop(t, s)
		l.want(t, "ending root#1", "killing root/a#1", "-a", "stopped root/a#1", "ended root#1")
	})
}

// An abandoned run is reported, does not block, and what it returns at last hits nobody.
func TestAbandonedRunIsFenced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		deaf := newFake("a", &l)
		deaf.wind = -1
		s := begin(t, Spec{OnEvent: l.hook, Children: []Child{{ID: "a", Service: PerRun(func(context.Context) (suture.Service, error) { return deaf, nil }), Shutdown: After(time.Second)}}})
		synctest.Wait()
		l.take()
		if err := s.TerminateChild(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		l.want(t, "stopping root/a#1", "killing root/a#1", "abandoned root/a#1")
		old := deaf.fail
		deaf = newFake("a", &l)
		if _, err := s.RestartChild(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		l.take()
		old <- suture.ErrTerminateSupervisorTree
		l.want(t, "-a", "returned root/a#1")
		exits := stateOf(t, s, "a").Exits
		isTrue(t, len(exits) == 1 && exits[0].Killed && exits[0].Err == ErrKilled, "%+v", exits)
		stop(t, s)
	})
}

func TestStillRunningIsAFailedStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		deaf := newFake("a", &l)
		deaf.wind = -1
		s := begin(t, Spec{Children: []Child{{ID: "a", Service: deaf, Shutdown: After(0)}}})
		if err := s.TerminateChild(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		_, err := s.RestartChild(t.Context(), "a")
		isErr(t, err, ErrStillRunning)
		isErr(t, s.DeleteChild(t.Context(), "a"), nil)
		_, err = s.StartChild(t.Context(), child("b", deaf)) // the same service under another name
		isErr(t, err, ErrStillRunning)
		isErr(t, s.Start(t.Context()), ErrStillRunning)
		deaf.fail <- nil
		synctest.Wait()
		deaf.wind = 0
		_, err = s.StartChild(t.Context(), child("a", deaf))
		isErr(t, err, nil)
		stop(t, s)
	})
}

func TestPerRunMakesANewServiceForEachRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		n := 0
		var now *fake
		s := begin(t, Spec{Children: []Child{child("a", PerRun(func(context.Context) (suture.Service, error) {
			n++
			if n == 2 {
				return nil, errBoom
			}
			now = newFake(fmt.Sprint(n), &l)
			return now, nil
		}))}, Intensity: strategy.Intensity{Restarts: 2}})
		synctest.Wait()
		now.fail <- errBoom
		l.want(t, "+1", "-1", "+3")
		stop(t, s)
	})
}

// What a service returns decides about it.
func TestHowARunEnded(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("wrapped: %w", err) }
	for _, c := range []struct {
		name  string
		err   error
		state map[strategy.Restart]string // "gone" or "ended" (the supervisor) or a state
	}{
		{"nil", nil, map[strategy.Restart]string{strategy.Permanent: "running", strategy.Transient: "down", strategy.Temporary: "gone"}},
		{"error", errBoom, map[strategy.Restart]string{strategy.Permanent: "running", strategy.Transient: "running", strategy.Temporary: "gone"}},
		{"canceled", context.Canceled, map[strategy.Restart]string{strategy.Transient: "running"}},
		{"shutdown", wrap(ErrShutdown), map[strategy.Restart]string{strategy.Permanent: "running", strategy.Transient: "down", strategy.Temporary: "gone"}},
		{"intensity", wrap(&IntensityError{}), map[strategy.Restart]string{strategy.Permanent: "running", strategy.Transient: "down"}},
		{"auto", wrap(&AutoShutdownError{}), map[strategy.Restart]string{strategy.Permanent: "running", strategy.Transient: "down"}},
		{"do not restart", wrap(suture.ErrDoNotRestart), map[strategy.Restart]string{strategy.Permanent: "gone", strategy.Transient: "gone", strategy.Temporary: "gone"}},
		{"terminate", wrap(suture.ErrTerminateSupervisorTree), map[strategy.Restart]string{strategy.Permanent: "ended", strategy.Temporary: "ended"}},
	} {
		for restart, want := range c.state {
			t.Run(c.name+" "+restart.String(), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					f := newFake("a", &log{})
					s := begin(t, Spec{Children: []Child{{ID: "a", Service: f, Restart: restart}, child("b", ServiceFunc(idle))}})
					f.fail <- c.err
					synctest.Wait()
					got := "gone"
					for _, n := range s.Snapshot().Children {
						if n.ID == "a" {
							got = n.State.String()
						}
					}
					if s.Snapshot().State == Down {
						got = "ended"
						isErr(t, s.Wait(), suture.ErrTerminateSupervisorTree)
					} else {
						stop(t, s)
					}
					isTrue(t, got == want, "got %s, want %s", got, want)
				})
			})
		}
	}
}

func TestIntensityErrorTellsTheFactsAndHidesSentinels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake("bad", &log{})
		s := begin(t, Spec{Name: "top", Children: []Child{child("good", newFake("good", &log{})), child("bad", f)}, Intensity: strategy.Intensity{Restarts: 1, Period: time.Minute}})
		f.fail <- errBoom
		synctest.Wait()
		f.fail <- &PanicError{Value: suture.ErrDoNotRestart}
		err := s.Wait()
		e, ok := errors.AsType[*IntensityError](err)
		if !ok {
			t.Fatalf("got %v", err)
		}
		isTrue(t, e.Path == "top" && e.ID == "bad" && e.Restarts == 2 && e.Limit == 1 && e.Period == time.Minute, "%+v", e)
		isTrue(t, len(e.Causes) == 2 && e.Causes[0].ID == "bad" && e.Causes[0].Err == errBoom, "%+v", e.Causes)
		isTrue(t, !errors.Is(err, suture.ErrDoNotRestart) && !errors.Is(err, suture.ErrTerminateSupervisorTree), "a host would drop the tree")
		isTrue(t, err.Error() == "tree: top gave up: 2 restarts within 1m0s, 1 allowed; last was bad: panic: suture: do not restart" ||
			strings.HasPrefix(err.Error(), "tree: top gave up: 2 restarts within 1m0s, 1 allowed; last was bad: panic"), "%v", err)
	})
}

func TestAutoShutdownIsOrderlyForSuture(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake("a", &log{})
		s := begin(t, Spec{AutoShutdown: strategy.AnySignificant, Children: []Child{{ID: "a", Service: f, Restart: strategy.Transient, Significant: true}}})
		f.fail <- nil
		err := s.Wait()
		_, ok := errors.AsType[*AutoShutdownError](err)
		isTrue(t, ok && errors.Is(err, suture.ErrDoNotRestart), "got %v", err)
	})
}

// As in OTP: for a parent a supervisor that gave up has shut down, so a transient one stays down.
func TestASubtreeThatGaveUp(t *testing.T) {
	for restart, want := range map[strategy.Restart]State{strategy.Permanent: Running, strategy.Transient: Down} {
		bubble(t, func(t *testing.T) {
			f := newFake("a", &log{})
			sub := mustNew(t, Spec{Children: []Child{child("a", f)}, Intensity: strategy.Intensity{Restarts: strategy.NoRestarts}})
			s := begin(t, Spec{Children: []Child{{ID: "sub", Service: sub, Restart: restart}}})
			f.fail <- errBoom
			synctest.Wait()
			n := stateOf(t, s, "sub")
			isTrue(t, n.State == want, "%v: %v", restart, n.State)
			_, ok := errors.AsType[*IntensityError](n.Exits[0].Err)
			isTrue(t, ok, "%+v", n.Exits)
			stop(t, s)
		})
	}
}

func TestStopDuringStartCancelsItAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		slow := starter{func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }, nil}
		for _, end := range []func(*Supervisor, context.CancelFunc){
			func(s *Supervisor, _ context.CancelFunc) { go s.Stop(context.Background()) },
			func(_ *Supervisor, cancel context.CancelFunc) { cancel() },
			func(s *Supervisor, _ context.CancelFunc) { s.Kill() },
		} {
			sub := mustNew(t, Spec{Children: []Child{child("a", newFake("a", &l)), child("slow", slow), child("never", newFake("never", &l))}})
			s := mustNew(t, Spec{Children: []Child{child("sub", sub), child("never", newFake("never", &l))}})
			ctx, cancel := context.WithCancel(t.Context())
			begun := time.Now()
			if err := s.Start(ctx); err != nil {
				t.Fatal(err)
			}
			l.want(t, "+a")
			end(s, cancel)
			err := s.Wait()
			isTrue(t, err == nil || err == ErrKilled, "got %v", err)
			isTrue(t, time.Since(begun) == 0, "took %v", time.Since(begun))
			l.want(t, "-a")
			cancel()
		}
	})
}

// A start that does not listen is waited for no longer than the child's Shutdown.
func TestStopDuringStartIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gate := make(chan error)
		deaf := starter{func(context.Context) error { return <-gate }, nil}
		var l log
		s := mustNew(t, Spec{OnEvent: l.hook, Children: []Child{{ID: "a", Service: deaf, Shutdown: After(7 * time.Second)}}})
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		begun := time.Now()
		stop(t, s)
		isTrue(t, time.Since(begun) == 7*time.Second, "took %v", time.Since(begun))
		l.want(t, "starting root/a#1", "killing root/a#1", "abandoned root/a#1", "start failed root/a#1", "ending root#1", "ended root#1")
		gate <- errBoom
	})
}

func TestKillEndsEverythingBelowAtTheSameTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		deaf := func(name string) *fake { f := newFake(name, &l); f.wind = -1; return f }
		fakes := []*fake{deaf("a"), deaf("b"), deaf("c")}
		k := &killable{fake: deaf("k")}
		sub := mustNew(t, Spec{Children: []Child{child("a", fakes[0]), {ID: "b", Service: fakes[1], Shutdown: Infinity}, child("k", k)}})
		var events log
		s := begin(t, Spec{OnEvent: events.hook, Children: []Child{child("sub", sub), {ID: "c", Service: fakes[2], Shutdown: Infinity}}})
		begun := time.Now()
		s.Kill()
		isErr(t, s.Wait(), ErrKilled)
		isTrue(t, time.Since(begun) <= killWait+killSlack, "took %v", time.Since(begun))
		isTrue(t, !slices.Contains(events.take(), "abandoned root/sub#1"), "sub was abandoned")
		synctest.Wait()
		isTrue(t, k.killed == 1, "killed %d times", k.killed)
		for _, f := range fakes {
			f.fail <- nil
		}
	})
}

func TestStopLimit(t *testing.T) {
	a := child("a", ServiceFunc(idle)) // 5 s by default
	sub := mustNew(t, Spec{Children: []Child{a, {ID: "b", Service: a.Service, Shutdown: After(time.Minute)}}})
	s := mustNew(t, Spec{Children: []Child{a, child("sub", sub), {ID: "c", Service: a.Service, Shutdown: BrutalKill}}})
	want := 2*(5*time.Second+killWait) + time.Minute + killWait + killWait
	isTrue(t, s.StopLimit() == want, "got %v, want %v", s.StopLimit(), want)
	endless := mustNew(t, Spec{Children: []Child{{ID: "a", Service: a.Service, Shutdown: Infinity}, {ID: "b", Service: a.Service, Shutdown: Infinity}}})
	isTrue(t, endless.StopLimit()+time.Second > endless.StopLimit(), "overflow: %v", endless.StopLimit())
	d := mustNew(t, Spec{Dynamic: &Dynamic{Template: Child{ID: "t", Shutdown: After(time.Minute)}}})
	isTrue(t, d.StopLimit() == time.Minute+killWait, "got %v", d.StopLimit())
}

func TestStopWithoutARunAndTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := mustNew(t, Spec{})
		isErr(t, s.Stop(t.Context()), ErrNotRunning)
		_, err := s.Children(t.Context())
		isErr(t, err, ErrNotRunning)
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		both := make(chan error)
		for range 2 {
			go func() { both <- s.Stop(t.Context()) }()
		}
		for range 2 {
			if err := <-both; err != nil {
				isErr(t, err, ErrNotRunning) // it came too late
			}
		}
		isErr(t, s.Wait(), nil)
		isErr(t, s.Stop(t.Context()), ErrNotRunning)
		isErr(t, s.WaitReady(t.Context()), ErrShutdown)
		isErr(t, s.Start(t.Context()), nil) // and once more
		isErr(t, s.WaitReady(t.Context()), nil)
		stop(t, s)
	})
}

func TestServeReturnsShutdownAfterStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := mustNew(t, Spec{})
		done := make(chan error)
		go func() { done <- s.Serve(context.Background()) }()
		if err := s.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		go s.Stop(context.Background())
		err := <-done
		isErr(t, err, ErrShutdown)
		isErr(t, err, suture.ErrDoNotRestart) // a host must not bring it back
	})
}
