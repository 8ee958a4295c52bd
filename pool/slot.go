package pool

import (
	"context"
	"errors"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/tree"
)

// slot is the place of one worker in the pool: a service of the pool's
// supervisor, restarted as often as the worker dies.
type slot struct {
	pool *Pool
	proc *child.Process

	// Guarded by pool.mu.
	up   bool   // a worker is ready in it
	life uint64 // how often one has become ready
	load int    // calls given to it and not settled, those of callers that have left included
}

// ServeReady runs one worker. The slot counts as started at once, so that the
// supervisor can go on with the next; the pool looks at the worker's own word.
func (s *slot) ServeReady(ctx context.Context, ready func()) error {
	ready()
	err := s.proc.ServeReady(ctx, func() { s.pool.comesUp(s) })
	s.pool.goesDown(s, err)
	return verdict(err)
}

// Serve is ServeReady for those who do not ask.
func (s *slot) Serve(ctx context.Context) error { return s.ServeReady(ctx, func() {}) }

// Kill ends the worker's process at once.
func (s *slot) Kill() { s.proc.Kill() }

// Retire tells the worker that it will not be served again.
func (s *slot) Retire(cause error) { s.proc.Retire(cause) }

// String returns the worker's name.
func (s *slot) String() string { return s.proc.String() }

// verdict decides whether a worker's end counts against the pool's intensity:
// not if it was running a call, and not if we have ended it.
func verdict(err error) error {
	if _, ok := errors.AsType[*child.StartError](err); ok {
		return err
	}
	crash, ok := errors.AsType[*child.CrashError](err)
	if ok && (len(crash.Calls) > 0 || crash.Exit.Cause.Ordered()) {
		return tree.Excuse(err)
	}
	return err
}
