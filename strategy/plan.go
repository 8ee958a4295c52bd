package strategy

// Plan is what is to be done about an event: first the Actions, which are no starts, then the starts, in order. It needs no
// memory for them, however many they are.
type Plan struct {
	Actions []Action
	next    *child // in the status Starting, like those after it in the list whose starts are planned
	one     bool   // only this one
}

// Next returns the next start, and false after the last. It belongs between the Steps: what became of the start before
// has been reported.
func (p *Plan) Next() (Start, bool) {
	c := p.next
	if c == nil || c.status != Starting {
		return Start{}, false
	}
	if p.next = c.next; p.one {
		p.next = nil
	}
	return Start{ID: c.ID, Run: c.run, Ref: c.ref}, true
}

// all returns the plan as a list.
func (p Plan) all() []Action {
	list := p.Actions
	for start, ok := p.Next(); ok; start, ok = p.Next() {
		list = append(list, start)
	}
	return list
}

// start orders a new run of c, as the end of the present plan.
func (s *State) start(c *child, o origin) {
	s.order(c, o)
	s.starts = Plan{next: c, one: true}
}

// startFrom orders new runs of c and of every child after it.
func (s *State) startFrom(c *child, o origin) {
	s.starts = Plan{next: c}
	for ; c != nil; c = c.next {
		s.order(c, o)
	}
}

func (s *State) order(c *child, o origin) {
	s.runs++
	c.run, c.origin = s.runs, o
	s.set(c, Starting)
}

// stopBack stops the children from last back to first, but not the one excepted. Temporary ones are forgotten.
func (s *State) stopBack(plan []Action, last, first, except *child) []Action {
	for c := last; c != nil; {
		prev, done := c.prev, c == first
		if c != except && c.status != Down {
			plan = append(plan, Stop{c.ID, c.ref})
			plan = s.rest(plan, c, false)
		}
		if done {
			break
		}
		c = prev
	}
	return plan
}

// dropPlan takes back the start of c, which failed, and those planned after it, which follow it in the list.
func (s *State) dropPlan(c *child) {
	for ; c != nil && c.status == Starting; c = c.next {
		s.set(c, Down)
	}
}

// stopAll stops all children that are not down.
func (s *State) stopAll() StopAll {
	var all StopAll
	for c := s.first; c != nil; c = c.next {
		if c.status != Down {
			all.IDs = append(all.IDs, c.ID)
			all.Refs = append(all.Refs, c.ref)
		}
	}
	return all
}

// set changes the status of c and keeps count of the significant children that are up or coming up.
func (s *State) set(c *child, to Status) {
	if c.is(significant) {
		s.vital += vital(to) - vital(c.status)
	}
	c.status = to
}

func vital(st Status) int {
	if st == Down {
		return 0
	}
	return 1
}

// Add puts a child at the end of the list. It is for the time before Begin; later there is StartChild.
func (s *State) Add(c Child) { s.add(c) }

func (s *State) add(spec Child) *child {
	if spec.Record == nil {
		spec.Record = new(Record)
	}
	c := &spec.Record.child
	c.become(spec)
	c.prev = s.last
	if s.last == nil {
		s.first = c
	} else {
		s.last.next = c
	}
	s.last = c
	s.count++
	if s.children != nil {
		s.children[c.ID] = c
	}
	return c
}

// forget takes a child that is down out of the list. Its own links stay, so that a walk can go on from it.
func (s *State) forget(plan []Action, c *child) []Action {
	if c.prev == nil {
		s.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		s.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	s.count--
	delete(s.children, c.ID)
	return append(plan, Forget{c.ID, c.ref})
}
