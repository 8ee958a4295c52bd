package tree

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

type contextKey struct{}

// besides returns a running supervisor with a child that is served by f, and so many others that its runs are lean or
// not.
func besides(t *testing.T, lean bool, f func(context.Context) error) *Supervisor {
	t.Helper()
	children := []Child{{ID: "it", Service: ServiceFunc(f)}}
	for i := range crowd {
		if lean {
			children = append(children, Child{ID: fmt.Sprint(i), Service: ServiceFunc(idle)})
		}
	}
	s, err := New(Spec{Children: children})
	if err == nil {
		err = s.Start(context.WithValue(t.Context(), contextKey{}, "value"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// contexts plays a test with runs of both kinds.
func contexts(t *testing.T, play func(t *testing.T, lean bool)) {
	for _, lean := range []bool{false, true} {
		t.Run(fmt.Sprintf("lean=%v", lean), func(t *testing.T) {
			bubble(t, func(t *testing.T) { play(t, lean) })
		})
	}
}

// The context of a run is what context.WithCancelCause would return.
func TestContextOfARun(t *testing.T) {
	contexts(t, func(t *testing.T, lean bool) {
		ran := false
		s := besides(t, lean, func(ctx context.Context) error {
			if r := runOf(ctx); r.lean != lean {
				t.Errorf("lean is %v", r.lean)
			}
			if _, limited := ctx.Deadline(); limited || ctx.Err() != nil || context.Cause(ctx) != nil {
				t.Errorf("at first: %v, %v", ctx.Err(), context.Cause(ctx))
			}
			if ctx.Value(contextKey{}) != "value" || ctx.Value("else") != nil || ctx.Value(nil) != nil {
				t.Error("values")
			}
			done := ctx.Done()
			<-done
			if ctx.Done() != done || ctx.Err() != context.Canceled || context.Cause(ctx) != ErrShutdown {
				t.Errorf("in the end: %v, %v", ctx.Err(), context.Cause(ctx))
			}
			ran = true
			return nil
		})
		stopNow(t, s)
		if !ran {
			t.Error("not served")
		}
	})
}

func stopNow(t *testing.T, s *Supervisor) {
	t.Helper()
	synctest.Wait()
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// What is derived from it ends with it, for the same cause, whether or not its channel has been asked for before.
func TestContextsDerivedFromARun(t *testing.T) {
	contexts(t, func(t *testing.T, lean bool) {
		for _, asked := range []bool{false, true} {
			var derived []context.Context
			called := make(chan bool, 1)
			s := besides(t, lean, func(ctx context.Context) error {
				if asked {
					ctx.Done()
				}
				wrapped := context.WithValue(ctx, contextKey{}, "other")
				for _, parent := range []context.Context{ctx, wrapped} {
					child, cancel := context.WithCancel(parent)
					defer cancel()
					late, stop := context.WithTimeout(child, time.Hour)
					defer stop()
					derived = append(derived, child, late)
				}
				free := context.WithoutCancel(wrapped)
				context.AfterFunc(wrapped, func() { called <- true })
				if !context.AfterFunc(ctx, func() { t.Error("called in spite of stop") })() {
					t.Error("stop came too late")
				}
				<-ctx.Done()
				synctest.Wait()
				if free.Err() != nil || free.Value(contextKey{}) != "other" {
					t.Error("WithoutCancel is cancelled")
				}
				for i, d := range derived {
					if d.Err() != context.Canceled || context.Cause(d) != ErrShutdown {
						t.Errorf("%d: %v, %v", i, d.Err(), context.Cause(d))
					}
				}
				return nil
			})
			stopNow(t, s)
			if len(derived) != 4 || !<-called {
				t.Error("not derived, or AfterFunc not called")
			}
		}
	})
}

// A context that is derived from the run itself needs no goroutine, and is forgotten when it is no longer needed.
func TestContextsAreForgottenByTheRun(t *testing.T) {
	contexts(t, func(t *testing.T, lean bool) {
		s := besides(t, lean, func(ctx context.Context) error {
			registered := func() int {
				r := runOf(ctx)
				defer r.lock().Unlock()
				return len(r.more().after)
			}
			_, cancel := context.WithTimeout(ctx, time.Hour)
			if n := registered(); lean && n != 1 || !lean && n != 0 {
				t.Errorf("%d are registered", n)
			}
			if cancel(); registered() != 0 {
				t.Error("it is not forgotten")
			}
			<-ctx.Done()
			return nil
		})
		stopNow(t, s)
	})
}

// The cause says how it ended; a context that is asked only then answers the same.
func TestCauseOfTheEndOfARun(t *testing.T) {
	contexts(t, func(t *testing.T, lean bool) {
		for _, c := range []struct {
			end   func(*Supervisor)
			cause error
		}{
			{func(s *Supervisor) { _ = s.Stop(context.Background()) }, ErrShutdown},
			{func(s *Supervisor) { s.Kill(); _ = s.Wait() }, ErrKilled},
		} {
			var kept context.Context
			release := make(chan bool)
			s := besides(t, lean, func(ctx context.Context) error { kept = ctx; <-release; return nil })
			synctest.Wait()
			go c.end(s)
			synctest.Wait()
			called := make(chan bool)
			context.AfterFunc(kept, func() { close(called) })
			<-called
			derived, cancel := context.WithCancel(kept)
			if kept.Err() != context.Canceled || context.Cause(kept) != c.cause || context.Cause(derived) != c.cause {
				t.Errorf("%v, %v, want %v", kept.Err(), context.Cause(kept), c.cause)
			}
			cancel()
			select {
			case <-kept.Done():
			default:
				t.Error("not done")
			}
			close(release)
			_ = s.Wait()
		}
	})
}

// When a run has returned, its context is cancelled as any context is in the end.
func TestContextOfARunThatHasReturned(t *testing.T) {
	contexts(t, func(t *testing.T, lean bool) {
		kept := make(chan context.Context, 2)
		s := besides(t, lean, func(ctx context.Context) error {
			kept <- ctx
			if len(kept) == 1 {
				return errBoom
			}
			<-ctx.Done()
			return nil
		})
		synctest.Wait()
		first := <-kept
		if first.Err() != context.Canceled || !errors.Is(context.Cause(first), context.Canceled) {
			t.Errorf("%v, %v", first.Err(), context.Cause(first))
		}
		<-first.Done()
		stopNow(t, s)
	})
}

// SetInfo does not depend on what else is asked of the context.
func TestInfoBesideContexts(t *testing.T) {
	contexts(t, func(t *testing.T, lean bool) {
		s := besides(t, lean, func(ctx context.Context) error {
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			if !SetInfo(child, 7) || RunOf(ctx).Info != 7 {
				t.Errorf("%+v", RunOf(ctx))
			}
			<-ctx.Done()
			return nil
		})
		stopNow(t, s)
	})
}
