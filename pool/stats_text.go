package pool

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// String is several lines for a terminal.
func (s Stats) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "pool %s: %s\n", s.Pool, s.condition())
	fmt.Fprintf(&b, "  workers  %d of %d up, %d spare, %d leaving; %d starts, %d failed\n", s.Up, s.Size, s.Spares, s.Leaving, s.Starts, s.FailedStarts)
	fmt.Fprintf(&b, "  deaths   %s\n", counted(s.Deaths))
	fmt.Fprintf(&b, "  recycled %s\n", counted(s.Recycled))
	fmt.Fprintf(&b, "  now      %d calls running, %d queued", s.Busy, s.Queued)
	if s.Queued > 0 {
		fmt.Fprintf(&b, ", the oldest for %v", brief(s.Oldest))
	}
	fmt.Fprintf(&b, "\n  calls    %s\n", s.calls())
	fmt.Fprintf(&b, "  queued   %v\n  ran      %v\n", s.QueueTime, s.RunTime)
	s.table(&b)
	return strings.TrimRight(b.String(), "\n")
}

func (s Stats) condition() string {
	if s.Because == "" {
		return s.Condition.String()
	}
	return s.Condition.String() + ": " + s.Because
}

// table has one line for each worker, and one more for how its last life ended if
// that was not in order.
func (s Stats) table(b *strings.Builder) {
	if len(s.Workers) == 0 {
		return
	}
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format, args...) } // to a strings.Builder
	line("  WORKER\tPID\tRUN\tSTATE\tSEAT\tFOR\tCALLS\tCRASHES\tRSS\tP50\tP99\tMAX\tDUE\n")
	for _, w := range s.Workers {
		line("  %s\t%d\t%d\t%v\t%d\t%v\t%d\t%d\t%s\t%v\t%v\t%v\t%v\n", w.Name, w.PID, w.Run, w.State, w.Seat,
			since(w.Since, s.Time), w.Calls, w.Crashes, size(w.RSS),
			brief(w.RunTime.P50), brief(w.RunTime.P99), brief(w.RunTime.Max), w.Due)
	}
	_ = t.Flush()
	for _, w := range s.Workers {
		if w.LastExit != nil && w.LastExit.Err != nil {
			fmt.Fprintf(b, "  %s before: %v\n", w.Name, w.LastExit)
		}
	}
}

// String is one line.
func (l Latency) String() string {
	if l.Count == 0 {
		return "no calls in the last minute"
	}
	return fmt.Sprintf("p50 %v, p95 %v, p99 %v, max %v (%d calls in the last minutes)", brief(l.P50), brief(l.P95), brief(l.P99), brief(l.Max), l.Count)
}

// calls says what became of all calls.
func (c Counters) calls() string {
	parts := []string{fmt.Sprintf("%d ended", c.Calls)}
	for _, n := range c.fates() {
		if n.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.count, strings.ReplaceAll(n.name, "_", " ")))
		}
	}
	return strings.Join(parts, ", ")
}

// named is a counter with its name.
type named struct {
	name  string
	count uint64
}

func (c Counters) fates() []named {
	return []named{
		{"answered", c.Answered},
		{"refused_by_the_function", c.Refused},
		{"crashed", c.Crashed},
		{"interrupted", c.Interrupted},
		{"overloaded", c.Overloaded},
		{"queue_timeouts", c.QueueTimeouts},
		{"quarantined", c.Quarantined},
		{"reentries", c.Reentries},
		{"unavailable", c.Unavailable},
		{"failed", c.Failed},
		{"retried", c.Retried},
		{"retries_denied", c.RetriesDenied},
	}
}

// counted says how often what has happened.
func counted[K interface {
	cmp.Ordered
	fmt.Stringer
}](m map[K]uint64,
) string {
	if len(m) == 0 {
		return "none"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%d %v", m[k], k))
	}
	return strings.Join(parts, ", ")
}

// since is how long ago something was, as one reads it.
func since(then, now time.Time) string {
	if then.IsZero() {
		return "-"
	}
	return now.Sub(then).Round(time.Second).String()
}

// size is a number of bytes, as one reads it.
func size(bytes int64) string {
	if bytes == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0fM", float64(bytes)/(1<<20))
}

// LogValue has all numbers of the pool, of the counters those that are not zero.
func (s Stats) LogValue() slog.Value {
	a := []slog.Attr{slog.String("pool", s.Pool), slog.String("condition", s.Condition.String())}
	if s.Because != "" {
		a = append(a, slog.String("because", s.Because))
	}
	a = append(a, slog.Int("size", s.Size), slog.Int("up", s.Up), slog.Int("spares", s.Spares), slog.Int("leaving", s.Leaving),
		slog.Int("busy", s.Busy), slog.Int("queued", s.Queued), slog.Duration("oldest", s.Oldest),
		slog.Any("queue_time", s.QueueTime), slog.Any("run_time", s.RunTime), slog.Uint64("calls", s.Calls))
	for _, n := range append(s.fates(), named{"starts", s.Starts}, named{"failed_starts", s.FailedStarts}, named{"replaced", s.Replaced}) {
		if n.count > 0 {
			a = append(a, slog.Uint64(n.name, n.count))
		}
	}
	return slog.GroupValue(append(a, slog.String("deaths", counted(s.Deaths)), slog.String("recycled", counted(s.Recycled)))...)
}

// LogValue has every number.
func (l Latency) LogValue() slog.Value {
	return slog.GroupValue(slog.Uint64("count", l.Count), slog.Duration("p50", l.P50), slog.Duration("p95", l.P95),
		slog.Duration("p99", l.P99), slog.Duration("max", l.Max))
}
