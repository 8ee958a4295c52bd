package tree

import (
	"context"
	"strconv"
	"sync/atomic"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/strategy"
)

// Run is a handle of one life of a child. The zero value is the handle of nothing.
type Run struct {
	ID   string // of the child
	N    int    // the number of the run, from 1; 0 if nothing was started because the service answered ErrIgnore
	Info any    // what the service left by SetInfo
	run  *run
}

func handleOf(r *run) (h Run) {
	if r == nil {
		return Run{}
	}
	r.loop.box.look(func() bool {
		h = Run{ID: r.member.spec.ID, N: r.ordinal, Info: r.info(), run: r}
		return true
	})
	return h
}

// Alive reports whether the run has not ended yet.
func (r Run) Alive() bool { return r.run != nil && r.run.loop.box.look(r.run.alive) }

// Same reports whether both are handles of one and the same run, whenever they were taken. Handles of nothing are not.
func (r Run) Same(other Run) bool { return r.run != nil && r.run == other.run }

// StartChild adds a child at the end of the list and starts it. The errors are a joined *SpecError for each
// mistake in the child, a *StartError if it did not start (it is not kept then), and a *RequestError with
// ErrAlreadyStarted, ErrAlreadyPresent, ErrDynamic or ErrNotRunning.
//
// This and all other requests wait in the supervisor's queue. When ctx ends before the turn has come, the request is
// withdrawn; when it ends later, the request goes on, and only the waiting ends. Both return the cause of ctx's end.
func (s *Supervisor) StartChild(ctx context.Context, c Child) (Run, error) {
	if s.spec.Dynamic != nil {
		return Run{}, s.refusal("StartChild", c.ID, ErrDynamic)
	}
	if err := CheckChildrenFor(s.spec.AutoShutdown, c); err != nil {
		return Run{}, err
	}
	return s.startAdded(ctx, "StartChild", newAdded(c.withDefaults()))
}

// StartService starts a child of a dynamic supervisor: a run of its template with this service. The errors
// are as for StartChild, with ErrMaxChildren and ErrNotDynamic.
func (s *Supervisor) StartService(ctx context.Context, svc suture.Service) (Run, error) {
	const op = "StartService"
	if s.spec.Dynamic == nil {
		return Run{}, s.refusal(op, "", ErrNotDynamic)
	}
	c := s.spec.Dynamic.Template
	c.Service = svc
	if err := joined(checkService(&c)); err != nil {
		return Run{}, err
	}
	c.ID = ""
	return s.startAdded(ctx, op, newAdded(c.withDefaults()))
}

// startAdded has a child started. What takes no time is done here and now if the supervisor has nothing else to do: two
// switches between goroutines would cost more than the start.
func (s *Supervisor) startAdded(ctx context.Context, op string, m *member) (Run, error) {
	if l := s.borrow(ctx, m); l != nil {
		defer l.box.giveBack()
		return l.startChild(op, m)
	}
	return ask(ctx, s, op, m.spec.ID, func(l *loop) (Run, error) { return l.startChild(op, m) })
}

// borrow returns the loop, if it has nothing to do and may be borrowed to start this child: nobody is told of it, and
// the child is up when it is called.
func (s *Supervisor) borrow(ctx context.Context, m *member) *loop {
	if _, waits := m.spec.Service.(Starter); waits || ctx.Err() != nil {
		return nil
	}
	if l := s.current().loop.Load(); l != nil && !l.hooked && l.box.borrow() {
		return l
	}
	return nil
}

// RestartChild starts a child that is down, at its old place. The errors are a *StartError (it stays down then), or
// a *RequestError with ErrNotFound, ErrRunning, ErrRestarting, ErrDynamic or ErrNotRunning.
func (s *Supervisor) RestartChild(ctx context.Context, id string) (Run, error) {
	const op = "RestartChild"
	return ask(ctx, s, op, id, func(l *loop) (Run, error) {
		l.do(strategy.RestartChild{ID: id})
		return l.started(op, id)
	})
}

// TerminateChild stops a child and cancels its pending restart. A temporary child is forgotten, any other stays
// down. It is no error if it is down already. The errors are a *RequestError with ErrNotFound, ErrDynamic or ErrNotRunning.
func (s *Supervisor) TerminateChild(ctx context.Context, id string) error {
	return s.order(ctx, "TerminateChild", id, func(l *loop) error {
		return l.terminate("TerminateChild", id, strategy.TerminateChild{ID: id})
	})
}

// TerminateRun stops the child of a dynamic supervisor to which the handle belongs, and forgets it. If the child waits
// for a restart, that is cancelled. A handle of a run that has ended and was followed by another is no error and does
// nothing. The errors are a *RequestError with ErrNotFound if it belongs to a living run of another supervisor,
// or this one is not dynamic, or ErrNotRunning.
func (s *Supervisor) TerminateRun(ctx context.Context, r Run) error {
	const op = "TerminateRun"
	return s.order(ctx, op, r.ID, func(l *loop) error {
		if s.spec.Dynamic == nil || l.foreign(r) {
			return s.refusal(op, r.ID, ErrNotFound)
		}
		if r.run == nil || r.run.loop != l {
			return nil
		}
		return l.terminate(op, r.ID, strategy.TerminateRun{ID: r.ID, Run: r.run.id, Record: &r.run.member.record})
	})
}

// DeleteChild forgets a child that is down. The errors are a *RequestError with ErrNotFound, ErrRunning, ErrRestarting,
// ErrDynamic or ErrNotRunning.
func (s *Supervisor) DeleteChild(ctx context.Context, id string) error {
	return s.order(ctx, "DeleteChild", id, func(l *loop) error {
		return l.terminate("DeleteChild", id, strategy.DeleteChild{ID: id})
	})
}

// ChildInfo is one child in the list of Children.
type ChildInfo struct {
	ID    string
	Type  Type
	State State // Down, Running or Restarting
	Run   Run   // if it is running
}

// Children lists the children in the order of starting (OTP's which_children lists the last first), when all requests
// before this one are done. Snapshot tells more, without waiting.
func (s *Supervisor) Children(ctx context.Context) ([]ChildInfo, error) {
	return ask(ctx, s, "Children", "", func(l *loop) ([]ChildInfo, error) {
		list := []ChildInfo{}
		for _, m := range l.members.all() {
			list = append(list, ChildInfo{ID: m.spec.ID, Type: m.spec.Type, State: m.state, Run: handleOf(m.run)})
		}
		return list, nil
	})
}

// Counts is how many children there are.
type Counts struct {
	Specs       int // of descriptions; 1 for a dynamic supervisor
	Active      int // that are running; of a dynamic supervisor also those whose end waits in its queue
	Supervisors int // of this type, also those that are down
	Workers     int // of this type, also those that are down
}

// Count counts the children, when all requests before this one are done.
func (s *Supervisor) Count(ctx context.Context) (Counts, error) {
	dynamic := s.spec.Dynamic != nil
	return ask(ctx, s, "Count", "", func(l *loop) (c Counts, _ error) {
		for _, m := range l.members.all() {
			c.Specs++
			if m.state == Running && (dynamic || l.box.look(m.run.alive)) {
				c.Active++
			}
			if m.spec.Type == TypeSupervisor {
				c.Supervisors++
			} else {
				c.Workers++
			}
		}
		if dynamic {
			c.Specs = 1
		}
		return c, nil
	})
}

// ChildSpec returns the description of a child with all defaults filled in; of a dynamic supervisor, its template.
// The errors are a *RequestError with ErrNotFound or ErrNotRunning.
func (s *Supervisor) ChildSpec(ctx context.Context, id string) (Child, error) {
	return ask(ctx, s, "ChildSpec", id, func(l *loop) (Child, error) {
		if d := s.spec.Dynamic; d != nil && d.Template.ID == id {
			return d.Template.withDefaults(), nil
		}
		if m := l.policy.member(id); m != nil && s.spec.Dynamic == nil {
			return *m.spec, nil
		}
		return Child{}, s.refusal("ChildSpec", id, ErrNotFound)
	})
}

// RunSpec is ChildSpec by the handle of a run of a dynamic supervisor, which may have ended.
func (s *Supervisor) RunSpec(ctx context.Context, r Run) (Child, error) {
	return ask(ctx, s, "RunSpec", r.ID, func(l *loop) (Child, error) {
		if s.spec.Dynamic == nil || l.foreign(r) {
			return Child{}, s.refusal("RunSpec", r.ID, ErrNotFound)
		}
		return s.spec.Dynamic.Template.withDefaults(), nil
	})
}

// foreign reports whether the handle belongs to a living run of somebody else.
func (l *loop) foreign(r Run) bool { return r.run != nil && r.run.loop != l && r.Alive() }

func (l *loop) startChild(op string, m *member) (Run, error) {
	known := (*member)(nil)
	if l.sup.spec.Dynamic != nil {
		l.serial++
		m.spec.ID = strconv.FormatUint(l.serial, 10)
	} else if known = l.policy.member(m.spec.ID); known != nil {
		m = known
	}
	if known == nil {
		l.members.add(m)
	}
	l.why = nil // if it fails, started tells it why
	l.do(strategy.StartChild{Child: m.policy()})
	l.why = ErrEnded
	if l.refused != 0 && known == nil {
		l.members.remove(m)
	}
	return l.started(op, m.spec.ID)
}

// started answers a request that was to start something.
func (l *loop) started(op, id string) (Run, error) {
	switch {
	case l.refused != 0:
		e := l.sup.refusal(op, id, refusals[l.refused])
		if m := l.policy.member(id); m != nil && m.run != nil {
			e.Run = handleOf(m.run)
		}
		return Run{}, e
	case l.outcome.run == nil:
		return Run{}, nil
	case l.outcome.err == nil:
		return handleOf(l.outcome.run), nil
	case isIgnore(l.outcome.err):
		return Run{ID: id}, nil
	}
	err := &StartError{Path: l.path, ID: id, Err: l.outcome.err}
	l.retire(l.outcome.run.member, err)
	return Run{}, err
}

// terminate does a request that leaves a child down or forgotten.
func (l *loop) terminate(op, id string, e strategy.Event) error {
	m := l.policy.member(id)
	l.why = ErrTerminated
	l.do(e)
	l.why = ErrEnded
	if l.refused != 0 {
		return l.sup.refusal(op, id, refusals[l.refused])
	}
	if m != nil && m.state == Down {
		l.retire(m, ErrTerminated)
	}
	l.retireStranded(nil, ErrTerminated)
	return nil
}

var refusals = map[strategy.Refusal]error{
	strategy.AlreadyStarted: ErrAlreadyStarted,
	strategy.AlreadyPresent: ErrAlreadyPresent,
	strategy.IsRunning:      ErrRunning,
	strategy.IsRestarting:   ErrRestarting,
	strategy.NotFound:       ErrNotFound,
	strategy.IsDynamic:      ErrDynamic,
	strategy.MaxChildren:    ErrMaxChildren,
}

func (s *Supervisor) refusal(op, id string, err error) *RequestError {
	return &RequestError{Op: op, Path: s.path(), ID: id, Err: err}
}

func (s *Supervisor) path() string {
	if l := s.current().loop.Load(); l != nil {
		return l.path
	}
	return s.String()
}

// request is a message with an answer.
type request[T any] struct {
	taken  atomic.Bool // the loop has begun with it, or the caller has withdrawn it
	do     func(*loop) (T, error)
	answer chan struct{}
	value  T // after answer
	err    error
}

func (q *request[T]) handle(l *loop) {
	if q.taken.CompareAndSwap(false, true) {
		q.value, q.err = q.do(l)
		close(q.answer)
	}
}

// ask has a function done by the loop and waits for its result.
func ask[T any](ctx context.Context, s *Supervisor, op, id string, do func(*loop) (T, error)) (T, error) {
	var none T
	q := &request[T]{do: do, answer: make(chan struct{})}
	lf := s.current()
	if l := lf.loop.Load(); l == nil || !l.box.post(q) {
		return none, s.refusal(op, id, ErrNotRunning)
	}
	select {
	case <-q.answer:
		return q.value, q.err
	case <-ctx.Done():
		q.taken.Store(true)
		return none, context.Cause(ctx)
	case <-lf.done:
	}
	if isClosed(q.answer) {
		return q.value, q.err
	}
	return none, s.refusal(op, id, ErrNotRunning)
}

// order is ask for a request whose answer is only an error.
func (s *Supervisor) order(ctx context.Context, op, id string, do func(*loop) error) error {
	_, err := ask(ctx, s, op, id, func(l *loop) (struct{}, error) { return struct{}{}, do(l) })
	return err
}
