package tree

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/verdigris-go/verdigris/strategy"
)

func retirees(l *log, names ...string) (list []Child, fakes []*fake) {
	for _, name := range names {
		f := newFake(name, l)
		fakes = append(fakes, f)
		list = append(list, child(name, retiree{f}))
	}
	return list, fakes
}

// wantRetired fails unless exactly these services have been retired since the last time, in this order.
func wantRetired(t *testing.T, l *log, want ...string) {
	t.Helper()
	synctest.Wait()
	var got []string
	for _, line := range l.take() {
		if name, ok := strings.CutPrefix(line, "retire "); ok {
			got = append(got, name)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("retired\n got  %q\n want %q", got, want)
	}
}

func TestRetireByRequestAndByEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		list, fakes := retirees(&l, "a", "b", "c")
		list[1].Restart, list[2].Restart = strategy.Transient, strategy.Temporary
		s := begin(t, Spec{Children: list})
		fakes[0].fail <- errBoom // is restarted
		fakes[1].fail <- nil
		wantRetired(t, &l, "b: "+ErrEnded.Error())
		fakes[2].fail <- errBoom
		wantRetired(t, &l, "c: "+ErrEnded.Error())
		isErr(t, s.TerminateChild(t.Context(), "a"), nil)
		wantRetired(t, &l, "a: "+ErrTerminated.Error())
		isErr(t, s.TerminateChild(t.Context(), "a"), nil)
		wantRetired(t, &l) // only once
		_, err := s.RestartChild(t.Context(), "a")
		isErr(t, err, nil)
		stop(t, s)
		wantRetired(t, &l, "a: "+ErrShutdown.Error())
	})
}

func TestRetireNotDuringAGroupRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		list, fakes := retirees(&l, "a", "b")
		s := begin(t, Spec{Strategy: strategy.OneForAll, Children: list})
		fakes[1].fail <- errBoom
		wantRetired(t, &l)
		fakes[1].fail <- errBoom
		why := s.Wait().Error()
		wantRetired(t, &l, "a: "+why, "b: "+why)
	})
}

// A supervisor that its parent may start again leaves it to the parent to retire what is below.
func TestRetireThroughTwoLevels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		list, fakes := retirees(&l, "a", "b")
		sub := mustNew(t, Spec{Children: list, Intensity: strategy.Intensity{Restarts: strategy.NoRestarts}})
		s := begin(t, Spec{Children: []Child{child("sub", sub)}})
		added, _ := retirees(&l, "added")
		_, err := sub.StartChild(t.Context(), added[0])
		isErr(t, err, nil)
		fakes[0].fail <- errBoom // sub gives up, and is restarted
		synctest.Wait()
		exits := stateOf(t, s, "sub").Exits
		wantRetired(t, &l, "added: "+exits[0].Err.Error())
		fakes[0].fail <- errBoom // and now the root gives up
		why := s.Wait()
		wantRetired(t, &l, "a: "+why.Error(), "b: "+why.Error())
		_, ok := errors.AsType[*IntensityError](why)
		isTrue(t, ok, "%v", why)
	})
}

func TestRetireAfterARolledBackStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		list, _ := retirees(&l, "a")
		list = append(list, child("bad", starter{func(context.Context) error { return errBoom }, nil}))
		s := mustNew(t, Spec{Name: "top", Children: list})
		isErr(t, s.Serve(t.Context()), errBoom)
		wantRetired(t, &l, "a: tree: top/bad did not start: boom")
	})
}

// Siblings that were stopped for a group restart are retired when that is cancelled: nobody brings them back.
func TestRetireWhoIsStrandedByACancelledRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		list, fakes := retirees(&l, "a", "b", "c")
		list[1].Backoff = strategy.Backoff{Initial: time.Hour}
		s := begin(t, Spec{Strategy: strategy.RestForOne, Children: list})
		fakes[1].fail <- errBoom
		wantRetired(t, &l)
		isErr(t, s.TerminateChild(t.Context(), "b"), nil)
		wantRetired(t, &l, "b: "+ErrTerminated.Error(), "c: "+ErrTerminated.Error())
		stop(t, s)
	})
}

func TestRetireOfARunningSupervisorTakesEffectAtItsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		list, _ := retirees(&l, "a")
		sub := mustNew(t, Spec{Children: list})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- sub.ServeReady(ctx, func() {}) }()
		synctest.Wait()
		sub.Retire(errBoom)
		wantRetired(t, &l)
		cancel()
		<-done
		wantRetired(t, &l, "a: boom")
		sub.Retire(errBoom) // a parent may say so twice
		wantRetired(t, &l, "a: boom")
	})
}
