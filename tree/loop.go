package tree

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/verdigris-go/verdigris/strategy"
)

// loop is one life of a supervisor: its only goroutine, and what belongs to it.
type loop struct {
	sup     *Supervisor
	parent  *run  // the run in which this supervisor is served, nil for a root
	sibling *loop // the next in member.nested of the parent
	path    string
	ordinal int
	begun   time.Time
	hooked  bool            // somebody wants events
	alone   bool            // nobody above will serve it again
	base    context.Context // of all runs; never cancelled
	box     mailbox
	members registry
	policy  policy
	serial  uint64 // of dynamic children

	urgent atomic.Bool // perhaps one of the first three below: starts are not as usual

	// under box.mu
	stopping bool      // asked to stop: starts are cancelled
	aborting bool      // the start of this supervisor is cancelled
	killing  bool      // everything is ended by force
	reason   error     // what Serve is to return
	killBy   time.Time // when that must have had its effect
	ending   bool      // End has been seen

	quit    bool          // Quit has been done
	result  error         // what Serve returns
	lost    []*member     // static children forgotten in the end
	why     error         // why children are retired at present
	cause   error         // of the last exit or failed start
	failed  ring[Failure] // the last causes, for an IntensityError
	outcome               // of the last plan
}

// outcome is what became of a plan that was made for a request.
type outcome struct {
	refused strategy.Refusal
	run     *run  // the last run that was started
	err     error // of the last start; ErrIgnore: ignored
}

func newLoop(ctx context.Context, s *Supervisor, ordinal int) *loop {
	l := &loop{sup: s, ordinal: ordinal, begun: time.Now(), base: context.WithoutCancel(ctx), parent: runOf(ctx), why: ErrEnded}
	l.box.wake = make(chan struct{}, 1)
	l.path, l.ordinal = l.place()
	l.hooked = s.spec.OnEvent != nil || l.parent != nil && l.parent.loop.hooked
	l.policy.state = strategy.New(s.spec.policy(), nil)
	members := make([]member, len(s.spec.Children)) // one piece of memory for all
	for i := range members {
		m := &members[i]
		m.spec, m.static = &s.spec.Children[i], true
		l.members.add(m)
		l.policy.state.Add(m.policy())
	}
	return l
}

// place returns the path of this supervisor and the number of its run.
func (l *loop) place() (string, int) {
	name := l.sup.spec.Name
	switch {
	case l.parent == nil && name == "":
		return "root", l.ordinal
	case l.parent == nil:
		return name, l.ordinal
	case l.parent.member.spec.Service == any(l.sup) || name == "":
		return l.parent.path(), l.parent.ordinal
	}
	return l.parent.path() + "/" + name, l.ordinal
}

// above returns the supervisor above this one.
func (l *loop) above() *loop {
	if l.parent == nil {
		return nil
	}
	return l.parent.loop
}

// serve is the life of the supervisor.
func (l *loop) serve(ctx context.Context, ready func()) error {
	l.attach()
	defer l.detach()
	defer context.AfterFunc(ctx, func() { l.stop(nil) })()
	l.do(strategy.Begin{})
	l.box.update(func() message { l.aborting = false; l.urgent.Store(l.stopping); return nil })
	if !l.quit {
		l.emitSelf(EventUp, nil)
		ready()
	}
	for !l.quit {
		if m := l.box.take(); m != nil {
			m.handle(l)
		} else {
			<-l.box.wake
		}
	}
	l.box.close()
	return l.result
}

// stop asks the loop to end, from any goroutine. reason is what Serve is to return.
func (l *loop) stop(reason error) {
	l.box.update(func() message {
		if !l.stopping {
			l.stopping, l.reason = true, reason
			l.urgent.Store(true)
		}
		return stopOrder{}
	})
}

// kill is stop by force.
func (l *loop) kill() {
	limit := l.sup.killTime()
	l.box.update(func() message {
		if !l.killing {
			l.killing, l.killBy = true, time.Now().Add(limit)
			l.stopping, l.reason = true, ErrKilled
			l.urgent.Store(true)
		}
		return stopOrder{}
	})
}

// isStopping reports whether it has been asked to stop, and what Serve is to return then.
func (l *loop) isStopping() (stopping bool, reason error) {
	l.box.look(func() bool { stopping, reason = l.stopping, l.reason; return true })
	return stopping, reason
}

type stopOrder struct{}

func (stopOrder) handle(l *loop) {
	l.killAll()
	l.do(strategy.Shutdown{})
}

// await waits until the condition, looked at under the lock of the mailbox, is true or the limit has
// passed, and reports whether it is true. A negative limit is none.
func (l *loop) await(limit time.Duration, cond func() bool) bool {
	var expired <-chan time.Time
	if limit >= 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		expired = t.C
	}
	for !l.box.wait(cond) {
		select {
		case <-l.box.wake:
		case <-expired:
			return l.box.look(cond)
		}
	}
	return true
}

// do gives an event to the policy and does what it says.
func (l *loop) do(e strategy.Event) { l.doAt(time.Now(), e) }

// doAt is do for an event of just now.
func (l *loop) doAt(now time.Time, e strategy.Event) {
	l.outcome = outcome{}
	plan := l.policy.decide(now, e)
	for fresh := true; ; fresh = false {
		if len(plan.Actions) > 0 {
			a := plan.Actions[0]
			plan.Actions = plan.Actions[1:]
			l.act(a)
			continue
		}
		start, ok := plan.Next()
		if !ok {
			return
		}
		if !fresh {
			now = time.Now()
		}
		l.start(start, &plan, now)
	}
}

// act does one action that cannot fail.
func (l *loop) act(a strategy.Action) {
	switch a := a.(type) {
	case strategy.Stop:
		l.stopMembers(a.Ref.(*member))
	case strategy.StopAll:
		list := make([]*member, len(a.Refs))
		for i, ref := range a.Refs {
			list[i] = ref.(*member)
		}
		l.stopMembers(list...)
	case strategy.Retry:
		l.retryLater(a)
	case strategy.Forget:
		m := a.Ref.(*member)
		l.members.remove(m)
		l.emitChild(m, Event{Kind: EventForgotten})
		if l.ending && m.static {
			l.lost = append(l.lost, m) // it comes back if this supervisor does
		} else {
			l.retire(m, l.why)
		}
	case strategy.Refuse:
		l.refused = a.Reason
	case strategy.End:
		l.end(a)
	case strategy.Quit:
		l.quit = true
	}
}

// start runs a child, which may change the rest of the plan.
func (l *loop) start(a strategy.Start, rest *strategy.Plan, now time.Time) {
	m := a.Ref.(*member)
	l.begin(m, now)
	m.retired = false
	r := l.newRun(m, a.Run, now)
	l.emitChild(m, Event{Kind: EventStarting})
	now, err := l.launch(r, now)
	l.outcome.run, l.outcome.err, l.cause = r, err, err
	switch {
	case err == nil:
		m.run = r
		l.enter(m, Running, now)
		l.emitChild(m, Event{Kind: EventStarted, Took: r.age(now)})
		l.policy.decide(now, strategy.Started{ID: a.ID, Run: a.Run, Record: &m.record})
		return
	case isIgnore(err):
		l.enter(m, Down, now)
		l.emitChild(m, Event{Kind: EventIgnored})
		rest.Actions = l.policy.decide(now, strategy.Ignored{ID: a.ID, Run: a.Run, Record: &m.record}).Actions
		l.retire(m, ErrIgnore)
		return
	}
	l.leave(m, Exit{Run: r.ordinal, Time: now, Ran: r.age(now), Err: err})
	l.failed.add(Failure{ID: a.ID, Time: now, Err: err})
	l.emitChild(m, Event{Kind: EventStartFailed, Err: err, Took: r.age(now)})
	*rest = l.policy.decide(now, strategy.StartFailed{
		ID: a.ID, Run: a.Run, How: howEnded(err), Excused: isExcused(err), Record: &m.record,
	})
}

// exited handles the end of a run that nobody had asked for.
func (l *loop) exited(m *member, r *run) {
	m.run = nil
	now := time.Now()
	l.gone(r, now, EventExited, false, false)
	if l.hooked {
		now = time.Now() // the hook has taken its time
	}
	ran, err := r.returned.ran, r.returned.err
	late := r.age(now) - ran
	l.failed.add(Failure{ID: m.spec.ID, Time: now.Add(-late), Err: err})
	l.cause = err
	l.doAt(now, strategy.Exited{
		ID: m.spec.ID, Run: r.id, How: howEnded(err), Excused: isExcused(err), Late: late, Record: &m.record,
	})
	if m.state == Down && !l.ending {
		l.retireStranded(m, ErrEnded)
	}
}

// end begins the end of the supervisor.
func (l *loop) end(a strategy.End) {
	l.box.look(func() bool { l.ending = true; return true })
	kind := EventEnding
	switch a.Reason {
	case strategy.Asked:
		_, l.result = l.isStopping()
	case strategy.StartUpFailed:
		l.result = &StartError{Path: l.path, ID: a.ID, Err: l.cause}
		if stopping, reason := l.isStopping(); stopping && l.alone { // it was cancelled, and has not failed
			l.result = reason
		}
	case strategy.TooManyRestarts:
		kind = EventGaveUp
		l.result = l.policy.intensityError(l.path, a.ID, l.failed.all())
	case strategy.SignificantEnded:
		kind = EventAutoShutdown
		l.result = &AutoShutdownError{Path: l.path, ID: a.ID, Err: l.cause}
	case strategy.TreeTerminated:
		l.result = &TerminatedError{Path: l.path, ID: a.ID, Err: l.cause}
	}
	if l.why = l.result; l.why == nil {
		l.why = ErrShutdown
	}
	l.emitSelf(kind, l.result)
}

// retryLater brings a child back after its delay, behind whatever waits in the queue then.
func (l *loop) retryLater(a strategy.Retry) {
	m := a.Ref.(*member)
	var delay time.Duration
	if a.After > 0 {
		delay = jitter(a.After)
	}
	now, due := time.Now(), retry{a.ID, a.Run}
	p := &pending{run: a.Run, attempt: a.Attempt, due: now.Add(delay)}
	if a.After > 0 {
		p.timer = time.AfterFunc(delay, func() { l.box.post(due) })
	}
	l.awaitRestart(m, now, p)
	l.emitChild(m, Event{Kind: EventRestarting, Attempt: a.Attempt, Delay: delay})
	if a.After == 0 {
		l.box.post(due)
	}
}

type retry struct {
	id  string
	run uint64
}

func (r retry) handle(l *loop) {
	m := l.policy.member(r.id)
	if m == nil {
		return
	}
	if p := m.pending(); p != nil && (p.timer == nil || p.run == r.run) {
		l.enter(m, Down, time.Now()) // it waits no longer for this, but may have to wait for others of its group
	}
	l.do(strategy.Retried{ID: r.id, Run: r.run})
}

// retire tells a service once that nobody is going to serve it again. Without a cause, somebody else is about to.
func (l *loop) retire(m *member, cause error) {
	if !m.retired && cause != nil {
		m.retired = true
		retire(m.spec.Service, cause)
	}
}

// retireStranded retires what is down and is not brought back by the pending restart of a group: of all children, or
// only this one if there are no groups.
func (l *loop) retireStranded(m *member, cause error) {
	if l.sup.spec.Strategy == strategy.OneForOne {
		if m != nil {
			l.retire(m, cause)
		}
		return
	}
	members := l.members.all()
	coming := l.sup.spec.Strategy == strategy.OneForAll && slices.ContainsFunc(members, isRestarting)
	for _, m := range members {
		coming = coming || isRestarting(m)
		if m.state == Down && !coming {
			l.retire(m, cause)
		}
	}
}

func isRestarting(m *member) bool { return m.state == Restarting }
