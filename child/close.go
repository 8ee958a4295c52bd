package child

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/thejerf/suture/v4"
)

// ErrClosed is matched by what Serve and calls return after [Process.Close]. It
// matches suture.ErrDoNotRestart, so that supervisors let a closed Process go.
var ErrClosed error = closed{}

type closed struct{}

func (closed) Error() string        { return "child: this Process has been closed" }
func (closed) Is(target error) bool { return target == suture.ErrDoNotRestart }

// closedError is an error that came of Close.
type closedError struct{ error }

func (e closedError) Unwrap() []error      { return []error{e.error, ErrClosed} }
func (e closedError) LogValue() slog.Value { return slog.AnyValue(e.error) }

// settleGrace is how long Close waits, when the worker is gone, for its calls to
// be told: one of them may be the one that has called Close.
const settleGrace = time.Second

// serving is one Serve of a Process.
type serving struct {
	run  uint64
	halt context.CancelCauseFunc // ends it as the end of Serve's context does
	over chan struct{}           // closed when Serve returns; end is final then
	end  error
}

// Close stops the worker in order and for good: functions that run may finish
// within the limits of [Config.Stop], calls that have not been started fail.
// Calls from now on, calls that the end of the worker has failed, and Serve get
// errors that match [ErrClosed]. A start that is going on is broken off.
//
// Close returns when the worker is gone and Serve is about to return: nil, or
// how the worker had to be ended. It takes no longer than [Stop.Limit], and the
// time in which the kernel ends a process. It may be called again, from any
// goroutine and any callback, and then waits for the same end.
func (p *Process) Close() error {
	s := p.shut()
	if s == nil {
		return nil
	}
	s.halt(ErrClosed)
	if !p.goneWithin(s, p.cfg.Stop.Limit()+dyingGrace) {
		p.Kill()
		p.goneWithin(s, p.cfg.tune.killGrace+dyingGrace)
	}
	select {
	case <-s.over:
	case <-time.After(settleGrace):
		return nil
	}
	if crash, ok := errors.AsType[*CrashError](s.end); ok {
		return crash
	}
	return nil
}

// shut lets nothing in any more and returns the Serve that is going on.
func (p *Process) shut() *serving {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.retired = true, ErrClosed
	if p.phase == restarting {
		p.move(unserved)
	}
	return p.serving
}

// goneWithin reports whether the worker of this Serve has died in time.
func (p *Process) goneWithin(s *serving, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	var dead <-chan struct{}
	p.mu.Lock()
	if p.serving == s && p.current != nil {
		dead = p.current.proc.Done()
	}
	p.mu.Unlock()
	select {
	case <-dead:
		return true
	case <-s.over:
		return true
	case <-timer.C:
		return false
	}
}

// leave ends a Serve; what it returns says when it was by Close.
func (p *Process) leave(s *serving, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.lastExit = err
	}
	if p.closed {
		err = closedEnd(err)
	}
	p.serving, s.end = nil, err
	p.enter(restarting, nil)
	s.halt(nil) // frees its context
	close(s.over)
	return err
}

// closedEnd is how the Serve of a closed Process ends.
func closedEnd(err error) error {
	switch {
	case err == nil:
		return ErrClosed
	case errors.Is(err, ErrClosed):
		return err
	}
	return closedError{err}
}

// told adds to a call's error that it came of Close, if it did.
func (p *Process) told(err error) error {
	if err == nil || !ofTheEnd(err) {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		return err
	}
	return closedError{err}
}

// ofTheEnd reports whether a call failed because its worker was to end.
func ofTheEnd(err error) bool {
	if crash, ok := errors.AsType[*CrashError](err); ok {
		return crash.Cause.Ordered()
	}
	if _, ok := errors.AsType[*NotStartedError](err); ok {
		return true
	}
	_, ok := errors.AsType[*UnavailableError](err)
	return ok
}
