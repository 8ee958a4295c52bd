package pool

import (
	"cmp"
	"slices"
	"time"
)

// Choose says which worker takes a call.
type Choose uint8

const (
	// LeastLoaded gives a call to the worker with the fewest calls, the first of
	// them if several have as few.
	LeastLoaded Choose = iota
	// RoundRobin gives calls to one worker after the other, leaving out those that
	// have no room.
	RoundRobin
	// ByKey gives calls with the same key ([child.WithKey]) to the same worker, as
	// long as that lives, also if others are idle meanwhile. Calls without a key go
	// to the least loaded worker.
	ByKey
)

// String returns the name of the rule.
func (c Choose) String() string {
	switch c {
	case LeastLoaded:
		return "least loaded"
	case RoundRobin:
		return "round robin"
	case ByKey:
		return "by key"
	}
	return "invalid"
}

// pick finds a seat with room for a call; nil: there is none.
func (r *roster) pick(c *claim) *seat {
	switch {
	case c.keyed:
		if st := r.home(c.hash); st != nil && r.room(st, r.capacity(c)) {
			return st
		}
		return nil
	case r.choose == RoundRobin:
		if st := r.rotate(r.concurrency); st != nil {
			return st
		}
		return r.rotate(r.capacity(c))
	}
	return r.leastLoaded(r.capacity(c))
}

// capacity is how many calls a worker may get. One that must not wait is not sent
// ahead.
func (r *roster) capacity(c *claim) int {
	if c.inside {
		return r.concurrency
	}
	return r.concurrency + r.ahead
}

// room reports whether the worker in a seat may get one more call, when it may
// have so many.
func (r *roster) room(st *seat, capacity int) bool {
	s := st.slot
	return s != nil && s.load < capacity && (!r.once || s.given == 0)
}

func (r *roster) leastLoaded(capacity int) (best *seat) {
	for _, st := range r.seats {
		if r.room(st, capacity) && (best == nil || st.slot.load < best.slot.load) {
			best = st
			if st.slot.load == 0 {
				break
			}
		}
	}
	return best
}

func (r *roster) rotate(capacity int) *seat {
	for i := range r.seats {
		n := (r.next + i) % len(r.seats)
		if st := r.seats[n]; r.room(st, capacity) {
			r.next = n + 1
			return st
		}
	}
	return nil
}

// home is the seat a key belongs to: of those with a worker the one with the highest
// score (rendezvous hashing). So when a seat is lost only its own keys move, each to
// where it scores next, and when one is won only those that score highest there.
func (r *roster) home(key uint64) (best *seat) {
	var top uint64
	for _, st := range r.seats {
		if st.slot == nil {
			continue
		}
		if score := mix(key, st.n); best == nil || score > top {
			best, top = st, score
		}
	}
	return best
}

// mix is the finaliser of SplitMix64 over both numbers.
func mix(key, seat uint64) uint64 {
	x := key ^ seat*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// give gives a call the place that was picked for it.
func (r *roster) give(st *seat) place {
	s := st.slot
	s.load++
	s.given++
	r.busy++
	r.note()
	if s.due() {
		r.arrange()
	}
	return place{slot: s, life: s.life}
}

// lineOf is where a call waits: at the home of its key, else with all others.
func (r *roster) lineOf(c *claim) *line {
	if c.keyed {
		if st := r.home(c.hash); st != nil {
			return &st.line
		}
	}
	return &r.common
}

// hand gives places to those who wait and can have one, the oldest first. Those
// whose time is up get none.
func (r *roster) hand(now time.Time) {
	for !r.paused && r.waiting > 0 {
		w, st := r.oldest()
		switch {
		case w == nil:
			return
		case w.dead(now):
			r.settle(w, verdict{end: expired})
		default:
			at := r.give(st)
			r.began(&at, now.Sub(w.since), now)
			r.settle(w, verdict{place: at})
		}
	}
}

// oldest is who has waited longest of those for whom there is room, and where.
func (r *roster) oldest() (w *waiter, at *seat) {
	free := r.pick(&claim{})
	if free == nil {
		return nil, nil
	}
	w, at = r.common.first(), free
	for _, st := range r.seats {
		if first := st.line.first(); first != nil && (w == nil || first.turn < w.turn) && r.room(st, r.concurrency+r.ahead) {
			w, at = first, st
		}
	}
	return w, at
}

func (r *roster) settle(w *waiter, v verdict) {
	r.dequeue(w)
	w.got <- v
}

func (r *roster) dequeue(w *waiter) {
	w.leave()
	r.waiting--
	if w.patient {
		r.patient--
	}
}

// rehome lets calls with keys go to a seat that has got a worker, if it is the
// home of their key now.
func (r *roster) rehome(to *seat) {
	if r.choose != ByKey {
		return
	}
	var moving []*waiter
	for _, w := range r.common.all() {
		if w.keyed { // there was no seat with a worker
			moving = append(moving, w)
		}
	}
	for _, st := range r.seats {
		for _, w := range st.line.all() {
			if mix(w.hash, to.n) > mix(w.hash, st.n) {
				moving = append(moving, w)
			}
		}
	}
	r.move(moving)
}

// unhome sends the calls of a seat that has lost its worker to their next home.
func (r *roster) unhome(from *seat) { r.move(from.line.all()) }

func (r *roster) move(moving []*waiter) {
	slices.SortFunc(moving, func(a, b *waiter) int { return cmp.Compare(a.turn, b.turn) })
	for _, w := range moving {
		w.leave()
		r.lineOf(&w.claim).join(w)
	}
}

// lines lists where calls wait.
func (r *roster) lines() []*line {
	all := []*line{&r.common}
	for _, st := range r.seats {
		if st.line.Len() > 0 {
			all = append(all, &st.line)
		}
	}
	return all
}
