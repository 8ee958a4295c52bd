package strategy

import "time"

// Event is something that happened: one of the types below.
type Event interface{ event() }

type (
	// Begin starts all children of a new State.
	Begin struct{}

	// Started reports that the run ordered by Start is up.
	Started struct {
		ID     string
		Run    uint64
		Record *Record // instead of the ID, if not nil
	}
	// Ignored reports that the child answered "not needed" to Start: a success without a run.
	Ignored struct {
		ID     string
		Run    uint64
		Record *Record // instead of the ID, if not nil
	}
	// StartFailed reports that the run ordered by Start did not come up.
	StartFailed struct {
		ID      string
		Run     uint64
		How     How // Failed, DoNotRestart or TerminateTree
		Excused bool
		Record  *Record // instead of the ID, if not nil
	}
	// Exited reports that a running child has ended by itself.
	Exited struct {
		ID      string
		Run     uint64
		How     How
		Excused bool          // restart as usual, but do not count it
		Late    time.Duration // how long ago it ended; until now the supervisor was busy
		Record  *Record       // instead of the ID, if not nil
	}
	// Retried is what a Retry asked for.
	Retried struct {
		ID  string
		Run uint64
	}

	// StartChild asks to add a child at the end of the list and to start it. That no two children of a dynamic supervisor
	// have the same ID is up to the caller.
	StartChild struct{ Child Child }
	// RestartChild asks to start a child that is down.
	RestartChild struct{ ID string }
	// TerminateChild asks to stop a child; a pending restart of it is cancelled.
	TerminateChild struct{ ID string }
	// TerminateRun asks a dynamic supervisor to stop and forget the child whose latest run is Run.
	TerminateRun struct {
		ID     string
		Run    uint64
		Record *Record // instead of the ID, if not nil
	}
	// DeleteChild asks to forget a child that is down.
	DeleteChild struct{ ID string }

	// Shutdown asks the supervisor to end.
	Shutdown struct{}
)

func (Begin) event()          {}
func (Started) event()        {}
func (Ignored) event()        {}
func (StartFailed) event()    {}
func (Exited) event()         {}
func (Retried) event()        {}
func (StartChild) event()     {}
func (RestartChild) event()   {}
func (TerminateChild) event() {}
func (TerminateRun) event()   {}
func (DeleteChild) event()    {}
func (Shutdown) event()       {}

// How says in which way a run has ended.
type How uint8

// The ways a run ends by itself.
const (
	// Normal: it had nothing more to do.
	Normal How = iota
	// Orderly: it was shut down, or shut itself down (OTP's reasons shutdown and {shutdown, _}).
	Orderly
	// Failed: anything else.
	Failed
	// DoNotRestart: it asks to be forgotten, whatever its restart type.
	DoNotRestart
	// TerminateTree: it asks the supervisor to end.
	TerminateTree
)

// String returns a short word for how it ended.
func (h How) String() string {
	return name(uint8(h), "normal", "shutdown", "failed", "do_not_restart", "terminate_tree")
}

// Action is something to do: one of the types below.
type Action interface{ action() }

type (
	// Start asks for a new run of the child. Run is a number that is never used again in this State.
	Start struct {
		ID  string
		Run uint64
		Ref any // of the Child
	}
	// Stop asks to make sure that the child does not run. A pending Retry of it is void.
	Stop struct {
		ID  string
		Ref any
	}
	// StopAll is Stop for several children at the same time. Refs are theirs, in the same order.
	StopAll struct {
		IDs  []string
		Refs []any
	}
	// Retry asks for Retried{ID, Run} at the end of the queue. Attempt counts the restarts in a row. With a
	// Backoff, After is the longest delay; the delay itself should be drawn at random between 0 and After.
	Retry struct {
		ID      string
		Run     uint64
		Attempt int
		After   time.Duration
		Ref     any
	}
	// Forget says that the child is no longer known.
	Forget struct {
		ID  string
		Ref any
	}
	// Refuse says that the request is refused.
	Refuse struct{ Reason Refusal }
	// End says that the supervisor begins to end. ID is the child that caused it, if any.
	End struct {
		Reason Reason
		ID     string
	}
	// Quit says that the supervisor has ended.
	Quit struct{}
)

func (Start) action()   {}
func (Stop) action()    {}
func (StopAll) action() {}
func (Retry) action()   {}
func (Forget) action()  {}
func (Refuse) action()  {}
func (End) action()     {}
func (Quit) action()    {}

// Refusal says why a request is refused: OTP's answers.
type Refusal uint8

// The refusals.
const (
	AlreadyStarted Refusal = iota + 1 // StartChild: a child of this id is running
	AlreadyPresent                    // StartChild: it is known, and down or waiting for a restart
	IsRunning                         // RestartChild, DeleteChild
	IsRestarting                      // RestartChild, DeleteChild: a restart is pending
	NotFound                          // no such child
	IsDynamic                         // not for dynamic supervisors
	MaxChildren                       // a dynamic supervisor is full
)

// Reason says why a supervisor ends.
type Reason uint8

// The reasons.
const (
	Asked            Reason = iota + 1 // by Shutdown
	StartUpFailed                      // a child did not start in the beginning
	TooManyRestarts                    // the budget is exceeded
	SignificantEnded                   // automatic shutdown
	TreeTerminated                     // a child asked for it
)

// Status is what a child does at present.
type Status uint8

// The statuses.
const (
	Down     Status = iota // known, but nothing runs
	Starting               // in the plan that is being done
	Running
	Pending // waiting for its Retried
)

// String returns a word for the status.
func (s Status) String() string { return name(uint8(s), "down", "starting", "running", "restarting") }
