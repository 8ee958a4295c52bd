package pool

import (
	"context"
	"fmt"
	"time"
)

// Resize changes the number of workers, 1 to 4096 and at most [Config.Max] if that
// is set, and waits until there are so many: the new ones are ready, those that are
// not needed have ended their calls and are gone. When ctx ends only the waiting
// does, and its cause is returned. The size also holds for the next time that the
// pool is served; one that nobody serves takes it and returns nil. No call fails by
// it.
func (p *Pool) Resize(ctx context.Context, n int) error {
	if p.fault != nil {
		return p.fault
	}
	limit := n
	if p.cfg.Max > 0 {
		limit = p.cfg.Max
	}
	if n < 1 || n > min(limit, maxSize) {
		return fmt.Errorf("pool: Resize of %q to %d: it is not in 1..%d", p.cfg.Name, n, min(max(limit, 1), maxSize))
	}
	served := false
	p.change(func(r *roster, now time.Time) {
		served = p.served
		r.resize(n, limit, now)
	})
	if !served {
		return nil
	}
	return p.await(ctx, (*roster).settled)
}

// Width is how many calls on their way keep all workers busy: as many as can run at
// once and be sent ahead, when the pool is as large as it may grow, and as many
// again as wait, so that none idles until the next is sent. [Map] asks for it.
func (p *Pool) Width() int {
	if p.fault != nil {
		return 1
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.roster.max * (2*p.cfg.Worker.Concurrency + p.cfg.Ahead)
}
