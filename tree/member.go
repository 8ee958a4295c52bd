package tree

import (
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/strategy"
)

// State is what a child does at present.
type State uint8

// The states of a child.
const (
	Down       State = iota // it is known, but nothing runs and nothing is planned
	Starting                // it runs, and is not ready yet
	Running                 // it is ready
	Stopping                // it has been asked to stop, or is being killed
	Restarting              // it does not run, and will be started again
)

// String returns a word for the state.
func (s State) String() string {
	switch s {
	case Starting:
		return "starting"
	case Running:
		return "running"
	case Stopping:
		return "stopping"
	case Restarting:
		return "restarting"
	}
	return "down"
}

// Exit is how a run ended, or a start failed.
type Exit struct {
	Run    int           // its number
	Time   time.Time     // when it ended
	Ran    time.Duration // how long it ran, from the call of Serve
	Err    error         // what it returned; nil: a normal end
	Asked  bool          // it was asked to stop, or killed
	Killed bool          // it was ended by force, or abandoned
}

// member is one child of a running supervisor. There may be very many, so it is small. It belongs to the loop alone, but
// for what is marked.
type member struct {
	spec   *Child          // shared with the Spec if static; never changed
	run    *run            // the current run, nil if nothing runs
	record strategy.Record // under policy.mu

	prev, next *member // under registry.mu

	// under registry.status; only the loop changes them
	ordinal int // the number of the current or latest run
	since   time.Time
	past    *past // nil: nothing of that kind has happened
	state   State

	static  bool // it comes from the Spec, and outlives this loop; never changed
	retired bool // nobody will serve it again
}

// past is what a member needs that does more than run well.
type past struct {
	pending *pending // of the state Restarting
	exits   ring[Exit]
	nested  *loop // a list of the supervisors that run inside the current run
}

// had returns the past, under the lock.
func (m *member) had() *past {
	if m.past == nil {
		m.past = new(past)
	}
	return m.past
}

// added is a member that does not come from the Spec, in one piece with its description.
type added struct {
	member
	child Child
}

func newAdded(c Child) *member {
	a := &added{child: c}
	a.spec = &a.child
	return &a.member
}

// pending is a restart that is to come.
type pending struct {
	run     uint64 // the number strategy has given to the run that ended or failed
	attempt int
	due     time.Time
	timer   *time.Timer // nil: it is in the queue
}

// policy is what the decisions need to know of the child.
func (m *member) policy() strategy.Child {
	c := m.spec
	return strategy.Child{ID: c.ID, Restart: c.Restart, Significant: c.Significant, Backoff: c.Backoff, Ref: m, Record: &m.record}
}

// enter enters a state in which no restart is to come.
func (l *loop) enter(m *member, s State, now time.Time) {
	l.members.status.Lock()
	if m.state != s {
		m.state, m.since = s, now
	}
	m.expect(nil)
	l.members.status.Unlock()
}

// expect says which restart is to come, under the lock.
func (m *member) expect(p *pending) {
	if p != nil || m.past != nil {
		m.had().pending = p
	}
}

// pending returns the restart that is to come, or nil. It is for the loop, or under the lock.
func (m *member) pending() *pending {
	if m.past == nil {
		return nil
	}
	return m.past.pending
}

// begin enters the state Starting with a new run.
func (l *loop) begin(m *member, now time.Time) {
	l.members.status.Lock()
	m.state, m.since = Starting, now
	m.expect(nil)
	m.ordinal++
	l.members.status.Unlock()
}

// leave remembers the end of a run.
func (l *loop) leave(m *member, e Exit) {
	l.members.status.Lock()
	m.state, m.since = Down, e.Time
	m.had().exits.add(e)
	l.members.status.Unlock()
}

// awaitRestart enters the state Restarting.
func (l *loop) awaitRestart(m *member, now time.Time, p *pending) {
	l.members.status.Lock()
	m.state, m.since = Restarting, now
	m.expect(p)
	l.members.status.Unlock()
}

// registry is the list of members in the order of starting; the policy finds them by ID. The loop changes it; anybody may read it.
type registry struct {
	mu          sync.Mutex
	status      sync.Mutex // of what members do; one lock for all, since a lock in each would take 8 bytes
	n           int
	first, last *member
}

func (r *registry) add(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.prev, m.next = r.last, nil
	if r.last == nil {
		r.first = m
	} else {
		r.last.next = m
	}
	r.last = m
	r.n++
}

func (r *registry) remove(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.prev == nil {
		r.first = m.next
	} else {
		m.prev.next = m.next
	}
	if m.next == nil {
		r.last = m.prev
	} else {
		m.next.prev = m.prev
	}
	r.n--
}

func (r *registry) all() []*member {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*member, 0, r.n)
	for m := r.first; m != nil; m = m.next {
		list = append(list, m)
	}
	return list
}
