package pool

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/tree"
)

// Condition is how a pool is, in a word.
type Condition uint8

// The conditions. If several are true, that which stands last here counts.
const (
	Ready     Condition = iota // as many workers are up as there should be, or were until a second ago
	Degraded                   // some have not been up for more than a second
	Starting                   // Serve has been called, and Config.MinReady workers are not up yet
	Flapping                   // workers died or did not start 5 times within 30 s, and twice for each that there should be; until that is less than half
	Rejecting                  // calls are refused because there is no room, or were within the last 5 s
	Paused                     // calls wait until Resume
	Draining                   // no more calls are let in, those that are there are ended
	Drained                    // no more calls are let in, and none is there
	Stopped                    // Serve is not running
)

const (
	flapWindow = 30 * time.Second
	flapLeast  = 5               // deaths in it
	calmAfter  = 5 * time.Second // without a refused call
	shortAfter = time.Second     // with fewer workers than there should be
)

var conditionNames = [...]string{"ready", "degraded", "starting", "flapping", "rejecting", "paused", "draining", "drained", "stopped"}

// String is one word.
func (c Condition) String() string {
	if int(c) < len(conditionNames) {
		return conditionNames[c]
	}
	return fmt.Sprintf("Condition(%d)", uint8(c))
}

// MarshalText is String.
func (c Condition) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// level is how a change to it is logged; err is why the pool has stopped.
func (c Condition) level(err error) slog.Level {
	switch c {
	case Starting:
		return slog.LevelDebug
	case Degraded, Rejecting:
		return slog.LevelWarn
	case Flapping:
		return slog.LevelError
	case Stopped:
		if is[*tree.IntensityError](err) {
			return slog.LevelError
		}
	}
	return slog.LevelInfo
}

// facts are what a condition rests on.
type facts struct {
	serving          bool  // Serve is running
	ended            error // how it ended last; nil: it was never called
	begun            bool  // MinReady workers have been up in this service
	paused, draining bool
	running, queued  int // calls
	seats, up        int
	short            time.Duration // since when up is less than seats; 0: it is not
	deaths           int           // and failed starts, within flapWindow
	flapLimit        int
	lastDeath        error
	refusal          error         // of the last call that was; may be nil
	calm             time.Duration // since then
}

// judge says how a pool is and why, and after how long to look again although
// nothing happens; 0: there is no need. was is what it has said last, so that it does
// not change its mind all the time.
func judge(f facts, was Condition) (is Condition, because string, again time.Duration) {
	flapping := f.deaths >= f.flapLimit || was == Flapping && f.deaths >= (f.flapLimit+1)/2
	switch {
	case !f.serving && f.ended == nil:
		return Stopped, "nobody has served it", 0
	case !f.serving:
		return Stopped, f.ended.Error(), 0
	case f.draining && f.running+f.queued == 0:
		return Drained, "until Resume, no calls are let in", 0
	case f.draining:
		return Draining, fmt.Sprintf("%d calls running, %d queued", f.running, f.queued), 0
	case f.paused:
		return Paused, fmt.Sprintf("%d calls wait until Resume", f.queued), 0
	case f.refusal != nil && f.calm < calmAfter:
		return Rejecting, refusalText(f.refusal), calmAfter - f.calm
	case flapping:
		return Flapping, fmt.Sprintf("%d deaths in %v, last %s", f.deaths, flapWindow, deathText(f.lastDeath)), time.Second
	case !f.begun:
		return Starting, f.workers(), 0
	case f.short >= shortAfter, f.short > 0 && was == Degraded:
		return Degraded, f.workers(), 0
	case f.short > 0:
		return Ready, f.workers(), shortAfter - f.short
	}
	return Ready, "", 0
}

func (f facts) workers() string { return fmt.Sprintf("%d of %d workers up", f.up, f.seats) }

// flapLimit is how many deaths within flapWindow are too many.
func flapLimit(workers int) int { return max(flapLeast, 2*workers) }

// refusalText is why calls are refused.
func refusalText(err error) string {
	if full, ok := errors.AsType[*OverloadedError](err); ok {
		if full.Queued == 0 {
			return fmt.Sprintf("all workers are busy (%d calls) and none may wait", full.Busy)
		}
		return fmt.Sprintf("the queue is full (%d calls, the oldest for %v)", full.Queued, brief(full.Oldest))
	}
	if late, ok := errors.AsType[*QueueTimeoutError](err); ok {
		return fmt.Sprintf("calls wait longer than %v (%d in the queue)", late.Limit, late.Queued)
	}
	if none, ok := errors.AsType[*child.UnavailableError](err); ok {
		return none.Reason
	}
	return err.Error()
}

// deathText names a cause.
func deathText(err error) string {
	if is[*child.StartError](err) {
		return "a failed start"
	}
	if crash, ok := errors.AsType[*child.CrashError](err); ok {
		return crash.Cause.String()
	}
	return fmt.Sprint(err)
}

// brief is a duration with two digits; what is under a microsecond is none.
func brief(d time.Duration) time.Duration {
	for unit := 100 * time.Second; unit >= 100*time.Nanosecond; unit /= 10 {
		if d >= 10*unit {
			return d.Round(unit)
		}
	}
	return 0
}
