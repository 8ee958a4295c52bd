package pool

import (
	"slices"
	"time"
)

// arrange makes the slots what they should be: every seat taken, workers that
// are due replaced, nobody kept who is not needed, as many started as may be.
func (r *roster) arrange() {
	r.dropUsed()
	r.fillSeats()
	r.relieve()
	r.trim()
	r.hire()
	r.dismissIdle()
}

// dropUsed lets those go that may have only one call and have had it.
func (r *roster) dropUsed() {
	if !r.once {
		return
	}
	for _, s := range r.slots {
		if s.stage == ready && s.given > 0 && s.load == 0 {
			r.retire(s)
		}
	}
}

// fillSeats sets spares on vacant seats, fresh ones first.
func (r *roster) fillSeats() {
	for _, st := range r.seats {
		if st.slot != nil {
			continue
		}
		s := r.fresh()
		if s == nil {
			s = r.find(isSpare)
		}
		if s == nil {
			return
		}
		r.sit(s, st)
	}
}

// relieve replaces seated workers that are due by fresh spares. Without a process
// more than there are seats and spares, and without spares, a worker has to go
// first.
func (r *roster) relieve() {
	for _, st := range r.seats {
		s := st.slot
		if s == nil || !s.due() || !r.between(s) {
			continue
		}
		next := r.fresh()
		switch {
		case next != nil: // its line stays, and need not move twice
			s.seat = nil
			s.leave()
			st.slot, next.seat = next, st
		case r.spares == 0 && r.extra() == 0 && r.complete():
			r.retire(s)
		}
	}
}

// between reports whether a worker may be replaced now: between two calls, or,
// if it may have several at once, at any time; it then ends the last ones apart.
func (r *roster) between(s *slot) bool {
	return s.load == 0 || !r.once && r.concurrency+r.ahead > 1
}

// complete reports whether no seat is vacant.
func (r *roster) complete() bool { return r.seated == len(r.seats) }

// settled reports whether everything is as it should be.
func (r *roster) settled() bool {
	return r.complete() && r.find(func(s *slot) bool { return s.stage == leaving || s.old }) == nil
}

// trim lets those go that nobody needs: spares that are due, and what has no seat
// beyond the spares and those that are to relieve somebody. Starting ones go first.
func (r *roster) trim() {
	for _, s := range slices.Clone(r.slots) {
		if s.seat == nil && s.stage != leaving && (s.old || s.stage == ready && s.due()) {
			r.retire(s)
		}
	}
	surplus := r.count(isLiving) - r.wanted()
	for _, of := range []func(*slot) bool{isStarting, isSpare} {
		for _, s := range slices.Backward(slices.Clone(r.slots)) {
			if surplus > 0 && of(s) {
				r.retire(s)
				surplus--
			}
		}
	}
}

// wanted is how many workers there should be, without those that are leaving.
func (r *roster) wanted() int {
	due := r.count(func(s *slot) bool { return s.seat != nil && s.due() })
	return len(r.seats) + r.spares + min(due, r.extra())
}

// extra is how many processes there may be beyond seats and spares.
func (r *roster) extra() int {
	if r.surge == quarter {
		return (len(r.seats) + 3) / 4
	}
	return r.surge
}

// hire starts workers, as many as are missing and no more than there may be
// processes: those that are leaving count until they are gone.
func (r *roster) hire() {
	missing := r.wanted() - r.count(isLiving)
	allowed := len(r.seats) + r.spares + r.extra() - len(r.slots)
	for range min(missing, allowed) {
		i := r.gap()
		s := &slot{n: i + 1, gen: r.gen, limits: limits{calls: unlimited}}
		r.slots = slices.Insert(r.slots, i, s)
		r.orders.start = append(r.orders.start, s)
	}
}

// gap is where the first number that no slot has belongs among the slots.
func (r *roster) gap() int {
	for i, s := range r.slots {
		if s.n != i+1 {
			return i
		}
	}
	return len(r.slots)
}

// dismissIdle has those stopped that are leaving and have no calls left.
func (r *roster) dismissIdle() {
	for _, s := range r.slots {
		if s.stage == leaving && s.load == 0 && !s.stop {
			s.stop = true
			r.orders.stop = append(r.orders.stop, s)
		}
	}
}

// retire takes a slot out of service. One whose start has not been carried out
// yet is just forgotten.
func (r *roster) retire(s *slot) {
	r.vacate(s)
	if slices.Contains(r.orders.start, s) {
		r.remove(s)
		return
	}
	s.leave()
}

func (r *roster) sit(s *slot, st *seat) {
	s.seat, st.slot = st, s
	r.seated++
	r.rehome(st)
}

func (r *roster) vacate(s *slot) {
	st := s.seat
	if st == nil {
		return
	}
	s.seat, st.slot = nil, nil
	r.seated--
	r.unhome(st)
}

// fresh is a spare that is not due.
func (r *roster) fresh() *slot {
	return r.find(func(s *slot) bool { return isSpare(s) && !s.due() })
}

func (r *roster) find(of func(*slot) bool) *slot {
	if i := slices.IndexFunc(r.slots, of); i >= 0 {
		return r.slots[i]
	}
	return nil
}

// setSeats makes it n seats. The last ones go first, so that few keys move.
func (r *roster) setSeats(n int) {
	for len(r.seats) < n {
		r.seats = append(r.seats, &seat{n: uint64(len(r.seats)) + 1})
	}
	for len(r.seats) > n {
		st := r.seats[len(r.seats)-1]
		r.seats = r.seats[:len(r.seats)-1]
		if st.slot != nil {
			r.vacate(st.slot)
		} else {
			r.unhome(st)
		}
	}
}

// demand is how many seats all calls together need.
func (r *roster) demand() int {
	return (r.busy + r.waiting + r.concurrency - 1) / r.concurrency
}

// note remembers the highest demand of this window.
func (r *roster) note() { r.peak = max(r.peak, r.demand()) }

// grow adds seats, up to the maximum, when more calls wait than there are seats for.
func (r *roster) grow() {
	r.note()
	if n := min(r.demand(), r.max); n > len(r.seats) && !r.paused {
		r.setSeats(n)
		r.arrange()
	}
}

// shrink gives up the seats that were not needed for a whole window.
func (r *roster) shrink(now time.Time) {
	if len(r.seats) <= r.size || now.Sub(r.window) < r.idle {
		return
	}
	if n := max(r.size, min(r.peak, len(r.seats))); n < len(r.seats) && !r.window.IsZero() {
		r.setSeats(n)
		r.arrange()
	}
	r.window, r.peak = now, r.demand()
}
