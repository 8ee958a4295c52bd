package tree

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/strategy"
)

func TestNewReportsEveryFaultAtOnce(t *testing.T) {
	var typedNil *fake
	_, err := New(Spec{
		Name: "a/b", Strategy: 9, Intensity: strategy.Intensity{Restarts: -2, Period: -1}, AutoShutdown: 7,
		Children: []Child{
			{},
			{ID: "x/y", Service: typedNil, Restart: 9, Shutdown: After(-1), Type: 9, StartTimeout: -1, Backoff: strategy.Backoff{Initial: -1}},
			{ID: "s", Service: ServiceFunc(idle), Significant: true},
			{ID: "s", Service: ServiceFunc(idle)},
		},
	})
	var got []Fault
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		got = append(got, e.(*SpecError).Fault)
	}
	want := []Fault{
		InvalidName, InvalidStrategy, InvalidIntensity, InvalidPeriod, InvalidAutoShutdown, MissingID, MissingService,
		InvalidID, InvalidService, InvalidRestart, InvalidType, InvalidShutdown, InvalidStartTimeout, InvalidBackoff, SignificantPermanent, DuplicateID,
	}
	isTrue(t, fmt.Sprint(got) == fmt.Sprint(want), "got %v\nwant %v", got, want)
	for _, f := range want {
		isTrue(t, f.String() != "", "fault %d has no text", f)
	}
	_, err = New(Spec{Name: "top", Children: []Child{{ID: "b", Service: ServiceFunc(idle), Significant: true, Restart: strategy.Transient}}})
	isTrue(t, err.Error() == `tree: spec top: child 0 "b": a significant child needs an AutoShutdown other than Never`, "%v", err)
	_, err = New(Spec{Dynamic: &Dynamic{MaxChildren: -1}, Strategy: strategy.OneForAll})
	isTrue(t, err != nil, "a bad dynamic spec was accepted")
}

func TestZeroValuesAreOTPsDefaults(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sub := mustNew(t, Spec{})
		s := begin(t, Spec{Children: []Child{child("a", ServiceFunc(idle)), child("sub", sub)}})
		c, err := s.ChildSpec(t.Context(), "a")
		isTrue(t, err == nil && c.Restart == strategy.Permanent && c.Shutdown == After(5*time.Second) && c.Type == TypeWorker && !c.Significant, "%+v", c)
		c, err = s.ChildSpec(t.Context(), "sub")
		isTrue(t, err == nil && c.Shutdown == Infinity && c.Type == TypeSupervisor, "%+v", c)
		n := s.Snapshot().Supervisor
		isTrue(t, n.Strategy == strategy.OneForOne && n.Limit == 1 && n.Period == 5*time.Second, "%+v", n)
		stop(t, s)
	})
}

func TestShutdownValues(t *testing.T) {
	for s, want := range map[Shutdown]string{0: "default", BrutalKill: "brutal kill", Infinity: "infinity", After(0): "0s", After(time.Minute): "1m0s", After(-1): "invalid"} {
		isTrue(t, s.String() == want, "%d is %s, want %s", s, s, want)
	}
	d, ok := After(0).Limit()
	isTrue(t, ok && d == 0, "After(0) has no limit")
}

// A request is withdrawn when its context ends before its turn has come, and goes on when it ends later.
func TestRequestsAndTheirContexts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		gate := make(chan error)
		slow := starter{func(context.Context) error { l.add("starting"); return <-gate }, newFake("a", &l)}
		s := begin(t, Spec{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		errs := make(chan error, 2)
		go func() { _, err := s.StartChild(ctx, child("a", slow)); errs <- err }()
		synctest.Wait()
		go func() { _, err := s.StartChild(ctx, child("b", newFake("b", &l))); errs <- err }()
		isErr(t, <-errs, context.DeadlineExceeded)
		isErr(t, <-errs, context.DeadlineExceeded)
		gate <- nil
		l.want(t, "starting", "+a")
		c, err := s.Count(t.Context())
		isTrue(t, err == nil && c.Specs == 1 && c.Active == 1, "%+v", c)
		stop(t, s)
	})
}

// Whoever waits for an answer of a supervisor that ends gets one.
func TestRequestToASupervisorThatEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake("a", &log{})
		f.wind = time.Second
		s := begin(t, Spec{Children: []Child{child("a", f)}})
		go s.Stop(t.Context())
		synctest.Wait()
		_, err := s.StartChild(t.Context(), child("b", ServiceFunc(idle)))
		isErr(t, err, ErrNotRunning)
		isTrue(t, err.Error() == "tree: StartChild root/b: the supervisor is not running", "%v", err)
	})
}

func TestDynamicChildren(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		s := begin(t, Spec{Name: "d", Dynamic: &Dynamic{Template: Child{ID: "t", Shutdown: After(time.Second)}, MaxChildren: 2}})
		a, b := newFake("a", &l), newFake("b", &l)
		a.wind, b.wind = time.Second/2, time.Second/2
		ra, err := s.StartService(t.Context(), a)
		isErr(t, err, nil)
		_, err = s.StartService(t.Context(), b)
		isErr(t, err, nil)
		_, err = s.StartService(t.Context(), a)
		isErr(t, err, ErrMaxChildren)
		_, err = s.StartService(t.Context(), nil)
		isTrue(t, err != nil, "started nothing")
		_, err = s.StartChild(t.Context(), child("x", a))
		isErr(t, err, ErrDynamic)
		isErr(t, s.TerminateChild(t.Context(), ra.ID), ErrDynamic)
		isTrue(t, s.Snapshot().Children[0].Path == "d/1" && len(s.Snapshot().Children) == 2, "%+v", s.Snapshot())

		a.fail <- errBoom // the handle of the old run now stands for something dead
		synctest.Wait()
		isErr(t, s.TerminateRun(t.Context(), ra), nil)
		isTrue(t, !ra.Alive() && len(s.Snapshot().Children) == 2, "an old handle hit the new run")
		list, err := s.Children(t.Context())
		isErr(t, err, nil)
		isErr(t, s.TerminateRun(t.Context(), list[0].Run), nil)
		isTrue(t, len(s.Snapshot().Children) == 1, "not forgotten")
		isErr(t, s.TerminateRun(t.Context(), Run{}), nil)

		_, err = s.StartService(t.Context(), newFakeWind("c", &l, time.Second/2))
		isErr(t, err, nil)
		begun := time.Now()
		stop(t, s)
		isTrue(t, time.Since(begun) == time.Second/2, "one after the other: %v", time.Since(begun))
		static := begin(t, Spec{})
		_, err = static.StartService(t.Context(), a)
		isErr(t, err, ErrNotDynamic)
		stop(t, static)
	})
}

func newFakeWind(name string, l *log, d time.Duration) *fake {
	f := newFake(name, l)
	f.wind = d
	return f
}

// The snapshot does not wait for a supervisor that is busy with a start or a stop.
func TestSnapshotDoesNotWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gate := make(chan error)
		slow := starter{func(context.Context) error { return <-gate }, newFake("a", &log{})}
		s := mustNew(t, Spec{Name: "top", Intensity: strategy.Intensity{Restarts: 3, Period: time.Minute}, Children: []Child{child("b", newFake("b", &log{})), child("a", slow)}})
		n := s.Snapshot()
		isTrue(t, n.State == Down && n.Path == "top" && len(n.Children) == 2 && n.Children[1].State == Down, "%+v", n)
		isErr(t, s.Start(t.Context()), nil)
		synctest.Wait()
		n = s.Snapshot()
		isTrue(t, n.State == Starting && n.Children[0].State == Running && n.Children[1].State == Starting && n.Children[1].Run == 1, "%+v", n)
		gate <- nil
		synctest.Wait()
		go s.Stop(t.Context())
		synctest.Wait()
		isTrue(t, s.Snapshot().State == Down && s.Snapshot().Children[0].State == Down, "%+v", s.Snapshot())
	})
}

func TestSnapshotKeepsTheLastExits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake("a", &log{})
		s := begin(t, Spec{Intensity: strategy.Intensity{Restarts: 100, Period: time.Hour}, Children: []Child{child("a", f)}})
		for i := range 20 {
			time.Sleep(time.Second)
			f.fail <- fmt.Errorf("exit %d", i+1)
			synctest.Wait()
		}
		n := stateOf(t, s, "a")
		isTrue(t, len(n.Exits) == 16 && n.Exits[0].Err.Error() == "exit 5" && n.Exits[15].Err.Error() == "exit 20", "%+v", n.Exits)
		isTrue(t, n.Exits[0].Run == 5 && n.Exits[0].Ran == time.Second && n.Since.Equal(time.Now()), "%+v", n.Exits[0])
		sup := s.Snapshot().Supervisor
		isTrue(t, sup.Used == 20 && sup.Limit == 100 && sup.Period == time.Hour, "%+v", sup)
		time.Sleep(time.Hour)
		isTrue(t, s.Snapshot().Supervisor.Used == 1, "the exit exactly an hour ago still counts, no other: %d", s.Snapshot().Supervisor.Used)
		stop(t, s)
	})
}

// A restart whose start says that it need not be repeated, or that the tree must end, is obeyed.
func TestSentinelsInAFailedRestart(t *testing.T) {
	for _, sentinel := range []error{suture.ErrDoNotRestart, suture.ErrTerminateSupervisorTree} {
		bubble(t, func(t *testing.T) {
			f := newFake("a", &log{})
			var fail error
			s := begin(t, Spec{Children: []Child{child("a", starter{func(context.Context) error { return fail }, f})}})
			fail = sentinel
			f.fail <- errBoom
			synctest.Wait()
			if sentinel == suture.ErrDoNotRestart {
				isTrue(t, len(s.Snapshot().Children) == 0, "not forgotten")
				stop(t, s)
			} else {
				isErr(t, s.Wait(), sentinel)
			}
		})
	}
}

func TestInfoOfAStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := begin(t, Spec{})
		r, err := s.StartChild(t.Context(), child("a", starter{func(ctx context.Context) error { SetInfo(ctx, 42); return nil }, newFake("a", &log{})}))
		isTrue(t, err == nil && r.Info == 42 && r.ID == "a" && r.N == 1 && r.Alive(), "%+v %v", r, err)
		_, err = s.StartChild(t.Context(), child("a", ServiceFunc(idle)))
		e, ok := errors.AsType[*RequestError](err)
		isTrue(t, ok && e.Err == ErrAlreadyStarted && e.Run == r, "%+v", e)
		stop(t, s)
	})
}
