package strategy

// start orders a new run of c.
func (s *State) start(c *child, o origin) Action {
	s.runs++
	c.run, c.origin = s.runs, o
	s.set(c, Starting)
	return Start{ID: c.ID, Run: c.run, Ref: c.ref}
}

// startFrom orders new runs of c and of every child after it.
func (s *State) startFrom(plan []Action, c *child, o origin) []Action {
	if plan == nil {
		plan = make([]Action, 0, s.Len())
	}
	for ; c != nil; c = c.next {
		plan = append(plan, s.start(c, o))
	}
	return plan
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

// alive returns the ids of all children that are not down, in the order of starting.
func (s *State) alive() []string {
	var ids []string
	for c := s.first; c != nil; c = c.next {
		if c.status != Down {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// set changes the status of c and keeps count of the significant children that are up or coming up.
func (s *State) set(c *child, to Status) {
	if c.Significant {
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

// add puts a child at the end of the list.
func (s *State) add(c *child) *child {
	c.prev = s.last
	if s.last == nil {
		s.first = c
	} else {
		s.last.next = c
	}
	s.last = c
	s.children[c.ID] = c
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
	delete(s.children, c.ID)
	return append(plan, Forget{c.ID, c.ref})
}
