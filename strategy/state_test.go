package strategy

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return t0.Add(d) }

// begun returns a state whose children a, b, c, ... all run.
func begun(t *testing.T, spec Spec, children ...Child) *State {
	t.Helper()
	for i := range children {
		if children[i].ID == "" {
			children[i].ID = string(rune('a' + i))
		}
	}
	s := New(spec, children)
	for _, a := range s.Step(t0, Begin{}) {
		up(s, t0, a)
	}
	return s
}

func up(s *State, now time.Time, a Action) {
	if start, ok := a.(Start); ok {
		s.Step(now, Started{ID: start.ID, Run: start.Run})
	}
}

// run returns the number of the present run of a child.
func (s *State) run(id string) uint64 { return s.child(id).run }

func (s *State) exit(now time.Time, id string, how How) []Action {
	return s.Step(now, Exited{ID: id, Run: s.run(id), How: how})
}

func want(t *testing.T, plan []Action, actions ...Action) {
	t.Helper()
	if len(plan) == 0 && len(actions) == 0 {
		return
	}
	if !reflect.DeepEqual(plan, actions) {
		t.Errorf("plan\n got  %+v\n want %+v", plan, actions)
	}
}

func TestGroupsOfAStrategy(t *testing.T) {
	for strategy, plan := range map[Strategy][]Action{
		OneForOne:  {Start{ID: "b", Run: 4}},
		RestForOne: {Stop{ID: "c"}, Start{ID: "b", Run: 4}, Start{ID: "c", Run: 5}},
		OneForAll:  {Stop{ID: "c"}, Stop{ID: "a"}, Start{ID: "a", Run: 4}, Start{ID: "b", Run: 5}, Start{ID: "c", Run: 6}},
	} {
		s := begun(t, Spec{Strategy: strategy}, Child{}, Child{}, Child{})
		want(t, s.exit(t0, "b", Normal), plan...)
	}
}

func TestTemporarySiblingsAreForgottenByAGroupRestart(t *testing.T) {
	s := begun(t, Spec{Strategy: OneForAll}, Child{Restart: Temporary}, Child{}, Child{Restart: Temporary})
	want(t, s.exit(t0, "b", Failed), Stop{ID: "c"}, Forget{ID: "c"}, Stop{ID: "a"}, Forget{ID: "a"}, Start{ID: "b", Run: 4})
	if s.Len() != 1 {
		t.Errorf("%d children left", s.Len())
	}
}

func TestExitOfAnUnknownRunIsIgnored(t *testing.T) {
	s := begun(t, Spec{}, Child{})
	want(t, s.Step(t0, Exited{ID: "a", Run: 99, How: Failed}))
	want(t, s.Step(t0, Exited{ID: "x", Run: 1, How: Failed}))
	up(s, t0, s.exit(t0, "a", Failed)[0])
	want(t, s.Step(t0, Exited{ID: "a", Run: 1, How: Failed}))
	s.Step(t0, TerminateChild{"a"})
	want(t, s.Step(t0, DeleteChild{"a"}), Forget{ID: "a"})
	up(s, t0, s.Step(t0, StartChild{Child{ID: "a"}})[0])
	want(t, s.Step(t0, Exited{ID: "a", Run: 2, How: Failed})) // of its namesake
}

// Both ends of the window count, and restarts leave it one by one.
func TestWindow(t *testing.T) {
	const p = 10 * time.Second
	s := begun(t, Spec{Intensity: Intensity{Restarts: 2, Period: p}}, Child{})
	fail := func(d time.Duration) bool {
		plan := s.exit(at(d), "a", Failed)
		up(s, at(d), plan[0])
		_, ended := plan[0].(End)
		return !ended
	}
	for i, d := range []time.Duration{0, p, p + 1, 2*p + 1, 2*p + 2} {
		if !fail(d) {
			t.Fatalf("gave up at restart %d after %v", i, d)
		}
	}
	if used, limit, period := s.Budget(at(2*p + 2)); used != 2 || limit != 2 || period != p {
		t.Errorf("budget %d of %d in %v", used, limit, period)
	}
	if fail(3*p + 1) { // those at 2p+1 and 2p+2 count, the former by a hair
		t.Error("did not give up")
	}
}

func TestDefaultsOfIntensity(t *testing.T) {
	for in, out := range map[Intensity][2]any{
		{}:                       {1, 5 * time.Second},
		{Restarts: NoRestarts}:   {0, 5 * time.Second},
		{Restarts: 7, Period: 1}: {7, time.Duration(1)},
	} {
		if n, p := in.Limits(); n != out[0] || p != out[1] || !in.Valid() {
			t.Errorf("%+v: %d in %v", in, n, p)
		}
	}
	if (Intensity{Restarts: -2}).Valid() || (Intensity{Period: -1}).Valid() || Strategy(3).Valid() || Restart(3).Valid() || AutoShutdown(3).Valid() {
		t.Error("accepted what is out of range")
	}
}

// A long storm within the budget does not grow the window beyond what counts.
func TestWindowForgets(t *testing.T) {
	w := window{limit: 1 << 30, period: time.Second}
	for i := range 100_000 {
		w.add(at(time.Duration(i) * 100 * time.Millisecond))
	}
	if cap(w.times) > 64 || w.used(at(10_000*time.Second-100*time.Millisecond)) != 11 {
		t.Errorf("%d places for %d restarts", cap(w.times), w.used(at(10_000*time.Second)))
	}
}

func TestBackoffBound(t *testing.T) {
	b := Backoff{Initial: time.Second, Max: 5 * time.Second}
	for attempt, bound := range map[int]time.Duration{1: 1, 2: 2, 3: 4, 4: 5, 5: 5, 1 << 40: 5} {
		if b.Bound(attempt) != bound*time.Second {
			t.Errorf("attempt %d: %v", attempt, b.Bound(attempt))
		}
	}
	if (Backoff{Initial: time.Second}).Bound(99) != 100*time.Second {
		t.Error("default of Max")
	}
	if (Backoff{Initial: 2, Max: 1}).Valid() || !b.Valid() || (Backoff{Reset: -1}).Valid() {
		t.Error("Valid")
	}
}

func TestBackoffStopsTheGroupAndCountsOnce(t *testing.T) {
	b := Backoff{Initial: time.Second}
	s := begun(t, Spec{Strategy: RestForOne}, Child{}, Child{Backoff: b}, Child{})
	want(t, s.exit(t0, "b", Failed), Stop{ID: "c"}, Retry{ID: "b", Run: 2, Attempt: 1, After: time.Second})
	want(t, s.Step(t0, RestartChild{"b"}), Refuse{IsRestarting})
	want(t, s.Step(at(1), Retried{"b", 1})) // not this run
	plan := s.Step(at(time.Second), Retried{"b", 2})
	want(t, plan, Start{ID: "b", Run: 4}, Start{ID: "c", Run: 5})
	if used, _, _ := s.Budget(at(time.Second)); used != 1 {
		t.Errorf("counted %d times", used)
	}
	want(t, s.Step(at(time.Second), StartFailed{ID: "b", Run: 4, How: Failed}), Retry{ID: "b", Run: 4, Attempt: 2, After: 2 * time.Second})
	want(t, s.Step(at(2*time.Second), Retried{"b", 4}), End{TooManyRestarts, "b"}, Stop{ID: "b"}, Stop{ID: "a"}, Quit{})
}

// A group restart overtakes the Retry for which b waits, and b fails in it again. The first Retry serves then.
func TestOvertakenRetry(t *testing.T) {
	s := begun(t, Spec{Strategy: RestForOne, Intensity: Intensity{Restarts: 9}}, Child{}, Child{})
	s.exit(t0, "b", Failed)
	want(t, s.Step(t0, StartFailed{ID: "b", Run: 3, How: Failed}), Retry{ID: "b", Run: 3, Attempt: 2})
	want(t, s.exit(t0, "a", Failed), Stop{ID: "b"}, Start{ID: "a", Run: 4}, Start{ID: "b", Run: 5})
	up(s, t0, Start{ID: "a", Run: 4})
	want(t, s.Step(t0, StartFailed{ID: "b", Run: 5, How: Failed}), Retry{ID: "b", Run: 5, Attempt: 3})
	want(t, s.Step(t0, Retried{"b", 3}), Start{ID: "b", Run: 6})
}

// It must not cut a delay short.
func TestOvertakenRetryWithBackoff(t *testing.T) {
	s := begun(t, Spec{Strategy: RestForOne, Intensity: Intensity{Restarts: 9}}, Child{}, Child{Backoff: Backoff{Initial: time.Second}})
	want(t, s.exit(t0, "b", Failed), Retry{ID: "b", Run: 2, Attempt: 1, After: time.Second})
	want(t, s.exit(t0, "a", Failed), Stop{ID: "b"}, Start{ID: "a", Run: 3}, Start{ID: "b", Run: 4})
	up(s, t0, Start{ID: "a", Run: 3})
	want(t, s.Step(t0, StartFailed{ID: "b", Run: 4, How: Failed}), Retry{ID: "b", Run: 4, Attempt: 2, After: 2 * time.Second})
	want(t, s.Step(t0, Retried{"b", 2}))
}

func TestExcused(t *testing.T) {
	s := begun(t, Spec{Intensity: Intensity{Restarts: NoRestarts}}, Child{})
	plan := s.Step(t0, Exited{ID: "a", Run: 1, How: Failed, Excused: true})
	want(t, plan, Start{ID: "a", Run: 2})
	want(t, s.Step(t0, StartFailed{ID: "a", Run: 2, How: Failed, Excused: true}), Retry{ID: "a", Run: 2, Attempt: 2})
	want(t, s.Step(t0, Retried{"a", 2}), Start{ID: "a", Run: 3})
	want(t, s.Step(t0, StartFailed{ID: "a", Run: 3, How: Failed}), Retry{ID: "a", Run: 3, Attempt: 3})
	want(t, s.Step(t0, Retried{"a", 3}), End{TooManyRestarts, "a"}, Stop{ID: "a"}, Quit{})
}

func TestSentinelWays(t *testing.T) {
	s := begun(t, Spec{}, Child{}, Child{})
	want(t, s.exit(t0, "a", DoNotRestart), Forget{ID: "a"})
	want(t, s.exit(t0, "b", TerminateTree), End{TreeTerminated, "b"}, Quit{})
	want(t, s.Step(t0, Shutdown{})) // it has ended
}

func TestMaxChildrenOfADynamicSupervisor(t *testing.T) {
	s := begun(t, Spec{Dynamic: true, MaxChildren: 1})
	up(s, t0, s.Step(t0, StartChild{Child{ID: "1"}})[0])
	want(t, s.Step(t0, StartChild{Child{ID: "2"}}), Refuse{MaxChildren})
	want(t, s.Step(t0, TerminateRun{ID: "1", Run: 1}), Stop{ID: "1"}, Forget{ID: "1"})
	want(t, s.Step(t0, StartChild{Child{ID: "2"}}), Start{ID: "2", Run: 2})
}

func TestNames(t *testing.T) {
	got := fmt.Sprint(OneForOne, OneForAll, RestForOne, Strategy(9), Permanent, Transient, Temporary, Never, AnySignificant, AllSignificant, Pending, Orderly)
	if got != "one_for_one one_for_all rest_for_one invalid permanent transient temporary never any_significant all_significant restarting shutdown" {
		t.Error(got)
	}
}

// A one-for-one step takes no longer when there are more siblings.
func BenchmarkStep(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			children := make([]Child, n)
			for i := range children {
				children[i].ID = fmt.Sprint(i)
			}
			s := New(Spec{Intensity: Intensity{Restarts: 1 << 40, Period: time.Nanosecond}}, children)
			for _, a := range s.Step(t0, Begin{}) {
				up(s, t0, a)
			}
			id, now := fmt.Sprint(n/2), t0
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Microsecond)
				up(s, now, s.exit(now, id, Failed)[0])
			}
		})
	}
}
