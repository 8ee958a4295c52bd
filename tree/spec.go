package tree

import (
	"math"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/strategy"
)

// Spec describes a supervisor. The zero values are the defaults of OTP.
type Spec struct {
	// Name is what the root of a tree is called in paths, "root" if empty. A supervisor that is itself the
	// service of a child is called by that child's ID instead. One that runs inside the service of a
	// child (a wrapper, a suture.Supervisor) is called path-of-the-child/Name, or like the child if Name is empty.
	// It must not contain a slash.
	Name string

	Strategy     strategy.Strategy     // which children are restarted together
	Intensity    strategy.Intensity    // how often at most
	AutoShutdown strategy.AutoShutdown // whether to end with significant children

	// Children are started in this order.
	Children []Child

	// Dynamic makes it a supervisor of many children that are all alike and started one by one
	// with StartService (OTP: simple_one_for_one). Children must be empty then, and Strategy OneForOne.
	Dynamic *Dynamic

	// OnEvent, if not nil, is called with everything that happens in this supervisor and in all supervisors
	// below it. Each supervisor calls it from its own goroutine, so it must be safe for concurrent use; events of
	// one supervisor come in order. It must return soon, because the supervisor waits for it, and must not call a
	// method that waits for this tree. A panic in it is recovered and counted (Snapshot.HookPanics); the tree goes on.
	OnEvent func(Event)
}

// Dynamic describes the children of a dynamic supervisor.
type Dynamic struct {
	// Template is what all children have in common. Its Service is nil, because each child brings its own;
	// its ID names the template for ChildSpec. The children themselves are called 1, 2, 3, ...
	Template Child
	// MaxChildren limits how many there may be at a time, those waiting for a restart included. 0: no limit.
	MaxChildren int
}

// Child describes one child. Only ID and Service are needed.
type Child struct {
	// ID names the child. It must be unique among its siblings, not empty, and without a slash.
	ID string
	// Service is what runs. See also Starter, Killer, Retirer and PerRun.
	Service suture.Service
	// Restart says when it is started again after it has ended by itself.
	Restart strategy.Restart
	// Significant children take part in the supervisor's AutoShutdown. They cannot be permanent.
	Significant bool
	// Type is only for counting and for the default of Shutdown. Zero: found out from the service.
	Type Type
	// Shutdown limits how long it may take to stop. Zero: 5 s, for a supervisor without limit.
	Shutdown Shutdown
	// StartTimeout limits how long a Starter may take until it is ready; then it is killed, and has failed to
	// start. Zero: no limit, as in OTP.
	StartTimeout time.Duration
	// Backoff delays restarts. Zero: none, as in OTP.
	Backoff strategy.Backoff
}

// withDefaults returns the child with everything filled in that is left to the tree.
func (c Child) withDefaults() Child {
	if c.Type == TypeByService {
		c.Type = typeOf(c.Service)
	}
	if c.Shutdown == 0 {
		c.Shutdown = After(5 * time.Second)
		if c.Type == TypeSupervisor {
			c.Shutdown = Infinity
		}
	}
	return c
}

// Type says whether a child is a supervisor or a worker.
type Type uint8

// The types of a child.
const (
	// TypeByService makes it a supervisor if the service has a StopLimit method (as Supervisor has) or is a
	// suture.Supervisor, and a worker otherwise.
	TypeByService Type = iota
	TypeWorker
	TypeSupervisor
)

// String returns OTP's word for the type.
func (t Type) String() string {
	switch t {
	case TypeWorker:
		return "worker"
	case TypeSupervisor:
		return "supervisor"
	}
	return "by service"
}

type limiter interface{ StopLimit() time.Duration }

func typeOf(s suture.Service) Type {
	switch unwrap(s).(type) {
	case limiter, suture.HasSupervisor:
		return TypeSupervisor
	}
	return TypeWorker
}

// Shutdown says how long a child may take to stop: After, BrutalKill or Infinity. The zero value is the
// default of the child's type.
type Shutdown int64

// The limits that are no duration.
const (
	// BrutalKill kills the child without asking it first.
	BrutalKill Shutdown = -1
	// Infinity waits for the child as long as it takes.
	Infinity Shutdown = -2

	invalidShutdown Shutdown = math.MinInt64
)

// After asks the child to stop, and kills it when it has not returned after d. After(0) kills it at
// once after asking. A negative d is a fault of the spec.
func After(d time.Duration) Shutdown {
	if d < 0 || d == math.MaxInt64 {
		return invalidShutdown
	}
	return Shutdown(d) + 1
}

// Limit returns the duration of After, and false for the other values.
func (s Shutdown) Limit() (time.Duration, bool) {
	if s <= 0 {
		return 0, false
	}
	return time.Duration(s - 1), true
}

// String returns the limit in words.
func (s Shutdown) String() string {
	switch s {
	case 0:
		return "default"
	case BrutalKill:
		return "brutal kill"
	case Infinity:
		return "infinity"
	}
	if d, ok := s.Limit(); ok {
		return d.String()
	}
	return "invalid"
}

func (s Shutdown) valid() bool { return s >= Infinity }
