package otptest

import (
	"context"
	"errors"

	"github.com/verdigris-go/verdigris/tree"
)

// scripted is a worker that is a goroutine. It can be killed, as only a process can.
type scripted struct {
	script
	body *body
}

func (s *scripted) Serve(ctx context.Context) error { return s.ServeReady(ctx, func() {}) }

func (s *scripted) Kill() { close(s.body.kill) }

func (s *scripted) ServeReady(ctx context.Context, ready func()) error {
	l := s.w.begin(ctx, s.path)
	if err := s.startFails(s.outcome(l), l); err != nil {
		return err
	}
	if s.behaviour.Info != nil {
		tree.SetInfo(ctx, *s.behaviour.Info)
	}
	b := newBody()
	s.w.locked(func() { s.body = b })
	s.comeUp(l, b)
	defer close(b.gone)
	defer context.AfterFunc(ctx, func() { close(b.told) })()
	ready()
	how, reason := s.live(l, b)
	s.goDown(l, how, reason)
	return exitError(reason, errors.New(reason))
}

// startFails ends a start as the script says, unless that is "ok".
func (s *script) startFails(outcome string, l life) error {
	switch outcome {
	case "error":
		s.w.record("start_failed %v start_error", l)
		return errStart
	case "crash":
		s.w.record("start_failed %v crash", l)
		panic("start_crash")
	case "ignore":
		s.w.record("start_ignored %v", l)
		return tree.ErrIgnore
	}
	return nil
}
