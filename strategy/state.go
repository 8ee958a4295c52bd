package strategy

import "time"

// State is all a supervisor has to remember for its decisions. Make one with New; it lives as long as
// one life of a supervisor.
type State struct {
	spec     Spec
	children map[string]*child // made when a child is first looked for by its ID
	count    int
	first    *child // in the order of starting
	last     *child
	window   window
	runs     uint64 // the last run number given out
	vital    int    // significant children that run or wait for a restart
	ending   bool
	starts   Plan // those of the present plan
}

// child is one known child, in a list that keeps the order. There may be very many, so it is small.
type child struct {
	ID         string
	ref        any
	prev, next *child
	run        uint64 // the run that was ordered last
	ran        uint64 // the run that came up last
	pace       *pace  // nil: no backoff
	attempt    int32  // restarts in a row
	Restart    Restart
	status     Status
	origin     origin
	marks      marks
}

// marks are what is true of a child, one bit each.
type marks uint8

const (
	significant marks = 1 << iota
	excused           // the failure that made it pending does not count
	paid              // the pending restart has been counted already
)

func (c *child) is(m marks) bool { return c.marks&m != 0 }

func (c *child) mark(m marks, on bool) {
	c.marks &^= m
	if on {
		c.marks |= m
	}
}

// pace is what a child with a backoff has in addition.
type pace struct {
	Backoff
	since time.Time // when the run came up
}

func (c *child) become(spec Child) {
	c.ID, c.Restart, c.ref = spec.ID, spec.Restart, spec.Ref
	c.mark(significant, spec.Significant)
	if spec.Backoff != (Backoff{}) {
		c.pace = &pace{Backoff: spec.Backoff}
	}
}

// delayed reports whether restarts have to wait.
func (c *child) delayed() bool { return c.pace != nil && c.pace.Initial > 0 }

// healthy reports whether a run that ended at this time was long enough to forget the restarts before it.
func (c *child) healthy(end time.Time) bool {
	return c.pace == nil || c.pace.Backoff.healthy(end.Sub(c.pace.since))
}

// tryAgain counts an attempt that is to come, and forgets whether the one before was paid for.
func (c *child) tryAgain(free bool) {
	if c.attempt < 1<<31-1 {
		c.attempt++
	}
	c.mark(paid, false)
	c.mark(excused, free)
}

// origin says what ordered the start of a child, which decides what a failure means.
type origin uint8

const (
	initial origin = iota
	added
	requested
	restarted
)

// New returns the state of a supervisor that has not begun. Spec and children must be valid, the ids unique.
func New(spec Spec, children []Child) *State {
	limit, period := spec.Intensity.Limits()
	s := &State{spec: spec, window: window{limit: limit, period: period}}
	for i := range children {
		s.add(children[i])
	}
	return s
}

// Step is Decide with the plan as a list.
func (s *State) Step(now time.Time, e Event) []Action { return s.Decide(now, e).all() }

// Decide decides what to do about an event. The order of the actions is part of the decision.
func (s *State) Decide(now time.Time, e Event) Plan {
	if s.ending {
		return Plan{}
	}
	s.starts = Plan{}
	s.starts.Actions = s.decide(now, e)
	return s.starts
}

func (s *State) decide(now time.Time, e Event) []Action {
	switch e := e.(type) {
	case Begin:
		s.startFrom(s.first, initial)
		return nil
	case Started:
		s.started(now, e)
		return nil
	case Ignored:
		return s.ignored(e)
	case StartFailed:
		return s.startFailed(now, e)
	case Exited:
		return s.exited(now, e)
	case Retried:
		return s.retried(now, e)
	case Shutdown:
		return s.end(Asked, nil)
	default:
		return s.request(e)
	}
}

// Status returns what a child does, and whether it is known at all.
func (s *State) Status(id string) (Status, bool) {
	c := s.child(id)
	if c == nil {
		return Down, false
	}
	return c.status, true
}

// Ref returns the Ref of a child, or nil if it is not known.
func (s *State) Ref(id string) any {
	if c := s.child(id); c != nil {
		return c.ref
	}
	return nil
}

// Len returns the number of known children.
func (s *State) Len() int { return s.count }

// Budget returns how many restarts count at this time, and how many are allowed within which period.
func (s *State) Budget(now time.Time) (used, limit int, period time.Duration) {
	return s.window.used(now), s.window.limit, s.window.period
}

// child returns the child of this ID, or nil. The first call makes the map: very many children whose runs are reported
// with their Record need none.
func (s *State) child(id string) *child {
	if s.children == nil {
		s.children = make(map[string]*child, s.count)
		for c := s.first; c != nil; c = c.next {
			s.children[c.ID] = c
		}
	}
	return s.children[id]
}

// known returns the child of this record, or else of this ID. A child that is forgotten is found by its record too, but
// it is down, and numbers of runs are not used again.
func (s *State) known(r *Record, id string) *child {
	if r != nil {
		return &r.child
	}
	return s.child(id)
}

// find returns the child if this is the run that was ordered last.
func (s *State) find(r *Record, id string, run uint64, status Status) *child {
	c := s.known(r, id)
	if c == nil || c.run != run || c.status != status {
		return nil
	}
	return c
}

func (s *State) started(now time.Time, e Started) {
	c := s.find(e.Record, e.ID, e.Run, Starting)
	if c == nil {
		return
	}
	c.ran = e.Run
	if c.pace != nil {
		c.pace.since = now
	}
	s.set(c, Running)
}

func (s *State) ignored(e Ignored) []Action {
	c := s.find(e.Record, e.ID, e.Run, Starting)
	if c == nil {
		return nil
	}
	return s.rest(nil, c, false)
}

func (s *State) startFailed(now time.Time, e StartFailed) []Action {
	c := s.find(e.Record, e.ID, e.Run, Starting)
	if c == nil {
		return nil
	}
	if c.origin == restarted && e.How == DoNotRestart {
		return s.leaveOut(c)
	}
	s.dropPlan(c)
	switch c.origin {
	case initial:
		return s.end(StartUpFailed, c)
	case added:
		return s.forget(nil, c)
	case requested:
		return nil
	}
	if e.How == TerminateTree {
		return s.end(TreeTerminated, c)
	}
	c.tryAgain(e.Excused)
	return []Action{s.pend(c)}
}

// leaveOut forgets a child that refuses to be restarted, and goes on with those that were planned after it.
func (s *State) leaveOut(c *child) []Action {
	rest := Plan{next: c.next}
	plan := s.ended(c, true)
	if !s.ending {
		s.starts = rest
	}
	return plan
}

// exited decides about a child that ended by itself.
func (s *State) exited(now time.Time, e Exited) []Action {
	c := s.find(e.Record, e.ID, e.Run, Running)
	if c == nil {
		return nil
	}
	s.set(c, Down)
	if c.healthy(now.Add(-e.Late)) {
		c.attempt = 0
	}
	switch {
	case e.How == TerminateTree:
		return s.end(TreeTerminated, c)
	case e.How == DoNotRestart:
		return s.ended(c, true)
	case c.Restart == Permanent, c.Restart == Transient && e.How == Failed:
		c.tryAgain(e.Excused)
		return s.restart(now, c)
	}
	return s.ended(c, false)
}

// ended decides about a child that is not restarted.
func (s *State) ended(c *child, forget bool) []Action {
	plan := s.rest(nil, c, forget)
	if !c.is(significant) || s.spec.AutoShutdown == Never || s.spec.AutoShutdown == AllSignificant && s.vital > 0 {
		return plan
	}
	return append(plan, s.end(SignificantEnded, c)...)
}

// rest leaves a child down, or forgets it if its kind is not kept.
func (s *State) rest(plan []Action, c *child, forget bool) []Action {
	s.set(c, Down)
	if forget || s.spec.Dynamic || c.Restart == Temporary {
		return s.forget(plan, c)
	}
	return plan
}

// restart counts a restart of c and plans it, or ends the supervisor.
func (s *State) restart(now time.Time, c *child) []Action {
	if !c.is(paid) && !c.is(excused) && !s.window.add(now) {
		return s.end(TooManyRestarts, c)
	}
	waits := c.delayed() && c.status != Pending
	s.set(c, Down)
	plan := s.stopGroup(now, c)
	if waits {
		c.mark(paid, true)
		return append(plan, s.pend(c))
	}
	switch s.spec.Strategy {
	case OneForAll:
		s.startFrom(s.first, restarted)
	case RestForOne:
		s.startFrom(c, restarted)
	default:
		s.start(c, restarted)
	}
	return plan
}

// stopGroup stops the siblings that are restarted together with c.
func (s *State) stopGroup(now time.Time, c *child) []Action {
	switch s.spec.Strategy {
	case OneForAll:
		s.recover(now, s.first)
		return s.stopBack(nil, s.last, s.first, c)
	case RestForOne:
		s.recover(now, c.next)
		return s.stopBack(nil, s.last, c, c)
	}
	return nil
}

// recover forgets the former restarts of the children from first on whose runs are healthy.
func (s *State) recover(now time.Time, first *child) {
	for c := first; c != nil; c = c.next {
		if c.status == Running && c.healthy(now) {
			c.attempt = 0
		}
	}
}

// pend marks c as waiting for its next attempt.
func (s *State) pend(c *child) Action {
	s.set(c, Pending)
	r := Retry{ID: c.ID, Run: c.run, Attempt: int(c.attempt), Ref: c.ref}
	if c.delayed() {
		r.After = c.pace.Bound(r.Attempt)
	}
	return r
}

// retried tries again. As in OTP, which names only the child, a Retry that has been overtaken by a group restart
// serves for the next failed attempt too; it must not cut a delay short, though.
func (s *State) retried(now time.Time, e Retried) []Action {
	c := s.child(e.ID)
	if c == nil || c.status != Pending || c.run != e.Run && c.delayed() {
		return nil
	}
	return s.restart(now, c)
}

// end stops everything and quits.
func (s *State) end(r Reason, culprit *child) []Action {
	s.ending = true
	e := End{Reason: r}
	if culprit != nil {
		e.ID = culprit.ID
	}
	plan := []Action{e}
	if s.spec.Dynamic {
		plan = append(plan, s.stopAll())
	} else {
		plan = s.stopBack(plan, s.last, s.first, nil)
	}
	return append(plan, Quit{})
}
