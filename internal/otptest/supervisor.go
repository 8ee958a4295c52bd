package otptest

import (
	"context"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/tree"
)

// supervisor is a real supervisor whose starts and ends are recorded. The same tree.Supervisor is served each time.
type supervisor struct {
	script
	node  *Node
	sup   *tree.Supervisor // nil if the spec is refused
	fault error            // why
	asked bool             // under w.mu
}

func (w *world) supervisor(n *Node, s script) *supervisor {
	spec := w.spec(n, s.path)
	if s.path == "root" {
		spec.OnEvent = w.onEvent
	}
	sup, err := tree.New(spec)
	return &supervisor{script: s, node: n, sup: sup, fault: err}
}

// Unwrap makes the tree treat it as the supervisor that it is.
func (s *supervisor) Unwrap() suture.Service {
	if s.sup == nil {
		return nil
	}
	return s.sup
}

func (s *supervisor) Serve(ctx context.Context) error { return s.ServeReady(ctx, func() {}) }

func (s *supervisor) Kill() {
	if s.sup != nil {
		s.sup.Kill()
	}
}

func (s *supervisor) Retire(cause error) {
	if s.sup != nil {
		s.sup.Retire(cause)
	}
}

func (s *supervisor) ServeReady(ctx context.Context, ready func()) error {
	w, l := s.w, s.w.begin(ctx, s.path)
	if err := s.startFails(s.outcome(l), l); err != nil {
		return err
	}
	if s.fault != nil {
		return s.failed(l, s.fault)
	}
	w.locked(func() { w.sups[s.path], s.asked = s, false })
	up := false
	err := s.sup.ServeReady(ctx, func() {
		w.locked(func() {
			up, w.up[s.path] = true, l.n
			w.note("started %v", l)
		})
		ready()
	})
	w.locked(func() { delete(w.sups, s.path) })
	if !up {
		return s.failed(l, err)
	}
	w.locked(func() {
		how := "exit"
		if s.asked {
			how = "asked"
		}
		w.note("stopped %v %s shutdown", l, how)
	})
	return err
}

// failed records that it has not come up.
func (s *supervisor) failed(l life, err error) error {
	s.w.record("start_failed %v %s", l, reasonOf(err))
	return err
}
