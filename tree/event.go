package tree

import "time"

// EventKind says what happened.
type EventKind uint8

// What happens to a child. The fields of Event that are set beside Kind, Time, Path and Run are named.
const (
	EventStarting    EventKind = iota + 1 // a run begins
	EventStarted                          // it is ready; Took
	EventStartFailed                      // it did not become ready; Err, Took
	EventIgnored                          // it need not run
	EventExited                           // it ended by itself; Err, Took
	EventRestarting                       // it waits for its next start, after a delay or a failed one; Attempt, Delay
	EventStopping                         // it is asked to stop
	EventKilling                          // it is ended by force
	EventStopped                          // it has returned after that; Err, Took
	EventAbandoned                        // it has not, and the tree goes on without it
	EventReturned                         // an abandoned run has returned at last; Err
	EventForgotten                        // the child is not known any more
)

// What happens to a supervisor; Path and Run are its own.
const (
	EventUp           EventKind = iota + 64 // all its children have been started
	EventGaveUp                             // it restarted too often; Err
	EventAutoShutdown                       // a significant child has ended; Err
	EventEnding                             // it begins to stop for another reason; Err
	EventEnded                              // all below has been stopped; Err is what Serve returns
)

var eventNames = map[EventKind]string{
	EventStarting: "starting", EventStarted: "started", EventStartFailed: "start failed", EventIgnored: "ignored",
	EventExited: "exited", EventRestarting: "restarting", EventStopping: "stopping", EventKilling: "killing",
	EventStopped: "stopped", EventAbandoned: "abandoned", EventReturned: "returned", EventForgotten: "forgotten",
	EventUp: "up", EventGaveUp: "gave up", EventAutoShutdown: "auto shutdown", EventEnding: "ending", EventEnded: "ended",
}

// String returns a word or two for the kind.
func (k EventKind) String() string { return eventNames[k] }

// Event is something that happened in a tree, as a value.
type Event struct {
	Kind    EventKind
	Time    time.Time
	Path    string        // from the root, for example "root/pipeline/decoder"
	Run     int           // the number of the run of that child, from 1; of a root: how often it was served
	Err     error         // the cause, as it was returned
	Took    time.Duration // how long the start took, or the run lasted since its start
	Attempt int           // restarts in a row
	Delay   time.Duration // until the restart
}

// emit tells the hooks of this supervisor and of those above.
func (l *loop) emit(e Event) {
	if !l.hooked {
		return
	}
	e.Time = time.Now()
	for at := l; at != nil; at = at.above() {
		if hook := at.sup.spec.OnEvent; hook != nil && !protect(func() { hook(e) }) {
			at.sup.panics.Add(1)
		}
	}
}

// emitChild is emit for something that happened to a child, in its latest run unless e says another.
func (l *loop) emitChild(m *member, e Event) {
	if l.hooked {
		e.Path = l.path + "/" + m.spec.ID
		if e.Run == 0 {
			e.Run = m.ordinal
		}
		l.emit(e)
	}
}

// emitSelf is emit for something that happened to the supervisor.
func (l *loop) emitSelf(k EventKind, err error) {
	l.emit(Event{Kind: k, Path: l.path, Run: l.ordinal, Err: err})
}
