package pool

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/strategy"
	"github.com/verdigris-go/verdigris/tree"
)

// Pool is many workers behind one Caller. [New] makes one; it runs as long as
// somebody serves it. All methods may be called from any goroutine.
type Pool struct {
	cfg     Config
	fault   error // what is wrong with cfg
	sup     *tree.Supervisor
	id      string        // among all pools, see child.Via
	seed    maphash.Seed  // of the keys
	wake    chan struct{} // the roster has left orders
	events  *teller
	warden  *warden  // nil: there is no quarantine
	retries *retries // nil: there are none

	tally tally // of calls

	mu      sync.Mutex // guards what follows
	roster  *roster
	setup   child.Setup // of the workers that are started from now on
	rollout *rollout    // the Replace that goes on
	book    *book
	health
	draining bool          // no more calls are let in
	ready    func()        // what to call when MinReady workers are up; nil when it has been called
	dark     bool          // no seat has a worker
	down     time.Time     // since when
	changed  chan struct{} // closed at the next change; nil: nobody wants to know
	lastExit error         // how a worker ended last
	served   bool          // somebody serves the pool, or has promised to do so again
	retired  error         // why nobody serves it any more; nil if nobody ever did
}

var errStopped = errors.New("it was stopped")

// New makes a pool that is not running yet: put it under a supervisor, or call
// Serve. What is wrong with cfg, Serve and every call return. A call before it is
// served fails at once; docs/pools.md has a program that waits until it is ready.
func New(cfg Config) *Pool {
	p := &Pool{id: newID(), seed: maphash.MakeSeed(), wake: make(chan struct{}, 1), book: newBook()}
	p.condition = Stopped
	p.cfg, p.fault = cfg.withDefaults()
	if p.fault != nil {
		return p
	}
	p.events = newTeller(&p.cfg)
	p.warden, p.retries = newWarden(&p.cfg, p.seed, p.events), newRetries(p.cfg.Retry)
	p.setup = p.cfg.Worker.Setup
	p.roster, p.seats, p.short = newRoster(p.cfg.rules(), p.cfg.Size), p.cfg.Size, time.Now()
	p.follow()
	p.sup, p.fault = tree.New(tree.Spec{
		Intensity: p.cfg.Intensity,
		Dynamic: &tree.Dynamic{Template: tree.Child{
			ID: p.cfg.Worker.Name, Backoff: p.cfg.Backoff, Type: tree.TypeWorker,
			Restart:  strategy.Transient,                                  // dismissed workers end normally
			Shutdown: tree.After(p.cfg.Worker.Stop.Limit() + time.Second), // the worker's own ladder comes first
		}},
	})
	return p
}

// Serve runs the pool until ctx ends, or until its workers die too often: then
// it returns a *tree.IntensityError. Calls that wait are told when it ends.
func (p *Pool) Serve(ctx context.Context) error {
	err := p.ServeReady(ctx, func() {})
	cause := err
	if cause == nil {
		cause = errStopped
	}
	p.Retire(cause)
	return err
}

// ServeReady is Serve for a supervisor that wants to know when the pool is
// ready, and that tells the end of its service by Retire.
func (p *Pool) ServeReady(ctx context.Context, ready func()) (err error) {
	if p.fault != nil {
		return p.fault
	}
	p.begin(ready)
	defer p.events.wait(toldWithin)
	defer func() { p.finish(err) }()
	var keeping sync.WaitGroup
	defer keeping.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return p.sup.ServeReady(ctx, func() {
		keeping.Go(func() { p.keep(ctx) }) // not here: the supervisor waits for this function
	})
}

// toldWithin is how long the end of a pool waits for its last events to be handled.
const toldWithin = 200 * time.Millisecond

func (p *Pool) begin(ready func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready, p.served, p.retired, p.dark, p.down = ready, true, nil, true, time.Now()
	p.serving, p.begun = true, false
	if !p.short.IsZero() {
		p.short = p.down // before, nobody could expect workers
	}
	p.review(p.down)
	p.follow()
}

// finish makes new slots, for the next life of the pool.
func (p *Pool) finish(err error) {
	p.change(func(r *roster, now time.Time) {
		p.serving, p.ended, p.ready = false, or(err, errStopped), nil
		r.reset()
		p.review(now)
	})
}

// Kill ends all workers at once.
func (p *Pool) Kill() {
	if p.sup != nil {
		p.sup.Kill()
	}
}

// StopLimit is the most that an orderly stop may take: the workers stop at the same
// time.
func (p *Pool) StopLimit() time.Duration {
	if p.sup == nil {
		return 0
	}
	return p.sup.StopLimit()
}

// Retire tells that nobody will serve the pool again, unless somebody calls
// Serve anew: calls that wait fail at once, with cause as the reason.
func (p *Pool) Retire(cause error) {
	if cause == nil {
		cause = errStopped
	}
	if p.fault != nil {
		return
	}
	p.sup.Retire(cause)
	p.change(func(r *roster, _ time.Time) {
		p.served, p.retired = false, cause
		r.dismiss()
	})
}

// String returns the name, for logs.
func (p *Pool) String() string { return "pool " + p.cfg.Name }
