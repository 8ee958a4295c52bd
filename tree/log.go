package tree

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/thejerf/suture/v4"
)

// LogEvents returns a hook for Spec.OnEvent that writes one record per event. nil is slog.Default().
//
// The levels say who has to care. Info is the healthy path, and Debug its details and what is said twice. Warn is what
// has failed and is taken care of, restarts included. Error is for somebody to look at: a supervisor gave up, the tree did
// not start, a child was abandoned.
//
// The attributes are those fields of the Event that are set: path, run, took, attempt, delay, and cause. A cause that
// is a slog.LogValuer, or wraps one, is a group with all its facts. An error that only hands on what has happened further
// below is a text, because that has a record of its own.
//
// The supervisor waits for the logger's handler, so that should not block. Several hooks are combined by a function:
//
//	log := tree.LogEvents(logger)
//	spec.OnEvent = func(e tree.Event) { log(e); count(e) }
func LogEvents(log *slog.Logger) func(Event) {
	if log == nil {
		log = slog.Default()
	}
	return func(e Event) {
		level, message := judge(e)
		if !log.Enabled(context.Background(), level) {
			return
		}
		write(log, e.Time, level, message, e.attrs())
	}
}

// write is log.LogAttrs with a time, and without a source line, which would be one of this package.
func write(log *slog.Logger, at time.Time, level slog.Level, message string, attrs []slog.Attr) {
	r := slog.NewRecord(at, level, message, 0)
	r.AddAttrs(attrs...)
	_ = log.Handler().Handle(context.Background(), r) // nobody can act on an error here, as in slog itself
}

// judgement is how an event is logged.
type judgement struct {
	level   slog.Level
	message string
}

var judgements = map[EventKind]judgement{
	EventStarting:     {slog.LevelDebug, "child is starting"},
	EventStarted:      {slog.LevelInfo, "child started"},
	EventStartFailed:  {slog.LevelWarn, "child did not start"},
	EventIgnored:      {slog.LevelInfo, "child need not run"},
	EventExited:       {slog.LevelInfo, "child ended"},
	EventRestarting:   {slog.LevelWarn, "child waits for its restart"},
	EventStopping:     {slog.LevelDebug, "child is asked to stop"},
	EventKilling:      {slog.LevelWarn, "child is killed"},
	EventStopped:      {slog.LevelInfo, "child stopped"},
	EventAbandoned:    {slog.LevelError, "child abandoned: it still runs and does not react to the end of its context"},
	EventReturned:     {slog.LevelWarn, "abandoned child returned at last"},
	EventForgotten:    {slog.LevelDebug, "child forgotten"},
	EventUp:           {slog.LevelInfo, "supervisor up"},
	EventGaveUp:       {slog.LevelError, "supervisor gave up: it had to restart too often"},
	EventAutoShutdown: {slog.LevelInfo, "supervisor is ending: a significant child has ended"},
	EventEnding:       {slog.LevelInfo, "supervisor is ending"},
	EventEnded:        {slog.LevelInfo, "supervisor ended"},
}

// noticed is from when on a delay is worth a record that an operator sees.
const noticed = time.Second

// judge returns how an event is logged, which depends also on its cause.
func judge(e Event) (slog.Level, string) {
	j := judgements[e.Kind]
	switch e.Kind {
	case EventStarted:
		if e.Run > 1 {
			return slog.LevelWarn, "child restarted"
		}
	case EventStartFailed:
		if errors.Is(e.Err, ErrShutdown) {
			return slog.LevelInfo, "child's start was broken off"
		}
	case EventRestarting:
		if e.Delay < noticed { // its restart is told in a moment
			return slog.LevelDebug, j.message
		}
	case EventExited:
		if !orderly(e.Err) {
			return slog.LevelWarn, "child failed"
		}
	case EventStopped:
		if !stoppedWell(e.Err) {
			return slog.LevelWarn, "child stopped with an error"
		}
	case EventUp, EventEnding, EventEnded:
		return judgeSupervisor(e)
	}
	if j.message == "" {
		return slog.LevelInfo, e.Kind.String()
	}
	return j.level, j.message
}

// judgeSupervisor is about events of which, below another supervisor, that one tells the rest: the child has
// started, has not started, has stopped.
func judgeSupervisor(e Event) (slog.Level, string) {
	j := judgements[e.Kind]
	nested := strings.Contains(e.Path, "/")
	switch {
	case e.Kind == EventEnding && isStartError(e.Err) && nested:
		return slog.LevelWarn, "supervisor did not start"
	case e.Kind == EventEnding && isStartError(e.Err):
		return slog.LevelError, "supervisor did not start"
	case e.Kind == EventEnding && !stoppedWell(e.Err):
		return slog.LevelWarn, j.message
	case nested:
		return slog.LevelDebug, j.message
	}
	return j.level, j.message
}

// orderly reports whether a run that ended by itself has not failed. ErrShutdown and AutoShutdownError match
// suture's sentinel too.
func orderly(err error) bool { return err == nil || errors.Is(err, suture.ErrDoNotRestart) }

// stoppedWell reports whether this is a good answer to having been stopped.
func stoppedWell(err error) bool {
	return orderly(err) || errors.Is(err, context.Canceled) || errors.Is(err, ErrKilled)
}

func isStartError(err error) bool {
	_, ok := errors.AsType[*StartError](err)
	return ok
}

func (e Event) attrs() []slog.Attr {
	attrs := append(make([]slog.Attr, 0, 6), slog.String("path", e.Path), slog.Int("run", e.Run))
	if e.Took > 0 {
		attrs = append(attrs, slog.Duration("took", e.Took))
	}
	if e.Attempt > 0 {
		attrs = append(attrs, slog.Int("attempt", e.Attempt), slog.Duration("delay", e.Delay))
	}
	switch {
	case e.Err == nil:
	case e.Kind != EventGaveUp && toldBelow(e.Err):
		attrs = append(attrs, slog.String("cause", e.Err.Error()))
	default:
		attrs = append(attrs, cause(e.Err))
	}
	return attrs
}

// toldBelow reports whether a supervisor hands on by this error what has happened to its children.
func toldBelow(err error) bool {
	_, intensity := errors.AsType[*IntensityError](err)
	_, terminated := errors.AsType[*TerminatedError](err)
	return intensity || terminated || isStartError(err)
}

// cause is the attribute for an error, with the facts that it carries or wraps.
func cause(err error) slog.Attr {
	var facts slog.LogValuer
	if !errors.As(err, &facts) {
		return slog.Any("cause", err)
	}
	if inner, ok := facts.(error); ok && inner.Error() == err.Error() { // itself, or a wrapper that adds no words
		return slog.Any("cause", facts)
	}
	return slog.Group("cause", slog.String("error", err.Error()), slog.Any("facts", facts))
}

// LogValue carries the stack too.
func (e *PanicError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("error", e.Error()), slog.String("stack", string(e.Stack)))
}

// LogValue carries every fact.
func (e *StartError) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("error", e.Error()), slog.String("path", e.Path), slog.String("child", e.ID)}
	if e.Err != nil {
		attrs = append(attrs, cause(e.Err))
	}
	return slog.GroupValue(attrs...)
}

// LogValue carries every fact, and of the causes who it was and what it said.
func (e *IntensityError) LogValue() slog.Value {
	causes := make([]string, len(e.Causes))
	for i, f := range e.Causes {
		causes[i] = f.ID + ": " + endText(f.Err)
	}
	return slog.GroupValue(
		slog.String("error", e.Error()), slog.String("path", e.Path), slog.String("child", e.ID),
		slog.Int("restarts", e.Restarts), slog.Int("limit", e.Limit), slog.Duration("period", e.Period),
		slog.Any("causes", causes))
}

// endText says how a run ended. fmt survives an Error method that panics.
func endText(err error) string {
	if err == nil {
		return "ended normally"
	}
	return fmt.Sprint(err)
}
