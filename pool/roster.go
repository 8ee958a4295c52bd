package pool

import (
	"math"
	"slices"
	"time"
)

// roster decides which worker takes a call and which workers there should be.
// It is pure: no goroutine, clock or I/O. It is told what has happened, changes
// its mind at once, and leaves in its orders what is to be done.
//
// A slot is the place of one worker process. A seat is one of the Size places
// at work: calls go only to workers that sit in one. A ready worker without a
// seat is a spare, and takes the first seat that falls vacant. So a crash, a
// recycling, a growth and a rolling replacement are the same thing: somebody
// leaves a seat, and somebody else sits down in it.
type roster struct {
	rules
	slots  []*slot // all that have not gone, by number
	seats  []*seat
	common line // of the calls that may go to any worker

	size    int // seats there should be at least
	seated  int // seats with a worker
	busy    int // calls given to workers and not settled
	waiting int // calls in all lines
	patient int // those of them that do not count for the queue's limit
	turns   uint64
	next    int // the seat that RoundRobin tries first
	paused  bool
	gen     int    // of the workers that are started now
	gens    int    // that there have been
	ended   uint64 // slots that have gone because they were recycled or not needed
	peak    int    // seats needed at most since this window began
	window  time.Time
	times   times // of all calls
	orders  orders
}

// rules is what the roster has been configured with. All numbers are final: 0 is 0.
type rules struct {
	choose      Choose
	concurrency int           // calls that run at once in a worker
	ahead       int           // calls sent to it beyond those
	max         int           // seats at most
	idle        time.Duration // until a seat beyond size is given up
	spares      int
	surge       int           // processes beyond seats and spares; quarter: a quarter of the seats
	once        bool          // a worker gets one call and no more
	limits      func() limits // for the next worker: each may have limits of its own
}

const quarter = -1

// limits of one life of a worker, after which it is to be replaced.
type limits struct {
	calls int           // MaxInt: none
	age   time.Duration // 0: none
}

// orders are what the roster wants done, in any order.
type orders struct {
	start []*slot
	stop  []*slot
}

type stage uint8

const (
	starting stage = iota // a worker is being started in the slot, or restarted
	ready                 // a worker is ready in it; it has a seat or is a spare
	leaving               // it gets no more calls, and is stopped after the last
	gone                  // it is not in the roster any more
)

// slot is the place of one worker process.
type slot struct {
	n       int // from 1; no two at the same time have the same
	stage   stage
	seat    *seat // nil: none
	life    uint64
	load    int // calls given to it and not settled, those of callers that have left included
	given   int // calls given to this life
	since   time.Time
	limits  limits
	worn    Reason // why this life is to be replaced; NoReason: it is not
	gen     int
	old     bool   // all its lives are: it is not of the generation that is wanted
	stop    bool   // its stop has been ordered
	parting Reason // why it is leaving
	times   times  // of its calls
	worker  *worker
}

// due reports whether the worker is to be replaced.
func (s *slot) due() bool { return s.reason() != NoReason }

// reason is why the worker is to be replaced.
func (s *slot) reason() Reason {
	switch {
	case s.old:
		return ReasonReplaced
	case s.worn != NoReason:
		return s.worn
	case s.given >= s.limits.calls:
		return ReasonCalls
	}
	return NoReason
}

// leave lets the worker end its last calls, and then end.
func (s *slot) leave() { s.stage, s.parting = leaving, or(s.reason(), ReasonSurplus) }

// seat is a place at work. Its number and its line stay when the worker changes.
type seat struct {
	n    uint64
	slot *slot // ready; nil: vacant
	line line  // of the calls whose key belongs here
}

// place is a worker's place that was given to one call: the slot, and the life
// of the worker in it.
type place struct {
	slot  *slot
	life  uint64
	since time.Time // when it was given
}

func newRoster(r rules, size int) *roster {
	t := &roster{rules: r, size: size}
	t.setSeats(size)
	t.arrange()
	return t
}

// take gives a call a place at once, if there is one.
func (r *roster) take(c *claim) (place, bool) {
	if r.paused {
		return place{}, false
	}
	st := r.pick(c)
	if st == nil {
		return place{}, false
	}
	return r.give(st), true
}

// enqueue lets a call wait. One that has waited before keeps its turn, and one
// that had a place without waiting comes first.
func (r *roster) enqueue(w *waiter, again bool, now time.Time) {
	if w.since.IsZero() {
		w.since = now
		if !again {
			r.turns++
			w.turn = r.turns
		}
	}
	r.waiting++
	if w.patient {
		r.patient++
	}
	r.lineOf(&w.claim).join(w)
	r.grow()
	r.hand(now) // a spare may have got a new seat
}

// withdraw takes a waiter out, and reports false if it has its verdict already.
func (r *roster) withdraw(w *waiter) bool {
	if w.line == nil {
		return false
	}
	r.dequeue(w)
	return true
}

// released notes that a call of this slot is settled.
func (r *roster) released(s *slot, now time.Time) {
	s.load--
	r.busy--
	if s.stage == leaving || s.due() {
		r.arrange()
	}
	r.hand(now)
}

// cameUp notes that a worker is ready in the slot. What calls are still
// outstanding from its former life may yet be sent to this one.
func (r *roster) cameUp(s *slot, now time.Time) {
	if s.stage != starting {
		return
	}
	s.stage, s.since, s.limits = ready, now, r.limits()
	s.life++
	s.given, s.worn = s.load, NoReason
	r.arrange()
	r.hand(now)
}

// wentDown notes that the worker of a slot is dead and will be restarted.
func (r *roster) wentDown(s *slot, now time.Time) {
	if s.stage != ready {
		return
	}
	s.stage = starting
	r.vacate(s)
	r.arrange()
	r.hand(now)
}

// left notes that a slot that was to be stopped has no worker any more.
func (r *roster) left(s *slot, now time.Time) {
	if s.stage == gone {
		return
	}
	r.remove(s)
	r.ended++
	r.arrange()
	r.hand(now)
}

// wear notes that the worker should be replaced.
func (r *roster) wear(s *slot, why Reason, now time.Time) {
	if s.stage != ready || s.worn != NoReason {
		return
	}
	s.worn = why
	r.arrange()
	r.hand(now)
}

// renew begins a new generation: all present workers are to be replaced.
func (r *roster) renew(now time.Time) {
	r.gens++
	r.revert(r.gens, now)
}

// revert makes another generation the one that is wanted.
func (r *roster) revert(gen int, now time.Time) {
	r.gen = gen
	for _, s := range r.slots {
		s.old = s.gen != gen
	}
	r.arrange()
	r.hand(now)
}

// resize changes the number of seats; limit is how many there may be.
func (r *roster) resize(size, limit int, now time.Time) {
	r.size, r.max = size, limit
	r.setSeats(size)
	r.window, r.peak = now, r.demand()
	r.arrange()
	r.hand(now)
}

// pause lets no call get a place until it is told otherwise.
func (r *roster) pause(on bool, now time.Time) {
	r.paused = on
	r.grow()
	r.hand(now)
}

// tick notes that time has passed.
func (r *roster) tick(now time.Time) {
	for _, s := range slices.Clone(r.slots) {
		if age := s.limits.age; age > 0 && now.Sub(s.since) >= age {
			r.wear(s, ReasonAge, now)
		}
	}
	r.shrink(now)
}

// reset forgets all slots: they belong to a life of the pool that is over. The
// calls that wait go on waiting.
func (r *roster) reset() {
	for len(r.slots) > 0 {
		s := r.slots[0]
		r.vacate(s)
		r.remove(s)
	}
	r.orders = orders{}
	r.setSeats(r.size)
	r.arrange()
}

// dismiss sends everybody in the queue away.
func (r *roster) dismiss() {
	for _, l := range r.lines() {
		for _, w := range l.all() {
			r.settle(w, verdict{end: sent})
		}
	}
}

// hurried is how many calls wait of those that the queue's limit is for.
func (r *roster) hurried() int { return r.waiting - r.patient }

// takeOrders returns what is to be done now.
func (r *roster) takeOrders() orders {
	o := r.orders
	r.orders = orders{}
	return o
}

// remove takes a slot out of the roster.
func (r *roster) remove(s *slot) {
	s.stage = gone
	r.slots = slices.DeleteFunc(r.slots, func(o *slot) bool { return o == s })
	r.orders.start = slices.DeleteFunc(r.orders.start, func(o *slot) bool { return o == s })
}

// count counts slots.
func (r *roster) count(of func(*slot) bool) (n int) {
	for _, s := range r.slots {
		if of(s) {
			n++
		}
	}
	return n
}

func isStarting(s *slot) bool { return s.stage == starting }
func isReady(s *slot) bool    { return s.stage == ready }
func isSeated(s *slot) bool   { return s.seat != nil }
func isSpare(s *slot) bool    { return s.stage == ready && s.seat == nil }
func isLiving(s *slot) bool   { return s.stage != leaving }

// unlimited is the number of calls of a worker that is not recycled by calls.
const unlimited = math.MaxInt
