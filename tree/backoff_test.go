package tree

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/verdigris-go/verdigris/strategy"
)

var slowly = strategy.Backoff{Initial: 10 * time.Second, Max: time.Minute}

// Delays are drawn between zero and a bound that doubles, and start anew after a healthy run.
func TestBackoffBoundsAndReset(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake("a", &log{})
		var delays []time.Duration
		var attempts []int
		s := begin(t, Spec{Intensity: strategy.Intensity{Restarts: 100}, Children: []Child{{ID: "a", Service: f, Backoff: slowly}}, OnEvent: func(e Event) {
			if e.Kind == EventRestarting {
				delays, attempts = append(delays, e.Delay), append(attempts, e.Attempt)
			}
		}})
		bounds := []time.Duration{10, 20, 40, 60, 60, 10}
		for i := range bounds {
			if i == len(bounds)-1 {
				time.Sleep(time.Minute) // a healthy run
			}
			f.fail <- errBoom
			synctest.Wait()
			n := stateOf(t, s, "a")
			isTrue(t, n.State == Restarting && n.Attempt == attempts[i] && n.NextRetry.Equal(time.Now().Add(delays[i])), "%+v", n)
			time.Sleep(delays[i])
			synctest.Wait()
			isTrue(t, stateOf(t, s, "a").State == Running, "not back after %v", delays[i])
		}
		drawn := false
		for i, b := range bounds {
			drawn = drawn || delays[i] < b*time.Second
			isTrue(t, delays[i] >= 0 && delays[i] <= b*time.Second, "delay %d is %v", i, delays[i])
			isTrue(t, attempts[i] == min(i+1, 5) || i == 5 && attempts[i] == 1, "attempts %v", attempts)
		}
		isTrue(t, drawn, "there is no jitter: %v", delays)
		stop(t, s)
	})
}

// Under one-for-one nobody else waits, and the supervisor goes on answering.
func TestBackoffHoldsNobodyElseBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		a, b := newFake("a", &l), newFake("b", &l)
		s := begin(t, Spec{Intensity: strategy.Intensity{Restarts: 9}, Children: []Child{{ID: "a", Service: a, Backoff: strategy.Backoff{Initial: time.Hour}}, child("b", b)}})
		a.fail <- errBoom
		synctest.Wait()
		l.take()
		begun := time.Now()
		b.fail <- errBoom
		l.want(t, "-b", "+b")
		_, err := s.RestartChild(t.Context(), "a")
		isErr(t, err, ErrRestarting)
		timer := s.running().policy.member("a").pending().timer
		isErr(t, s.TerminateChild(t.Context(), "a"), nil) // cancels it
		isTrue(t, !timer.Stop(), "the timer still runs")
		time.Sleep(2 * time.Hour)
		l.want(t)
		isTrue(t, stateOf(t, s, "a").State == Down && begun.Add(2*time.Hour).Equal(time.Now()), "somebody waited")
		stop(t, s)
	})
}

// Under rest-for-one and one-for-all the group waits with its culprit.
func TestBackoffOfAGroup(t *testing.T) {
	for _, st := range []strategy.Strategy{strategy.OneForAll, strategy.RestForOne} {
		bubble(t, func(t *testing.T) {
			var l log
			a, b, c := newFake("a", &l), newFake("b", &l), newFake("c", &l)
			s := begin(t, Spec{Strategy: st, Intensity: strategy.Intensity{Period: time.Hour}, Children: []Child{child("a", a), {ID: "b", Service: b, Backoff: slowly}, child("c", c)}})
			synctest.Wait()
			l.take()
			b.fail <- errBoom
			gone := []string{"-b", "-c"}
			if st == strategy.OneForAll {
				gone = append(gone, "-a")
			}
			l.want(t, gone...)
			isTrue(t, stateOf(t, s, "c").State == Down && stateOf(t, s, "b").State == Restarting, "%v", st)
			time.Sleep(slowly.Initial)
			synctest.Wait()
			isTrue(t, len(l.take()) == len(gone), "not all are back")
			isTrue(t, s.Snapshot().Supervisor.Used == 1, "counted %d times", s.Snapshot().Supervisor.Used)
			stop(t, s)
		})
	}
}

// A retry that was overtaken by another restart of the group does nothing when its time comes.
func TestBackoffOvertaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var l log
		a, b := newFake("a", &l), newFake("b", &l)
		s := begin(t, Spec{Strategy: strategy.RestForOne, Intensity: strategy.Intensity{Restarts: 9}, Children: []Child{child("a", a), {ID: "b", Service: b, Backoff: slowly}}})
		b.fail <- errBoom
		synctest.Wait()
		a.fail <- errBoom
		synctest.Wait()
		l.take()
		isTrue(t, stateOf(t, s, "b").State == Running, "b waits although its group is up")
		time.Sleep(time.Hour)
		l.want(t)
		stop(t, s)
	})
}

func TestBackoffAndFailingStarts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake("a", &log{})
		bad := false
		s := begin(t, Spec{Intensity: strategy.Intensity{Restarts: 3, Period: time.Hour}, Children: []Child{{ID: "a", Backoff: slowly, Service: starter{func(context.Context) error {
			if bad {
				return errBoom
			}
			return nil
		}, f}}}})
		bad = true
		begun := time.Now()
		f.fail <- errBoom
		err := s.Wait()
		// Three restarts, each after a delay of at most 10, 20, 40 s, and the fourth is refused after one more.
		isTrue(t, time.Since(begun) > 0 && time.Since(begun) <= 130*time.Second, "%v after %v", err, time.Since(begun))
		isTrue(t, len(stateOf(t, s, "a").Exits) == 4, "%+v", stateOf(t, s, "a").Exits)
	})
}

func TestExcusedExitsDoNotCount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake("a", &log{})
		s := begin(t, Spec{Children: []Child{child("a", f)}})
		for range 100 {
			f.fail <- Excuse(errBoom)
			synctest.Wait()
		}
		n := s.Snapshot()
		isTrue(t, n.Supervisor.Used == 0 && n.Children[0].Run == 101, "%+v", n)
		isErr(t, n.Children[0].Exits[0].Err, errBoom)
		f.fail <- errBoom
		synctest.Wait()
		isTrue(t, s.Snapshot().Supervisor.Used == 1, "not counted")
		stop(t, s)
	})
}
