package tree

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// What comes in while somebody does the work of a supervisor waits until that is done, whatever else wakes the loop.
func TestRequestsWaitWhileTheLoopIsLent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := dynamic(t, nil)
		l := s.running()
		synctest.Wait()
		if !l.box.borrow() || l.box.borrow() {
			t.Fatal("lent to nobody or to two")
		}
		answered := false
		go func() { _, err := s.Count(t.Context()); answered = err == nil }()
		l.box.wake <- struct{}{} // as is left when something comes too late for a time limit
		if synctest.Wait(); answered {
			t.Error("answered while somebody else does the work")
		}
		l.box.giveBack()
		if synctest.Wait(); !answered {
			t.Error("not answered after that")
		}
		stopNow(t, s)
		if l.box.borrow() {
			t.Error("lent although it has ended")
		}
	})
}

func dynamic(t *testing.T, hook func(Event)) *Supervisor {
	t.Helper()
	s, err := New(Spec{Dynamic: &Dynamic{Template: Child{ID: "child"}}, OnEvent: hook})
	if err == nil {
		err = errors.Join(s.Start(context.Background()), s.WaitReady(t.Context()))
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A start that takes no time is done by whoever asks for it, but not if it has given up before.
func TestStartByWhoeverAsks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := dynamic(t, nil)
		l := s.running()
		synctest.Wait()
		gone, leave := context.WithCancelCause(t.Context())
		leave(errBoom)
		if _, err := s.StartService(gone, ServiceFunc(idle)); err != errBoom {
			t.Error(err)
		}
		synctest.Wait()
		for n := range 3 {
			r, err := s.StartService(t.Context(), ServiceFunc(idle))
			if err != nil || r.N != 1 || !r.Alive() || l.members.n != n+1 {
				t.Errorf("%+v, %v, %d children", r, err, l.members.n)
			}
		}
		stopNow(t, s)
	})
}

// Where events are told, they come from the supervisor's goroutine: a hook that takes long holds up no caller whose
// context ends.
func TestAHookHoldsUpNoCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := dynamic(t, func(e Event) {
			if e.Kind == EventStarting {
				time.Sleep(time.Hour)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		_, err := s.StartService(ctx, ServiceFunc(idle))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > time.Minute {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		stopNow(t, s)
	})
}
