package tree

import (
	"context"
	"sync"

	"github.com/thejerf/suture/v4"
)

// Starter is a service that is not up the moment it is called. It calls ready when it is, from any goroutine; the
// next sibling is started then. Further calls, and calls after the run has ended, have no effect. Returning before
// ready is a failed start. Serve(ctx) should be ServeReady with a function that does nothing.
type Starter interface {
	suture.Service
	ServeReady(ctx context.Context, ready func()) error
}

// Killer is a service that can be ended by force. Kill must not block; Serve must return soon after it. It is
// called when the service has not returned within its Shutdown limit, and for BrutalKill.
type Killer interface{ Kill() }

// Retirer is a service that wants to know when it will not be served again unless somebody starts it anew, so
// that it can tell those who wait for its next run: it was terminated by request, it ended and is not restarted,
// its supervisor has ended. It is not called when a restart is coming. cause says why: ErrTerminated, ErrEnded,
// ErrShutdown, an *IntensityError, ... Retire must not block, may be called more than once, and must not keep the
// service from being served again.
type Retirer interface{ Retire(cause error) }

// Wrapper is a service that only looks on while another one runs: it serves what Unwrap returns, once per run, and
// passes on what it is asked for. A wrapped Supervisor is then treated as if it were the child itself: by the defaults
// of its type, when its start is cancelled, and when it is killed. Unwrap is called from any goroutine and returns
// the same service each time.
type Wrapper interface {
	suture.Service
	Unwrap() suture.Service
}

// unwrap returns what a service is beneath its wrappers.
func unwrap(s suture.Service) suture.Service {
	for {
		w, ok := s.(Wrapper)
		if !ok {
			return s
		}
		inner := w.Unwrap()
		if inner == nil {
			return s
		}
		s = inner
	}
}

// ServiceFunc makes a service of a function.
type ServiceFunc func(context.Context) error

// Serve calls the function.
func (f ServiceFunc) Serve(ctx context.Context) error { return f(ctx) }

// PerRun makes a new service for each run, for those that cannot be served twice, such as a suture.Supervisor.
// An error of the function is a failed start. Starter, Killer and Retirer are passed on to the service of the run.
func PerRun(make func(context.Context) (suture.Service, error)) suture.Service {
	return &perRun{make: make}
}

type perRun struct {
	make func(context.Context) (suture.Service, error)
	mu   sync.Mutex
	now  suture.Service // of the latest run
}

func (p *perRun) Serve(ctx context.Context) error { return p.ServeReady(ctx, func() {}) }

func (p *perRun) ServeReady(ctx context.Context, ready func()) error {
	s, err := p.make(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.now = s
	p.mu.Unlock()
	return serve(ctx, s, ready)
}

func (p *perRun) current() suture.Service {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *perRun) Kill() { kill(p.current()) }

func (p *perRun) Retire(cause error) { retire(p.current(), cause) }

// serve runs a service that may be a Starter; any other is ready at once.
func serve(ctx context.Context, s suture.Service, ready func()) error {
	if st, ok := s.(Starter); ok {
		return st.ServeReady(ctx, ready)
	}
	ready()
	return s.Serve(ctx)
}

// kill ends a service by force and reports whether it has a way to.
func kill(s suture.Service) bool {
	k, ok := s.(Killer)
	if ok {
		protect(k.Kill)
	}
	return ok
}

func retire(s suture.Service, cause error) {
	if r, ok := s.(Retirer); ok {
		protect(func() { r.Retire(cause) })
	}
}

// protect calls a function of the user from the goroutine of a supervisor, which must not end by its panic.
func protect(f func()) (ok bool) {
	defer func() { ok = recover() == nil }()
	f()
	return
}
