package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// ErrReplacing is returned by Replace while another Replace goes on.
var ErrReplacing = errors.New("pool: its workers are being replaced already")

// rollout is a replacement of all workers that goes on.
type rollout struct {
	from   int         // the generation that is replaced
	setup  child.Setup // what that one opens
	failed error       // why it goes back to that one
}

// Replace replaces all workers by new processes, a few at a time ([Config.Surge]),
// and returns when the old ones are gone. Each new one is ready before an old one
// goes, which ends its calls first; so no call fails by it. With NoSurge and no
// Spares an old one goes first, and calls have one worker less meanwhile. If
// Worker.Exe names another file by now, that is run.
//
// When a new worker cannot be started, the pool goes back to the old ones: those
// that still live stay, the others are started again, and the [*child.StartError] is
// returned. Such a start does not count against [Config.Intensity]. When ctx ends
// only the waiting does, and its cause is returned. There is one Replace at a time,
// another one returns [ErrReplacing].
func (p *Pool) Replace(ctx context.Context) error {
	return p.replace(ctx, func(old child.Setup) child.Setup { return old })
}

// ReplaceWith is [Pool.Replace] by workers that open another state, or the same one
// with another configuration. When it has succeeded, all workers to come do. While
// it goes on, calls meet workers of both kinds.
func (p *Pool) ReplaceWith(ctx context.Context, setup child.Setup) error {
	return p.replace(ctx, func(child.Setup) child.Setup { return setup })
}

func (p *Pool) replace(ctx context.Context, setup func(old child.Setup) child.Setup) error {
	if p.fault != nil {
		return p.fault
	}
	var mine *rollout
	p.change(func(r *roster, now time.Time) {
		if p.rollout != nil {
			return
		}
		mine = &rollout{from: r.gen, setup: p.setup}
		p.rollout, p.setup = mine, setup(p.setup)
		r.renew(now)
		if !p.served {
			r.reset()
			p.rollout = nil
		}
	})
	if mine == nil {
		return fmt.Errorf("%w: %q", ErrReplacing, p.cfg.Name)
	}
	err := p.await(ctx, func(*roster) bool { return p.rollout != mine })
	p.mu.Lock()
	defer p.mu.Unlock()
	if mine.failed != nil {
		return mine.failed
	}
	return err
}

// turnBack gives up the rollout that goes on, if this worker is one of its new ones and
// has failed to start; p.mu is held.
func (p *Pool) turnBack(s *slot, err error, now time.Time) {
	_, unable := errors.AsType[*child.StartError](err)
	if o := p.rollout; unable && o != nil && o.failed == nil && s.gen == p.roster.gen && s.life == 0 {
		o.failed, p.setup = err, o.setup
		p.roster.revert(o.from, now)
	}
}

// Pause keeps calls in the queue until [Pool.Resume]: those that workers have run
// on, others wait there as if all workers were busy, with the same limits. It does
// not wait.
func (p *Pool) Pause() { p.open(false, false) }

// Resume ends Pause and Drain.
func (p *Pool) Resume() { p.open(true, false) }

// Drain lets no more calls in: they fail with a [*child.UnavailableError]. It
// returns when all that came before have ended, those in the queue too; or, when ctx
// ends, its cause. The workers stay, and so does the refusal, until [Pool.Resume].
func (p *Pool) Drain(ctx context.Context) error {
	p.open(true, true)
	if p.fault != nil {
		return p.fault
	}
	return p.await(ctx, func(r *roster) bool { return r.busy+r.waiting == 0 })
}

func (p *Pool) open(running, draining bool) {
	if p.fault != nil {
		return
	}
	p.change(func(r *roster, now time.Time) {
		p.draining = draining
		r.pause(!running, now)
		p.review(now)
	})
}
