package tree

import (
	"context"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/strategy"
)

// Supervisor runs children and restarts them. It is a suture.Service, a Starter, a Killer and a Retirer, so it
// can be a child of another Supervisor or of a suture.Supervisor. Each time it is served it begins anew with the
// children of its Spec. All methods are safe for concurrent use.
type Supervisor struct {
	spec   Spec
	panics atomic.Int64 // of OnEvent
	left   atomic.Int64 // how many runs are in abandoned

	mu        sync.Mutex
	life      *life
	served    int
	abandoned map[*run]struct{} // runs that were given up and have not returned
	retiredBy error             // Retire was called while it was running
}

// life is one time that a supervisor is served.
type life struct {
	loop  atomic.Pointer[loop] // nil: not begun
	ready chan struct{}
	done  chan struct{}
	err   error // after done
}

func newLife() *life { return &life{ready: make(chan struct{}), done: make(chan struct{})} }

// New returns a supervisor that does not run yet. The error joins one *SpecError for each mistake in the spec.
func New(spec Spec) (*Supervisor, error) {
	if err := CheckSpec(spec); err != nil {
		return nil, err
	}
	spec.Children = slices.Clone(spec.Children)
	for i, c := range spec.Children {
		spec.Children[i] = c.withDefaults()
	}
	if spec.Dynamic != nil {
		d := *spec.Dynamic
		spec.Dynamic = &d
	}
	return &Supervisor{spec: spec, life: newLife()}, nil
}

func (s Spec) policy() strategy.Spec {
	p := strategy.Spec{Strategy: s.Strategy, Intensity: s.Intensity, AutoShutdown: s.AutoShutdown}
	if s.Dynamic != nil {
		p.Dynamic, p.MaxChildren = true, s.Dynamic.MaxChildren
	}
	return p
}

// String returns the name of the supervisor.
func (s *Supervisor) String() string {
	if s.spec.Name == "" {
		return "root"
	}
	return s.spec.Name
}

// Serve starts the children and supervises them until ctx is cancelled, Stop or Kill is called, or the supervisor
// ends by itself. It returns nil after ctx was cancelled and everything has been stopped; ErrShutdown after Stop;
// ErrKilled after Kill; *StartError if a child did not start in the beginning; *IntensityError,
// *AutoShutdownError or *TerminatedError when it ended by itself; ErrStillRunning if it is being served already.
// When it returns, all services below have been retired; see Retirer.
func (s *Supervisor) Serve(ctx context.Context) error {
	return s.serve(ctx, func() {}, true)
}

// ServeReady is Serve for a parent that may serve it again: it calls ready when all children have been started, and
// leaves it to the parent to call Retire. Children that are lost anyway, because they were added at run
// time, are retired at once.
func (s *Supervisor) ServeReady(ctx context.Context, ready func()) error {
	return s.serve(ctx, ready, false)
}

// Start serves the supervisor in a goroutine of its own and returns at once. See WaitReady and Wait.
// It returns ErrStillRunning if it is being served already.
func (s *Supervisor) Start(ctx context.Context) error {
	l, err := s.begin(ctx)
	if err == nil {
		go s.run(ctx, l, func() {}, true) //nolint:errcheck // Wait returns it
	}
	return err
}

func (s *Supervisor) serve(ctx context.Context, ready func(), retire bool) error {
	l, err := s.begin(ctx)
	if err != nil {
		return err
	}
	return s.run(ctx, l, ready, retire)
}

// begin makes a new life, unless there is one.
func (s *Supervisor) begin(ctx context.Context) (*life, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.loop.Load() != nil {
		if !isClosed(s.life.done) {
			return nil, ErrStillRunning
		}
		s.life = newLife()
	}
	s.served++
	s.retiredBy = nil
	s.life.loop.Store(newLoop(ctx, s, s.served))
	return s.life, nil
}

// run lives one life.
func (s *Supervisor) run(ctx context.Context, lf *life, ready func(), retire bool) error {
	l := lf.loop.Load()
	l.alone = retire
	err := l.serve(ctx, func() {
		close(lf.ready)
		ready()
	})
	s.mu.Lock()
	if s.retiredBy != nil {
		retire, l.why = true, s.retiredBy
	}
	s.mu.Unlock()
	for _, m := range append(l.members.all(), l.lost...) {
		if retire || !m.static {
			l.retire(m, l.why)
		}
	}
	l.emitSelf(EventEnded, err)
	lf.err = err
	close(lf.done)
	return err
}

func (s *Supervisor) current() *life {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life
}

// running returns the loop that runs at present, or nil.
func (s *Supervisor) running() *loop {
	lf := s.current()
	if isClosed(lf.done) {
		return nil
	}
	return lf.loop.Load()
}

// Ready returns a channel that is closed when all children have been started. It belongs to the present run of the
// supervisor; when it does not run, to the last one, and before the first, to that.
func (s *Supervisor) Ready() <-chan struct{} { return s.current().ready }

// WaitReady waits until all children have been started. If the supervisor has ended, it returns why; if ctx
// ends first, the cause of that. Before the first run it waits for it.
func (s *Supervisor) WaitReady(ctx context.Context) error {
	lf := s.current()
	select {
	case <-lf.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-lf.ready:
		if !isClosed(lf.done) {
			return nil
		}
	}
	if lf.err == nil {
		return ErrShutdown
	}
	return lf.err
}

// Wait waits until the present run of the supervisor has ended, and returns how: nil after an orderly stop,
// otherwise what Serve returns. When it does not run, it is about the last run; before the first run it waits for it.
func (s *Supervisor) Wait() error {
	lf := s.current()
	<-lf.done
	if lf.err == ErrShutdown { //nolint:errorlint // what Stop has ordered, and nothing that only wraps it
		return nil
	}
	return lf.err
}

// Stop asks the supervisor to stop and waits until it has ended, or returns the cause of the end of ctx; the stop
// goes on then. It returns an error that is ErrNotRunning if there is nothing to stop. Whoever serves it gets ErrShutdown.
func (s *Supervisor) Stop(ctx context.Context) error {
	lf := s.current()
	l := lf.loop.Load()
	if l == nil || isClosed(lf.done) {
		return &RequestError{Op: "Stop", Path: s.String(), Err: ErrNotRunning}
	}
	l.stop(ErrShutdown)
	select {
	case <-lf.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Kill ends the supervisor and everything below by force and at the same time: what is a Killer is killed, the rest
// is cancelled, and what has not returned a second later is abandoned. It does not wait.
func (s *Supervisor) Kill() {
	if l := s.running(); l != nil {
		l.kill()
	}
}

// Retire passes on to all services below that nobody is going to serve them again. See Retirer.
func (s *Supervisor) Retire(cause error) {
	s.mu.Lock()
	running := s.life.loop.Load() != nil && !isClosed(s.life.done)
	if running {
		s.retiredBy = cause
	}
	s.mu.Unlock()
	if running {
		return
	}
	for _, c := range s.spec.Children {
		retire(c.Service, cause)
	}
}

// forever is the StopLimit of what has no limit: a hundred years, so that something can be added to it.
const forever = 100 * 365 * 24 * time.Hour

// StopLimit returns how long it may take at most until the supervisor has stopped: the limits of its present
// children together, for a suture.Spec's Timeout. A child without limit that has a StopLimit method is asked; any
// other makes it a hundred years. Children of a dynamic supervisor stop all at the same time, and those to come
// are taken into account.
func (s *Supervisor) StopLimit() time.Duration {
	var children []Child
	if l := s.running(); l == nil {
		children = s.spec.Children
	} else {
		for _, m := range l.members.all() {
			children = append(children, *m.spec)
		}
	}
	var total time.Duration
	if d := s.spec.Dynamic; d != nil {
		total = childLimit(d.Template.withDefaults())
	}
	for _, c := range children {
		limit := childLimit(c)
		if s.spec.Dynamic != nil {
			total = max(total, limit)
		} else {
			total = min(forever, total+limit)
		}
	}
	return total
}

func childLimit(c Child) time.Duration {
	if d, ok := c.Shutdown.Limit(); ok {
		return min(forever, d) + killWait
	}
	if c.Shutdown == BrutalKill {
		return killWait
	}
	if l, ok := unwrap(c.Service).(limiter); ok {
		return l.StopLimit()
	}
	return forever
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// same reports whether two services are the same value.
func same(a, b suture.Service) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}

// jitter draws a delay between 0 and the bound.
func jitter(bound time.Duration) time.Duration { return rand.N(bound + 1) }
