package pool

import (
	"context"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// change tells the roster something, and lets everything follow from it. It may
// be called from any goroutine and waits for nothing but the lock.
func (p *Pool) change(tell func(r *roster, now time.Time)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	tell(p.roster, time.Now())
	p.follow()
}

// follow does what follows from a change of the roster; p.mu is held.
func (p *Pool) follow() {
	r := p.roster
	if dark := r.seated == 0; dark != p.dark {
		p.dark, p.down = dark, time.Now()
	}
	if len(r.seats) != p.seats || r.seated != p.up || p.condition == Draining && r.busy+r.waiting == 0 {
		p.watch(time.Now())
	}
	if p.ready != nil && r.count(isReady) >= min(p.cfg.MinReady, r.size) {
		p.ready()
		p.ready, p.begun = nil, true
		p.review(time.Now())
	}
	for _, s := range r.orders.start {
		if s.worker == nil {
			s.worker = &worker{pool: p, slot: s, proc: child.New(p.cfg.worker(s.n, p.setup, p.book.slot(s.n).runs+1, p.id))}
		}
	}
	if len(r.orders.start)+len(r.orders.stop) > 0 {
		p.rouse()
	}
	if p.rollout != nil && r.settled() {
		p.rollout = nil
	}
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// keep carries out what the roster wants, and tells it that time passes.
func (p *Pool) keep(ctx context.Context) {
	var tick <-chan time.Time
	if every := p.cfg.tick(); every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		tick = t.C
	}
	alarm := time.NewTimer(p.idle())
	defer alarm.Stop()
	for {
		p.carryOut(ctx)
		alarm.Reset(p.idle())
		select {
		case <-p.wake:
		case <-alarm.C:
			p.change(func(_ *roster, now time.Time) { p.review(now) })
		case <-tick:
			p.tick()
		case <-ctx.Done():
			return
		}
	}
}

// carryOut starts and stops workers. None is waited for.
func (p *Pool) carryOut(ctx context.Context) {
	p.mu.Lock()
	o := p.roster.takeOrders()
	p.mu.Unlock()
	for _, s := range o.stop {
		s.worker.dismiss()
	}
	for _, s := range o.start {
		if _, err := p.sup.StartService(ctx, s.worker); err != nil {
			return // the supervisor is ending already
		}
	}
}

// tick looks at what changes by itself: the age and the memory of workers, and what
// is in quarantine.
func (p *Pool) tick() {
	p.warden.tick()
	heavy := p.heavy()
	p.change(func(r *roster, now time.Time) {
		for _, s := range heavy {
			r.wear(s, ReasonMemory, now)
		}
		r.tick(now)
	})
}

// heavy lists the slots whose workers are over MaxMemory. A worker that has had
// no call yet is as it has to be.
func (p *Pool) heavy() (slots []*slot) {
	if p.cfg.MaxMemory == 0 {
		return nil
	}
	p.mu.Lock()
	for _, s := range p.roster.slots {
		if s.stage == ready && s.given > 0 {
			slots = append(slots, s)
		}
	}
	p.mu.Unlock()
	over := slots[:0]
	for _, s := range slots {
		if s.worker.memory() > p.cfg.MaxMemory {
			over = append(over, s)
		}
	}
	return over
}

// memory is the resident size of the worker's process, in bytes; 0 if it has none.
func (w *worker) memory() int64 { return resident(int(w.pid.Load())) }

// await waits until what is asked for is true of the roster, and looks again
// whenever that changes. It gives up when ctx ends, or nobody serves the pool.
func (p *Pool) await(ctx context.Context, fact func(*roster) bool) error {
	for {
		p.mu.Lock()
		if fact(p.roster) {
			p.mu.Unlock()
			return nil
		}
		if err := p.refuse(0); err != nil {
			p.mu.Unlock()
			return err
		}
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
