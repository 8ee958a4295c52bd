package pool

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/tree"
)

// Pool is many workers behind one Caller. [New] makes one; it runs as long as
// somebody serves it. All methods may be called from any goroutine.
type Pool struct {
	cfg   Config
	fault error // what is wrong with cfg
	sup   *tree.Supervisor
	slots []*slot

	mu       sync.Mutex
	ready    func()    // what to call when MinReady workers are up; nil when it has been called
	up       int       // workers that are ready
	down     time.Time // since when there has been none
	queue    list.List // of *waiter, the oldest first
	busy     int       // calls given to workers and not settled
	lastExit error     // how a worker ended last
	served   bool      // somebody serves the pool, or has promised to do so again
	retired  error     // why nobody serves it any more; nil if nobody ever did
}

var errStopped = errors.New("it was stopped")

// New makes a pool that is not running yet: put it under a supervisor, or call
// Serve. What is wrong with cfg, Serve and every call return.
func New(cfg Config) *Pool {
	p := &Pool{}
	p.cfg, p.fault = cfg.withDefaults()
	if p.fault != nil {
		return p
	}
	for n := range p.cfg.Size {
		p.slots = append(p.slots, &slot{pool: p, proc: child.New(p.cfg.worker(n + 1))})
	}
	p.sup, p.fault = tree.New(tree.Spec{
		Intensity: p.cfg.Intensity,
		Dynamic: &tree.Dynamic{Template: tree.Child{
			ID: p.cfg.Worker.Name, Backoff: p.cfg.Backoff, Type: tree.TypeWorker,
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
func (p *Pool) ServeReady(ctx context.Context, ready func()) error {
	if p.fault != nil {
		return p.fault
	}
	p.begin(ready)
	var filling sync.WaitGroup
	defer filling.Wait()
	return p.sup.ServeReady(ctx, func() {
		filling.Go(func() { p.fill(ctx) }) // not here: the supervisor waits for this function
	})
}

func (p *Pool) begin(ready func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready, p.served, p.retired, p.down = ready, true, nil, time.Now()
}

// fill starts the workers. None is waited for.
func (p *Pool) fill(ctx context.Context) {
	for _, s := range p.slots {
		if _, err := p.sup.StartService(ctx, s); err != nil {
			return // the supervisor is ending already
		}
	}
}

// Kill ends all workers at once.
func (p *Pool) Kill() {
	if p.sup != nil {
		p.sup.Kill()
	}
}

// StopLimit is the most that an orderly stop may take: the workers stop at the same time.
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
	if p.sup != nil {
		p.sup.Retire(cause)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.served, p.retired = false, cause
	p.failAll()
}

// String returns the name, for logs.
func (p *Pool) String() string { return "pool " + p.cfg.Name }

// Stats is a glance at a pool.
type Stats struct {
	Size   int // workers there should be
	Up     int // workers that are ready
	Busy   int // calls given to workers and not answered
	Queued int // calls that wait for a worker
	// Workers are the workers, one by one.
	Workers []child.Stats
}

// Stats returns a glance at the pool. It does not wait for anything.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	s := Stats{Size: p.cfg.Size, Up: p.up, Busy: p.busy, Queued: p.queue.Len()}
	p.mu.Unlock()
	for _, slot := range p.slots {
		s.Workers = append(s.Workers, slot.proc.Stats())
	}
	return s
}
