package tree

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/thejerf/suture/v4"
)

// EventHook returns a hook for suture.Spec.EventHook that writes one record per event of a suture.Supervisor. nil is
// slog.Default(). The levels are those of LogEvents: Warn for a service that suture takes care of, Error for a
// backoff, because nothing is restarted meanwhile, and for a service that does not stop.
//
// The attribute restarting is false for a service that has to wait until the supervisor resumes. failures is
// suture's count, which decays with time; above threshold the supervisor backs off.
func EventHook(log *slog.Logger) suture.EventHook {
	if log == nil {
		log = slog.Default()
	}
	return func(e suture.Event) {
		level, message, attrs := sutureRecord(e)
		if log.Enabled(context.Background(), level) {
			write(log, time.Now(), level, message, attrs)
		}
	}
}

func sutureRecord(e suture.Event) (slog.Level, string, []slog.Attr) {
	switch e := e.(type) {
	case suture.EventServicePanic:
		attrs := failedService(e.SupervisorName, e.ServiceName, e.CurrentFailures, e.FailureThreshold, e.Restarting)
		return slog.LevelWarn, "service panicked", append(attrs, slog.Group("cause",
			slog.String("error", "panic: "+e.PanicMsg), slog.String("stack", e.Stacktrace)))
	case suture.EventServiceTerminate:
		attrs := failedService(e.SupervisorName, e.ServiceName, e.CurrentFailures, e.FailureThreshold, e.Restarting)
		switch err := e.Err.(type) {
		case nil:
			return slog.LevelWarn, "service ended", attrs
		case error:
			return slog.LevelWarn, "service failed", append(attrs, cause(err))
		default:
			return slog.LevelWarn, "service failed", append(attrs, slog.Any("cause", err))
		}
	case suture.EventBackoff:
		return slog.LevelError, "supervisor backs off: its services failed too often",
			[]slog.Attr{slog.String("supervisor", e.SupervisorName)}
	case suture.EventResume:
		return slog.LevelInfo, "supervisor resumes after its backoff",
			[]slog.Attr{slog.String("supervisor", e.SupervisorName)}
	case suture.EventStopTimeout:
		return slog.LevelError, "service abandoned: it has not stopped within suture.Spec.Timeout",
			[]slog.Attr{slog.String("supervisor", e.SupervisorName), slog.String("service", e.ServiceName)}
	}
	return slog.LevelInfo, "event of a suture.Supervisor", otherEvent(e)
}

func failedService(supervisor, service string, failures, threshold float64, restarting bool) []slog.Attr {
	return []slog.Attr{
		slog.String("supervisor", supervisor), slog.String("service", service),
		slog.Bool("restarting", restarting), slog.Float64("failures", failures), slog.Float64("threshold", threshold),
	}
}

// otherEvent keeps the facts of an event that this version of suture does not have.
func otherEvent(e suture.Event) []slog.Attr {
	facts := e.Map()
	attrs := []slog.Attr{slog.Int("type", int(e.Type()))}
	for _, key := range slices.Sorted(maps.Keys(facts)) {
		attrs = append(attrs, slog.Any(key, facts[key]))
	}
	return attrs
}
