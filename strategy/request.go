package strategy

// request decides about a request of a user. Nothing here counts as a restart, and no strategy is applied.
func (s *State) request(e Event) []Action {
	switch e := e.(type) {
	case StartChild:
		return s.startChild(e.Child)
	case RestartChild:
		return s.restartChild(e.ID)
	case TerminateChild:
		return s.terminateChild(e.ID)
	case TerminateRun:
		return s.terminateRun(e)
	case DeleteChild:
		return s.deleteChild(e.ID)
	}
	return nil
}

func refuse(r Refusal) []Action { return []Action{Refuse{r}} }

func (s *State) startChild(spec Child) []Action {
	var c *child
	if !s.spec.Dynamic {
		c = s.child(spec.ID)
	}
	switch {
	case c != nil && c.status == Running:
		return refuse(AlreadyStarted)
	case c != nil:
		return refuse(AlreadyPresent)
	case s.spec.Dynamic && s.spec.MaxChildren > 0 && s.Len() >= s.spec.MaxChildren:
		return refuse(MaxChildren)
	}
	s.start(s.add(spec), added)
	return nil
}

// named returns the child, or why it cannot be named by its id.
func (s *State) named(id string) (*child, []Action) {
	if s.spec.Dynamic {
		return nil, refuse(IsDynamic)
	}
	if c := s.child(id); c != nil {
		return c, nil
	}
	return nil, refuse(NotFound)
}

// down returns the child if nothing runs and nothing is pending, or why not.
func (s *State) down(id string) (*child, []Action) {
	c, no := s.named(id)
	switch {
	case no != nil:
		return nil, no
	case c.status == Pending:
		return nil, refuse(IsRestarting)
	case c.status != Down:
		return nil, refuse(IsRunning)
	}
	return c, nil
}

func (s *State) restartChild(id string) []Action {
	c, no := s.down(id)
	if no != nil {
		return no
	}
	s.start(c, requested)
	return nil
}

func (s *State) deleteChild(id string) []Action {
	c, no := s.down(id)
	if no != nil {
		return no
	}
	return s.forget(nil, c)
}

func (s *State) terminateChild(id string) []Action {
	c, no := s.named(id)
	if no != nil {
		return no
	}
	if c.status == Down {
		return nil
	}
	c.attempt = 0
	return s.rest([]Action{Stop{id, c.ref}}, c, false)
}

// terminateRun takes a run as its handle: one that ended long ago is no error, and hits nobody else.
func (s *State) terminateRun(e TerminateRun) []Action {
	if !s.spec.Dynamic {
		return refuse(NotFound)
	}
	c := s.known(e.Record, e.ID)
	if c == nil || c.ran != e.Run || c.status == Down {
		return nil
	}
	return s.rest([]Action{Stop{c.ID, c.ref}}, c, false)
}
