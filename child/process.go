package child

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Process is a worker process that is started again and again: each Serve is
// one life of it, a run. It is a suture.Service and a tree.Starter, to be put
// under a supervisor, and a [Caller]. [New] makes one; all methods may be
// called from any goroutine.
type Process struct {
	cfg   Config
	fault error // what is wrong with cfg

	mu       sync.Mutex
	phase    phase
	changed  chan struct{} // closed, and replaced, when the phase changes
	since    time.Time     // of the last time that it was up or began to be served
	current  *run          // the run that takes calls, when up; the one that starts, when starting
	runs     uint64        // number of the last one; that before Config.FirstRun at first
	lastExit error         // of the last run; nil while there was none
	retired  error         // why nobody serves it any more; nil if nobody ever did
	serving  *serving      // the Serve that is going on
	closed   bool          // for good
}

type phase uint8

const (
	unserved   phase = iota // nobody serves it, and nobody has promised to
	starting                // Serve has been called, the worker is not ready yet
	up                      // the worker takes calls
	restarting              // the run is over; whoever served it is expected to do so again
)

// errStopped is why a Process is unserved after an orderly stop.
var errStopped = errors.New("it was stopped")

// New makes a worker that is not running yet: put it under a supervisor, or
// call Serve. What is wrong with cfg, Serve and every call return.
func New(cfg Config) *Process {
	p := &Process{changed: make(chan struct{})}
	p.cfg, p.fault = cfg.withDefaults()
	p.runs = max(cfg.FirstRun, 1) - 1
	return p
}

// Name returns the worker's name.
func (p *Process) Name() string { return p.cfg.Name }

// String returns the name, for suture's log.
func (p *Process) String() string { return "worker " + p.cfg.Name }

// Serve runs the worker until it dies or ctx ends, as a suture.Service does.
// It returns nil after an orderly stop, a [*StartError] when the worker did not
// come up, a [*CrashError] when it died. After an error, calls wait (at most
// Config.Wait) for whoever serves it to serve it again; after ctx has ended they
// fail at once.
func (p *Process) Serve(ctx context.Context) error {
	return p.serve(ctx, func() {}, func() {
		if ctx.Err() != nil {
			p.Retire(errStopped)
		}
	})
}

// ServeReady is Serve for a supervisor that wants to know when the worker is
// ready, and that tells the end of its service by Retire: until then calls
// expect it to be served again, also after ctx has ended.
func (p *Process) ServeReady(ctx context.Context, ready func()) error {
	return p.serve(ctx, ready, func() {})
}

// ServeUpDown is ServeReady for one who stands in front of several workers. down is
// called once, on any goroutine, as soon as the worker takes no more calls; a worker
// that dies may need some time after that until it is dead and ServeUpDown returns. down
// has returned by then. It must not block.
func (p *Process) ServeUpDown(ctx context.Context, up, down func()) error {
	return p.serve(ctx, up, down)
}

// serve is one run; down is told as soon as the worker takes no more calls.
func (p *Process) serve(ctx context.Context, ready, down func()) error {
	ctx, halt := context.WithCancelCause(ctx)
	s, err := p.begin(halt)
	if err != nil {
		halt(nil)
		return err
	}
	r, err := startRun(ctx, &p.cfg, s.run, p.starts)
	if err != nil {
		down()
		return p.leave(s, err)
	}
	p.set(up, r)
	ready()
	err = r.supervise(ctx, func() { p.set(restarting, r); down() })
	return p.leave(s, err)
}

// begin makes this Serve the only one.
func (p *Process) begin(halt context.CancelCauseFunc) (*serving, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.fault != nil:
		return nil, p.fault
	case p.closed:
		return nil, ErrClosed
	case p.serving != nil:
		return nil, ErrAlreadyServed
	}
	if p.phase == unserved {
		p.since, p.retired = time.Now(), nil
	}
	p.runs++
	p.move(starting)
	p.serving = &serving{run: p.runs, halt: halt, over: make(chan struct{})}
	return p.serving, nil
}

// starts notes the run that is being started, so that Kill reaches it.
func (p *Process) starts(r *run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = r
}

// set notes how a run goes on. A Retire that came meanwhile stays in force.
func (p *Process) set(to phase, r *run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.enter(to, r)
}

// enter is set; p.mu is held.
func (p *Process) enter(to phase, r *run) {
	if p.phase == up && to != up {
		p.since = time.Now()
	}
	p.current = r
	if to == restarting && p.retired != nil {
		to = unserved
	}
	p.move(to)
}

// move changes the phase and wakes the waiting calls; p.mu is held.
func (p *Process) move(to phase) {
	if p.phase == to {
		return
	}
	p.phase = to
	close(p.changed)
	p.changed = make(chan struct{})
}

// Retire tells that nobody will serve the worker again, unless somebody calls
// Serve anew: calls that wait for it fail at once, with cause as the reason.
// A supervisor calls it; it does not end a run. It never blocks.
func (p *Process) Retire(cause error) {
	if cause == nil {
		cause = errStopped
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.retired = cause
	}
	if p.phase == restarting || p.phase == unserved {
		p.move(unserved)
	}
}

// Kill ends the worker's process, and its process group, at once. Serve then
// returns. Without a worker it does nothing.
func (p *Process) Kill() {
	p.mu.Lock()
	r := p.current
	p.mu.Unlock()
	if r != nil {
		r.kill(order{cause: KillCalled})
	}
}

// Do sends a call to the worker, see [Caller]. While the worker is starting or
// being restarted the call waits, at most Config.Wait. A worker that dies before
// it begins with the call is waited for in the same way, unless Request.Settled is
// set: then the error, which matches ErrNotStarted, is returned at once.
func (p *Process) Do(ctx context.Context, req *Request) error {
	sent, err := p.do(ctx, req)
	err = p.told(err)
	if !sent {
		req.settle(err) // else it is told when the call is settled
	}
	return err
}

func (p *Process) do(ctx context.Context, req *Request) (sent bool, err error) {
	if p.fault != nil {
		return false, p.fault
	}
	if err := p.cfg.Setup.serves(p.cfg.Name, req.fn); err != nil {
		return false, err
	}
	var waited time.Duration
	var lost error // of a run that died before it began the call
	for {
		r, err := p.await(ctx, req, &waited)
		if _, unavailable := errors.AsType[*UnavailableError](err); unavailable && lost != nil {
			return false, lost
		}
		if err != nil {
			return false, err
		}
		switch sent, err = r.do(ctx, req); {
		case err == errOver:
		case p.sendsAgain(req, err):
			lost = err
		default:
			return sent, err
		}
	}
}

// sendsAgain reports whether a call goes to the next run: it was on its way when
// the worker died, and surely not begun. Who has set Settled stands in front of
// this worker, and may know a better one.
func (p *Process) sendsAgain(req *Request, err error) bool {
	lost, ok := errors.AsType[*NotStartedError](err)
	if !ok || p.cfg.Wait < 0 || req.Settled != nil {
		return false
	}
	_, crashed := errors.AsType[*CrashError](lost.Reason)
	return crashed
}

// await returns the run that is up, waiting for one if need be; waited is how
// long this call has waited already.
func (p *Process) await(ctx context.Context, req *Request, waited *time.Duration) (*run, error) {
	r, changed, gone := p.look(*waited)
	if r != nil || gone != nil {
		return r, orNil(gone)
	}
	begin := time.Now()
	patience := time.NewTimer(p.cfg.Wait - *waited)
	defer patience.Stop()
	for r == nil && gone == nil {
		select {
		case <-changed:
		case <-patience.C:
			*waited += time.Since(begin)
			return nil, p.unavailable("no worker came up in time", *waited)
		case <-ctx.Done():
			return nil, interrupted(ctx, p.cfg.Name, req.fn.name, false)
		}
		r, changed, gone = p.look(*waited + time.Since(begin))
	}
	*waited += time.Since(begin)
	return r, orNil(gone)
}

// look is one glance at the state: a run that takes calls, or an error because
// there will be none, or else a channel that is closed when the state changes.
func (p *Process) look(waited time.Duration) (*run, <-chan struct{}, *UnavailableError) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.phase == up && !p.closed:
		return p.current, nil, nil
	case p.phase == unserved && p.retired == nil:
		return nil, nil, p.reason(nobodyServes(), waited)
	case p.phase == unserved, p.closed:
		return nil, nil, p.reason(fmt.Sprintf("nobody serves it any more: %v", p.retired), waited)
	case p.cfg.Wait < 0:
		return nil, nil, p.reason("it is being started", waited)
	}
	return nil, p.changed, nil
}

func (p *Process) unavailable(why string, waited time.Duration) *UnavailableError {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reason(why, waited)
}

func (p *Process) reason(why string, waited time.Duration) *UnavailableError {
	return &UnavailableError{Worker: p.cfg.Name, Reason: why, Since: p.since, Waited: waited, LastExit: p.lastExit}
}

func orNil(e *UnavailableError) error {
	if e == nil {
		return nil
	}
	return e
}

// Stats is a glance at a worker.
type Stats struct {
	Run       uint64    // which life, from 1 or Config.FirstRun; one less before the first
	PID       int       // 0 while there is none
	Up        bool      // it takes calls
	Since     time.Time // since when it has been up, or down
	InFlight  int       // calls sent and not answered
	Served    uint64    // calls this run has answered
	Stale     uint64    // of them, those that came after their caller had gone
	Transport Transport // how this run's calls travel
	Enforced  Enforced  // what really holds for this run
}

// Stats returns a glance at the worker. It does not wait for anything.
func (p *Process) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Stats{Run: p.runs, Up: p.phase == up, Since: p.since}
	if r := p.current; r != nil {
		s.PID, s.InFlight = r.proc.PID(), r.calls.inFlight()
		s.Served, s.Stale, s.Enforced = r.calls.served.Load(), r.calls.stale.Load(), r.hold.enforced
		s.Transport = Transport(r.by.Load())
		if s.Up {
			s.Since = r.readyAt
		}
	}
	return s
}

// Width is how many calls on their way keep the worker busy: as many as run at once,
// and as many again, sent ahead, unless the time of those is limited already.
// pool.Map asks for it.
func (p *Process) Width() int {
	c := p.cfg
	if p.fault != nil || c.CallTimeout > 0 {
		return max(c.Concurrency, 1)
	}
	return c.Concurrency + min(c.Concurrency, c.Ahead)
}
