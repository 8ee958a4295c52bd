package tree

import (
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/strategy"
)

// Snapshot is what one node of a tree, a supervisor or a worker, was doing at one moment. The nodes of a tree are read
// one after the other, each by itself consistent; the supervisors do not stop for it.
type Snapshot struct {
	Path      string           // from the root
	ID        string           // of the child; of a root: its name
	Type      Type             // worker or supervisor
	State     State            //
	Run       int              // the number of the current or latest run, from 1; 0: it has never run
	Since     time.Time        // when it entered its state
	Restart   strategy.Restart // of the child
	Attempt   int              // Restarting: how many restarts in a row
	NextRetry time.Time        // Restarting: when the next start is due
	Exits     []Exit           // the last 16 ends and failed starts, oldest first

	Supervisor *SupervisorInfo // nil for a worker, and for a supervisor of another library
	Children   []Snapshot      // in the order of starting
	HookPanics int             // how often OnEvent of this supervisor has panicked
}

// SupervisorInfo is what a Snapshot says about a supervisor only.
type SupervisorInfo struct {
	Strategy strategy.Strategy
	Dynamic  bool
	Used     int           // restarts that count at present
	Limit    int           // how many are allowed
	Period   time.Duration // within this time
}

// Snapshot looks at the supervisor and at everything below, without waiting for any of them. Of one that has
// ended it shows the last state; of one that was never served, the children of its Spec.
func (s *Supervisor) Snapshot() Snapshot {
	lf := s.current()
	l := lf.loop.Load()
	if l == nil {
		return s.idle()
	}
	n := l.snapshot()
	n.ID, n.Run = s.String(), l.ordinal
	n.Since = l.begun
	switch {
	case isClosed(lf.done):
		n.State = Down
	case !isClosed(lf.ready):
		n.State = Starting
	default:
		n.State = Running
	}
	if n.State != Down && l.box.look(func() bool { return l.stopping || l.ending }) {
		n.State = Stopping
	}
	return n
}

// idle is the snapshot of a supervisor that was never served.
func (s *Supervisor) idle() Snapshot {
	limit, period := s.spec.Intensity.Limits()
	n := Snapshot{
		Path: s.String(), ID: s.String(), Type: TypeSupervisor,
		Supervisor: &SupervisorInfo{Strategy: s.spec.Strategy, Dynamic: s.spec.Dynamic != nil, Limit: limit, Period: period},
	}
	for _, c := range s.spec.Children {
		n.Children = append(n.Children, Snapshot{Path: n.Path + "/" + c.ID, ID: c.ID, Type: c.Type, Restart: c.Restart})
	}
	return n
}

// snapshot is about the supervisor and its children; what it does itself is known above.
func (l *loop) snapshot() Snapshot {
	used, limit, period := l.policy.budget()
	n := Snapshot{Path: l.path, Type: TypeSupervisor, HookPanics: int(l.sup.panics.Load()), Supervisor: &SupervisorInfo{
		Strategy: l.sup.spec.Strategy, Dynamic: l.sup.spec.Dynamic != nil, Used: used, Limit: limit, Period: period,
	}}
	members := l.members.all()
	n.Children = make([]Snapshot, len(members))
	for i, m := range members {
		n.Children[i] = l.look(m)
	}
	return n
}

// look is the snapshot of a child.
func (l *loop) look(m *member) Snapshot {
	l.members.status.Lock()
	n := Snapshot{
		Path: l.path + "/" + m.spec.ID, ID: m.spec.ID, Type: m.spec.Type, State: m.state, Run: m.ordinal,
		Since: m.since, Restart: m.spec.Restart,
	}
	var nested []*loop
	if past := m.past; past != nil {
		n.Exits = past.exits.all()
		if p := past.pending; p != nil {
			n.Attempt, n.NextRetry = p.attempt, p.due
		}
		for at := past.nested; at != nil; at = at.sibling {
			nested = append(nested, at)
		}
	}
	l.members.status.Unlock()
	for _, at := range nested {
		inner := at.snapshot()
		if inner.Path == n.Path {
			n.Supervisor, n.Children, n.HookPanics = inner.Supervisor, inner.Children, inner.HookPanics
		} else {
			inner.ID, inner.State, inner.Run, inner.Since = at.sup.String(), Running, at.ordinal, at.begun
			n.Children = append(n.Children, inner)
		}
	}
	return n
}

// attach makes the supervisor known to the tree above, for snapshots, and for a start that is cancelled.
func (l *loop) attach() {
	if l.parent == nil {
		return
	}
	m, status := l.parent.member, &l.parent.loop.members.status
	status.Lock()
	defer status.Unlock()
	past := m.had()
	l.sibling, past.nested = past.nested, l
	l.aborting = l.parent.aborted
	l.urgent.Store(l.aborting)
}

func (l *loop) detach() {
	if l.parent == nil {
		return
	}
	m, status := l.parent.member, &l.parent.loop.members.status
	status.Lock()
	defer status.Unlock()
	at := &m.past.nested
	for *at != l {
		at = &(*at).sibling
	}
	*at = l.sibling
}

// policy is the pure state with a short lock, so that a snapshot can ask for the budget.
type policy struct {
	mu    sync.Mutex
	state *strategy.State
}

func (p *policy) decide(now time.Time, e strategy.Event) strategy.Plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state.Decide(now, e)
}

// member returns the child of this ID, or nil.
func (p *policy) member(id string) *member {
	p.mu.Lock()
	defer p.mu.Unlock()
	m, _ := p.state.Ref(id).(*member)
	return m
}

func (p *policy) budget() (used, limit int, period time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state.Budget(time.Now())
}

func (p *policy) intensityError(path, id string, causes []Failure) *IntensityError {
	used, limit, period := p.budget()
	return &IntensityError{Path: path, ID: id, Restarts: used, Limit: limit, Period: period, Causes: causes}
}
