package tree

import (
	"time"

	"github.com/thejerf/suture/v4"
)

// killWait is how long a run may take to return after it has been killed, before it is abandoned. A supervisor
// gets killSlack more than what it waits for itself.
const (
	killWait  = time.Second
	killSlack = 100 * time.Millisecond
)

// killTime is how long a service may take to return after it has been killed.
func killTime(s suture.Service) time.Duration {
	if sup, ok := unwrap(s).(*Supervisor); ok {
		return sup.killTime() + killSlack
	}
	return killWait
}

// killTime is how long a supervisor waits at most for what it has killed.
func (s *Supervisor) killTime() time.Duration {
	limit := killWait
	if l := s.running(); l != nil {
		for _, m := range l.members.all() {
			limit = max(limit, killTime(m.spec.Service))
		}
	}
	return limit
}

const noLimit time.Duration = -1

// launch begins a run, waits until it is up, and returns when that was.
func (l *loop) launch(r *run, now time.Time) (time.Time, error) {
	s := r.member.spec.Service
	if l.sup.stillRunning(s, r.member) {
		return now, ErrStillRunning
	}
	killing := false
	if l.urgent.Load() && l.box.look(func() bool { killing = l.killing; return l.startsEnd() }) {
		if killing {
			return now, ErrKilled
		}
		l.cancelStart(r)
	}
	_, starter := s.(Starter)
	r.up = !starter
	go r.main()
	if !starter {
		return now, nil
	}
	err := l.awaitUp(r)
	return time.Now(), err
}

// awaitUp waits for a Starter: until it is ready or has returned, until it is too late, or until the
// supervisor is asked to stop, which cancels the start at once.
func (l *loop) awaitUp(r *run) error {
	spec := r.member.spec
	settled := func() bool { return r.up || r.returned != nil || l.killing }
	limit := noLimit
	if spec.StartTimeout > 0 {
		limit = spec.StartTimeout
	}
	if !l.await(limit, func() bool { return settled() || l.startsEnd() }) {
		l.forceStart(r, false)
		return ErrStartTimeout
	}
	if !l.box.look(settled) {
		l.cancelStart(r)
		limit = killWait
		if spec.Shutdown != BrutalKill {
			limit = stopLimit(spec.Shutdown)
		}
		l.await(limit, settled)
	}
	if !l.box.look(func() bool { return r.up || r.returned != nil }) {
		l.forceStart(r, true)
	}
	return l.startResult(r)
}

// startsEnd is the condition under which no start is worth waiting for.
func (l *loop) startsEnd() bool { return l.stopping || l.aborting }

// cancelStart asks a start to give up. What comes up nevertheless has been asked to stop by that, with one
// exception: a supervisor goes on until it is its turn to stop, so that the order stays the reverse of the start.
func (l *loop) cancelStart(r *run) {
	m := r.member
	if !isTransparent(m.spec.Service) {
		r.cancel(fateShutdown)
		return
	}
	l.members.status.Lock()
	defer l.members.status.Unlock()
	r.aborted = true
	if m.past == nil {
		return
	}
	for nested := m.past.nested; nested != nil; nested = nested.sibling {
		nested.box.update(func() message { nested.aborting = true; nested.urgent.Store(true); return nil })
	}
}

// isTransparent reports whether a service is a supervisor of this package, but for those who only look on.
func isTransparent(s suture.Service) bool {
	_, ok := unwrap(s).(*Supervisor)
	return ok
}

// forceStart ends a start by force.
func (l *loop) forceStart(r *run, asked bool) {
	l.force([]*run{r}, asked)
	if r.abandoned {
		l.emitChild(r.member, Event{Kind: EventAbandoned, Err: ErrKilled, Took: r.age(time.Now())})
	}
}

// startResult says how a start has ended.
func (l *loop) startResult(r *run) (err error) {
	l.box.look(func() bool {
		switch {
		case r.up && !r.abandoned:
		case r.returned != nil && r.returned.err != nil:
			err = r.returned.err
		case l.killing || r.abandoned:
			err = ErrKilled
		case l.startsEnd():
			err = ErrShutdown
		default:
			err = ErrNotReady
		}
		return true
	})
	return err
}

func stopLimit(s Shutdown) time.Duration {
	if d, ok := s.Limit(); ok {
		return d
	}
	return noLimit
}

// stopMembers makes sure that none of the children runs. All are asked at the same time, and have the same
// limit, that of the first.
func (l *loop) stopMembers(members ...*member) {
	runs := make([]*run, 0, len(members))
	for _, m := range members {
		if p := m.pending(); p != nil && p.timer != nil {
			p.timer.Stop()
		}
		if r := m.run; r == nil {
			l.enter(m, Down, time.Now())
		} else if m.run = nil; l.box.look(r.alive) {
			runs = append(runs, r)
		} else { // it has ended by itself in the meantime; that is noticed here and handled no more
			l.gone(r, time.Now(), EventExited, false, false)
		}
	}
	if len(runs) > 0 {
		l.stopRuns(runs, runs[0].member.spec.Shutdown)
	}
}

// stopRuns asks, waits, and ends by force what is left then.
func (l *loop) stopRuns(runs []*run, how Shutdown) {
	asked := how != BrutalKill && !l.box.look(func() bool { return l.killing })
	if asked {
		for _, r := range runs {
			l.enter(r.member, Stopping, time.Now())
			l.emitChild(r.member, Event{Kind: EventStopping})
			r.cancel(fateShutdown)
		}
		ended := allEnded(runs)
		l.await(stopLimit(how), func() bool { return l.killing || ended() })
	}
	var forced []*run
	for _, r := range runs {
		if l.box.look(r.alive) {
			forced = append(forced, r)
		} else {
			l.gone(r, time.Now(), EventStopped, true, false)
		}
	}
	l.force(forced, asked)
	for _, r := range forced {
		if !r.abandoned {
			l.gone(r, time.Now(), EventStopped, true, true)
		} else {
			l.gone(r, time.Now(), EventAbandoned, true, true)
		}
	}
}

// force kills what can be killed, cancels the rest, and abandons what has not returned a second later. Those
// who had been asked before and cannot be killed get no second chance, unless everything is killed.
func (l *loop) force(runs []*run, asked bool) {
	wait := l.box.look(func() bool { return l.killing })
	for _, r := range runs {
		l.enter(r.member, Stopping, time.Now())
		l.emitChild(r.member, Event{Kind: EventKilling})
		wait = l.killRun(r) || !asked || wait
	}
	if wait {
		l.await(l.killLimit(runs), allEnded(runs))
	}
	for _, r := range runs {
		l.abandon(r)
	}
}

// killLimit is how long to wait after killing: when everything is killed, one limit for all.
func (l *loop) killLimit(runs []*run) (limit time.Duration) {
	for _, r := range runs {
		limit = max(limit, killTime(r.member.spec.Service))
	}
	l.box.look(func() bool {
		if l.killing {
			limit = max(0, time.Until(l.killBy))
		}
		return true
	})
	return limit
}

// abandon gives up a run that has not returned.
func (l *loop) abandon(r *run) {
	l.box.update(func() message {
		if r.abandoned = r.returned == nil; r.abandoned {
			l.sup.list(r)
		}
		return nil
	})
}

// gone remembers the end of a run, which may have been some time ago.
func (l *loop) gone(r *run, now time.Time, kind EventKind, asked, killed bool) {
	age, ran, err := r.age(now), r.age(now), ErrKilled
	if kind != EventAbandoned {
		l.box.look(func() bool { ran, err = r.returned.ran, r.returned.err; return true })
	}
	l.leave(r.member, Exit{Run: r.ordinal, Time: now.Add(ran - age), Ran: ran, Err: err, Asked: asked, Killed: killed})
	l.emitChild(r.member, Event{Kind: kind, Err: err, Took: ran})
}

// killAll ends everything by force at the same time, if that has been ordered. The stops that follow only wait.
func (l *loop) killAll() {
	if !l.box.look(func() bool { return l.killing }) {
		return
	}
	for _, m := range l.members.all() {
		if m.run != nil {
			l.killRun(m.run)
		}
	}
}

// killRun kills and cancels a run, once, and reports whether it could be killed.
func (l *loop) killRun(r *run) bool {
	if !r.killed {
		r.killed = true
		r.killable = kill(r.member.spec.Service)
		r.cancel(fateKilled)
	}
	return r.killable
}

// allEnded returns a condition for the mailbox: all runs have returned. It looks at each only once.
func allEnded(runs []*run) func() bool {
	i := 0
	return func() bool {
		for i < len(runs) && !runs[i].alive() {
			i++
		}
		return i == len(runs)
	}
}

// list remembers an abandoned run until it returns.
func (s *Supervisor) list(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.abandoned == nil {
		s.abandoned = make(map[*run]struct{})
	}
	s.abandoned[r] = struct{}{}
	s.left.Add(1)
}

func (s *Supervisor) unlist(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.abandoned, r)
	s.left.Add(-1)
}

// stillRunning reports whether an abandoned run uses this service. PerRun does not care.
func (s *Supervisor) stillRunning(svc suture.Service, m *member) bool {
	if s.left.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := svc.(*perRun); ok {
		return false
	}
	for r := range s.abandoned {
		if r.member == m || same(r.member.spec.Service, svc) {
			return true
		}
	}
	return false
}
