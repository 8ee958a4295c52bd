package pool

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// Event is something that has happened to a pool, as a value: one of [EventUp],
// [EventDied], [EventStartFailed], [EventRecycled], [EventResized],
// [EventQuarantined], [EventReleased], [EventCondition] and [EventMissed]. String is
// one line, LogValue has every fact. More kinds may be added.
type Event interface {
	fmt.Stringer
	slog.LogValuer
	When() time.Time

	level() slog.Level
	facts() []slog.Attr // the first is the text
}

// Head is what all events have.
type Head struct {
	Time time.Time
	Pool string // Config.Name
}

// When returns when it happened.
func (h Head) When() time.Time { return h.Time }

// Worker names a worker of a pool in one of its lives.
type Worker struct {
	Name string // Config.Worker.Name with the number of its slot
	PID  int    // 0: it had no process
	Run  uint64 // which life of that slot, from 1; as in child.CrashError
}

func (w Worker) String() string {
	if w.PID == 0 {
		return fmt.Sprintf("worker %s (run %d)", w.Name, w.Run)
	}
	return fmt.Sprintf("worker %s (pid %d, run %d)", w.Name, w.PID, w.Run)
}

func (w Worker) attrs() []slog.Attr {
	a := []slog.Attr{slog.String("worker", w.Name), slog.Uint64("run", w.Run)}
	if w.PID != 0 {
		a = append(a, slog.Int("pid", w.PID))
	}
	return a
}

// EventUp is a worker that is ready.
type EventUp struct {
	Head
	Worker Worker
	Took   time.Duration // its start
}

// EventDied is a worker that has ended without being asked, or had to be killed.
type EventDied struct {
	Head
	Crash   *child.CrashError // who, how, and which calls it was running
	Counted bool              // against Config.Intensity
}

// EventStartFailed is a worker that did not come up.
type EventStartFailed struct {
	Head
	Worker Worker
	Err    error // as a rule a *child.StartError
}

// Reason is why a worker is replaced or was let go.
type Reason uint8

// The reasons, with those of [Config] and [Pool.Replace] by name.
const (
	NoReason       Reason = iota
	ReasonCalls           // MaxCalls
	ReasonAge             // MaxAge
	ReasonMemory          // MaxMemory
	ReasonReplaced        // Replace, ReplaceWith
	ReasonSurplus         // the pool is smaller now, or has more spares than it wants
)

var reasonNames = [...]string{"", "calls", "age", "memory", "replaced", "surplus"}

// String is one word; "" for none.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// MarshalText is String.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// EventRecycled is a worker that was replaced or not needed, and is gone now.
type EventRecycled struct {
	Head
	Worker Worker
	Reason Reason
	Age    time.Duration // since it was ready
	Calls  int           // that it got
}

// EventResized is another number of workers at work: by Resize, or because the
// pool is elastic.
type EventResized struct {
	Head
	From, To int
}

// EventQuarantined is an input that is refused from now on, because it has killed
// workers.
type EventQuarantined struct {
	Head
	ID     string // for Release
	Call   child.CallInfo
	Deaths int       // of workers
	Until  time.Time // when it is let in again
	Last   error     // how the last of them died; may be nil
}

// EventReleased is an input that is let in again.
type EventReleased struct {
	Head
	ID      string
	Call    child.CallInfo
	Refused uint64 // calls meanwhile
	Why     string // in words: its time was up, somebody released it, there are too many
}

// EventCondition is a change of the pool's [Condition].
type EventCondition struct {
	Head
	From, To Condition
	Because  string // in words; may be ""
	Err      error  // To is Stopped: why nobody serves the pool; else nil
}

// EventMissed stands for events that were dropped because those before them were
// not handled in time.
type EventMissed struct {
	Head
	Events uint64
}

// LogEvents returns a function for [Config.Events] that writes one record per
// event. nil is slog.Default(). It is what a pool does that has no Events.
//
// The levels say who has to care. Debug and Info are the healthy path: a worker is up
// or was recycled, the pool is starting or has another size (Debug); it is ready,
// paused, drained, stopped (Info).
// Warn is what has failed and is taken care of: a worker died or did not start, an
// input is in quarantine, the pool is degraded or rejects calls. Error is for
// somebody to look at: the pool is flapping, or has given up.
func LogEvents(log *slog.Logger) func(Event) {
	if log == nil {
		log = slog.Default()
	}
	return func(e Event) {
		level := e.level()
		if !log.Enabled(context.Background(), level) {
			return
		}
		facts := e.facts()
		r := slog.NewRecord(e.When(), level, facts[0].Value.String(), 0)
		r.AddAttrs(facts[1:]...)
		_ = log.Handler().Handle(context.Background(), r) // nobody can act on an error here, as in slog itself
	}
}

func (EventUp) level() slog.Level          { return slog.LevelDebug }
func (EventDied) level() slog.Level        { return slog.LevelWarn }
func (EventStartFailed) level() slog.Level { return slog.LevelWarn }
func (EventRecycled) level() slog.Level    { return slog.LevelDebug }
func (EventResized) level() slog.Level     { return slog.LevelDebug }
func (EventQuarantined) level() slog.Level { return slog.LevelWarn }
func (EventReleased) level() slog.Level    { return slog.LevelInfo }
func (e EventCondition) level() slog.Level { return e.To.level(e.Err) }
func (EventMissed) level() slog.Level      { return slog.LevelWarn }

// record begins the facts of an event.
func (h Head) record(text string, more ...slog.Attr) []slog.Attr {
	return append([]slog.Attr{slog.String("event", text), slog.String("pool", h.Pool)}, more...)
}

func (e EventUp) facts() []slog.Attr {
	return append(e.record("worker is up", e.Worker.attrs()...), slog.Duration("took", e.Took))
}

func (e EventDied) facts() []slog.Attr {
	return e.record("worker died", slog.Bool("counted", e.Counted), slog.Any("cause", e.Crash))
}

func (e EventStartFailed) facts() []slog.Attr {
	return append(e.record("worker did not start", e.Worker.attrs()...), slog.Any("cause", e.Err))
}

func (e EventRecycled) facts() []slog.Attr {
	return append(e.record("worker recycled", e.Worker.attrs()...), slog.String("reason", e.Reason.String()),
		slog.Duration("age", e.Age), slog.Int("calls", e.Calls))
}

func (e EventResized) facts() []slog.Attr {
	return e.record("pool resized", slog.Int("from", e.From), slog.Int("to", e.To))
}

func (e EventQuarantined) facts() []slog.Attr {
	a := e.record("input is in quarantine", slog.String("id", e.ID), slog.Any("call", e.Call),
		slog.Int("deaths", e.Deaths), slog.Time("until", e.Until))
	if e.Last != nil {
		a = append(a, slog.String("last", e.Last.Error()))
	}
	return a
}

func (e EventReleased) facts() []slog.Attr {
	return e.record("input is let in again", slog.String("id", e.ID), slog.Any("call", e.Call),
		slog.Uint64("refused", e.Refused), slog.String("why", e.Why))
}

func (e EventCondition) facts() []slog.Attr {
	a := e.record("pool is "+e.To.String(), slog.String("before", e.From.String()))
	if e.Because != "" {
		a = append(a, slog.String("because", e.Because))
	}
	return a
}

func (e EventMissed) facts() []slog.Attr {
	return e.record("events of the pool were dropped: they are not handled fast enough", slog.Uint64("dropped", e.Events))
}

// line is an event as a line of text.
func (h Head) line(format string, args ...any) string {
	return "pool " + h.Pool + ": " + fmt.Sprintf(format, args...)
}

func (e EventUp) String() string {
	return e.line("%v is up, after %v", e.Worker, e.Took.Round(time.Millisecond))
}
func (e EventDied) String() string        { return e.line("%v", e.Crash) }
func (e EventStartFailed) String() string { return e.line("%v", e.Err) }

func (e EventRecycled) String() string {
	return e.line("%v was recycled (%v), after %d calls in %v", e.Worker, e.Reason, e.Calls, e.Age.Round(time.Millisecond))
}

func (e EventResized) String() string { return e.line("resized from %d to %d workers", e.From, e.To) }

func (e EventQuarantined) String() string {
	return e.line("input %s of %v is in quarantine until %s, after %d deaths", e.ID, e.Call, e.Until.Format(time.RFC3339), e.Deaths)
}

func (e EventReleased) String() string {
	return e.line("input %s of %v is let in again: %s", e.ID, e.Call, e.Why)
}

func (e EventCondition) String() string {
	if e.Because == "" {
		return e.line("%v, was %v", e.To, e.From)
	}
	return e.line("%v, was %v: %s", e.To, e.From, e.Because)
}

func (e EventMissed) String() string { return e.line("%d events were dropped", e.Events) }

// LogValue has every fact.
func (e EventUp) LogValue() slog.Value { return slog.GroupValue(e.facts()...) }

// LogValue has every fact.
func (e EventDied) LogValue() slog.Value { return slog.GroupValue(e.facts()...) }

// LogValue has every fact.
func (e EventStartFailed) LogValue() slog.Value { return slog.GroupValue(e.facts()...) }

// LogValue has every fact.
func (e EventRecycled) LogValue() slog.Value { return slog.GroupValue(e.facts()...) }

// LogValue has every fact.
func (e EventResized) LogValue() slog.Value { return slog.GroupValue(e.facts()...) }

// LogValue has every fact.
func (e EventQuarantined) LogValue() slog.Value { return slog.GroupValue(e.facts()...) }

// LogValue has every fact.
func (e EventReleased) LogValue() slog.Value { return slog.GroupValue(e.facts()...) }

// LogValue has every fact.
func (e EventCondition) LogValue() slog.Value { return slog.GroupValue(e.facts()...) }

// LogValue has every fact.
func (e EventMissed) LogValue() slog.Value { return slog.GroupValue(e.facts()...) }
