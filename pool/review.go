package pool

import "time"

// health is what a pool's condition rests on beside its roster and its book.
type health struct {
	condition Condition     // that was told last
	again     time.Duration // when to look at it again; 0: when something happens
	serving   bool          // Serve is running
	begun     bool          // MinReady workers have been up in this service
	ended     error         // how the last service ended; nil: there was none
	seats, up int           // how many there were at last
	short     time.Time     // since when there are fewer workers than there should be; zero: there are not
	refusal   error         // of the last call that was refused for want of room
	refused   time.Time     // when
}

// review tells when the pool's condition has changed; p.mu is held.
func (p *Pool) review(now time.Time) {
	is, because, again := judge(p.facts(now), p.condition)
	if is != p.condition {
		e := EventCondition{Head: p.events.head(now), From: p.condition, To: is, Because: because}
		if is == Stopped {
			e.Err = p.ended
		}
		p.condition = is
		p.events.tell(e)
	}
	if p.again = again; again > 0 {
		p.rouse()
	}
}

// facts are what the condition rests on at present; p.mu is held.
func (p *Pool) facts(now time.Time) facts {
	r, b := p.roster, p.book
	f := facts{
		serving: p.serving, ended: p.ended, begun: p.begun, paused: r.paused, draining: p.draining,
		running: r.busy, queued: r.waiting, seats: len(r.seats), up: r.seated,
		deaths: b.recent.sum(b.second(now)), flapLimit: flapLimit(len(r.seats) + r.spares), lastDeath: b.lastBad,
		refusal: p.refusal, calm: now.Sub(p.refused),
	}
	if !p.short.IsZero() {
		f.short = max(now.Sub(p.short), 1)
	}
	return f
}

// watch notes how many workers there are; p.mu is held.
func (p *Pool) watch(now time.Time) {
	r := p.roster
	if n := len(r.seats); n != p.seats {
		p.events.tell(EventResized{p.events.head(now), p.seats, n})
		p.seats = n
	}
	p.up = r.seated
	switch {
	case r.complete():
		p.short = time.Time{}
	case p.short.IsZero():
		p.short = now
	}
	p.review(now)
}

// reject notes that a call is refused for want of room, and returns why; p.mu is held.
func (p *Pool) reject(err error) error {
	now := time.Now()
	p.refusal, p.refused = err, now
	if p.condition != Rejecting {
		p.review(now)
	}
	return err
}

// rouse has the keeper look at the roster, and at the time.
func (p *Pool) rouse() {
	select {
	case p.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// idle is how long the keeper may sleep if nothing happens.
func (p *Pool) idle() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.again == 0 {
		return time.Hour
	}
	return p.again
}
