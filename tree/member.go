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

// member is one child of a running supervisor. There may be very many, so it is small. What stands above
// prev belongs to the loop alone.
type member struct {
	spec    *Child // shared with the Spec if static
	static  bool   // it comes from the Spec, and outlives this loop
	retired bool   // nobody will serve it again
	run     *run   // the current run, nil if nothing runs

	prev, next *member // under registry.mu

	mu      sync.Mutex // for the snapshot; only the loop changes what is below
	state   State
	ordinal int // the number of the current or latest run
	since   time.Time
	pending *pending // of the state Restarting
	exits   *ring[Exit]
	nested  *loop // a list of the supervisors that run inside the current run
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
	return strategy.Child{ID: c.ID, Restart: c.Restart, Significant: c.Significant, Backoff: c.Backoff, Ref: m}
}

func (m *member) enter(s State, now time.Time) {
	m.mu.Lock()
	if m.state != s {
		m.state, m.since = s, now
	}
	m.pending = nil
	m.mu.Unlock()
}

// begin enters the state Starting with a new run.
func (m *member) begin(now time.Time) {
	m.mu.Lock()
	m.state, m.since, m.pending = Starting, now, nil
	m.ordinal++
	m.mu.Unlock()
}

// leave remembers the end of a run.
func (m *member) leave(e Exit) {
	m.mu.Lock()
	m.state, m.since = Down, e.Time
	m.exits = m.exits.add(e)
	m.mu.Unlock()
}

// await enters the state Restarting.
func (m *member) await(now time.Time, p *pending) {
	m.mu.Lock()
	m.state, m.since, m.pending = Restarting, now, p
	m.mu.Unlock()
}

// registry is the list of members in the order of starting; the policy finds them by ID. The loop changes it; anybody may read it.
type registry struct {
	mu          sync.Mutex
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
