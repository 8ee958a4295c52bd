package pool

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/histogram"
)

// Stats is what a pool was doing at one moment. It is the caller's, and does not
// change. Its numbers were taken together, those of each worker a moment later. As
// JSON, durations are nanoseconds.
type Stats struct {
	Pool      string
	Time      time.Time
	Condition Condition
	Because   string // why, in words; may be ""

	Size    int           // workers at work there should be at present
	Up      int           // those of them that are ready
	Spares  int           // ready workers that wait to take the place of another
	Leaving int           // workers that are being stopped, or end their last calls before that
	Busy    int           // calls given to workers and not settled, those whose callers have left included
	Queued  int           // calls that wait for a worker
	Oldest  time.Duration // how long the first of them has been waiting

	QueueTime Latency // of calls that got a worker; 0 for those that found it free
	RunTime   Latency // of calls, from being given to a worker until it is free of them

	Counters
	Workers []WorkerStats // by the numbers of their slots
}

// Counters are counted from [New] on. The calls that have ended are the sum of the
// second group.
type Counters struct {
	Calls uint64 // that have ended

	Answered      uint64 // with a value; a stream also if its loop was left before the end
	Refused       uint64 // by the function: *child.RemoteError
	Crashed       uint64 // with their worker: *child.CrashError
	Interrupted   uint64 // by the caller's context, or CallTimeout: *child.InterruptedError
	Overloaded    uint64 // *OverloadedError
	QueueTimeouts uint64 // *QueueTimeoutError
	Quarantined   uint64 // *QuarantinedError
	Reentries     uint64 // *ReentryError
	Unavailable   uint64 // for want of workers: *child.UnavailableError
	Failed        uint64 // for another reason: what was called is wrong

	Retried       uint64 // attempts after the first
	RetriesDenied uint64 // attempts that Retry.Budget did not allow

	Starts       uint64                 // of workers, the failed ones included
	FailedStarts uint64                 //
	Deaths       map[child.Cause]uint64 // of workers that were ready
	Recycled     map[Reason]uint64      // workers that were ready, and are gone
	Replaced     uint64                 // workers that are gone for such a reason, those that never were ready included
}

// Latency is how long something took, in the last one to two minutes. The quantiles
// are off by a sixteenth at most, or by 64 ns; Max is exact.
type Latency struct {
	Count              uint64
	P50, P95, P99, Max time.Duration
}

func latencyOf(h histogram.Histogram) Latency {
	return Latency{h.Count(), h.Quantile(0.5), h.Quantile(0.95), h.Quantile(0.99), h.Max()}
}

// WorkerState is what a worker is doing.
type WorkerState uint8

// The states.
const (
	WorkerStarting   WorkerState = iota // for the first time
	WorkerRestarting                    // after a death
	WorkerIdle
	WorkerBusy    // it has at least one call
	WorkerSpare   // it waits for a seat, and gets no calls
	WorkerLeaving // it gets no more calls, and ends
	WorkerDown    // nobody serves the pool
)

var stateNames = [...]string{"starting", "restarting", "idle", "busy", "spare", "leaving", "down"}

// String is one word.
func (s WorkerState) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("WorkerState(%d)", uint8(s))
}

// MarshalText is String.
func (s WorkerState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// WorkerStats is what one worker was doing. Run is its life's number among all lives of
// that name, as in a CrashError; Served and Stale are of this life.
type WorkerStats struct {
	Name string
	child.Stats

	State   WorkerState
	Seat    int    // at work, from 1; 0: none
	Due     Reason // why it is to be replaced, or leaves
	Calls   int    // that this life got
	Load    int    // of them, those that are not settled
	Crashes uint64 // of all lives of that name
	RSS     int64  // resident bytes, 0 if it is not known (Linux only)

	QueueTime Latency
	RunTime   Latency
	LastExit  *End // of the life before; nil: there was none
}

// End is how a life of a worker ended.
type End struct {
	Time time.Time
	Run  uint64
	Err  error // nil: in order
}

// String is one line.
func (e End) String() string {
	if e.Err == nil {
		return fmt.Sprintf("run %d ended in order", e.Run)
	}
	return e.Err.Error()
}

// MarshalJSON writes the error as a text of at most 1,000 bytes.
func (e End) MarshalJSON() ([]byte, error) {
	const limit = 1000
	v := struct {
		Time  time.Time
		Run   uint64
		Error string `json:",omitempty"`
	}{e.Time, e.Run, ""}
	if e.Err != nil {
		v.Error = e.Err.Error()
		v.Error = v.Error[:min(len(v.Error), limit)]
	}
	return json.Marshal(v)
}

// Stats returns what the pool is doing. It holds calls up for some microseconds; the
// sizes of the workers it reads from /proc without holding up anybody.
func (p *Pool) Stats() Stats {
	now := time.Now()
	if p.fault != nil {
		return Stats{Time: now, Pool: p.cfg.Name, Condition: Stopped, Because: p.fault.Error()}
	}
	s, slots, all := p.overview(now)
	s.QueueTime, s.RunTime = latencyOf(all.waits.All(now)), latencyOf(all.runs.All(now))
	for _, slot := range slots {
		s.Workers = append(s.Workers, p.look(slot, now))
	}
	return s
}

// overview is what is known of the pool as a whole.
func (p *Pool) overview(now time.Time) (s Stats, slots []*slot, all times) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.roster
	s = Stats{
		Pool: p.cfg.Name, Time: now, Size: len(r.seats), Up: r.seated, Spares: r.count(isSpare),
		Leaving: len(r.slots) - r.count(isLiving), Busy: r.busy, Queued: r.waiting, Oldest: r.eldest(now),
		Counters: p.counters(),
	}
	s.Condition, s.Because, _ = judge(p.facts(now), p.condition)
	return s, slices.Clone(r.slots), r.times
}

// counters are the counters; p.mu is held.
func (p *Pool) counters() Counters {
	n := func(f fate) uint64 { return p.tally[f].Load() }
	c := Counters{
		Answered: n(fateAnswered), Refused: n(fateRefused), Crashed: n(fateCrashed), Interrupted: n(fateInterrupted),
		Overloaded: n(fateOverloaded), QueueTimeouts: n(fateQueueTimeout), Quarantined: n(fateQuarantined), Reentries: n(fateReentered),
		Unavailable: n(fateUnavailable), Failed: n(fateFailed),
		Starts: p.book.starts, FailedStarts: p.book.unable, Deaths: maps.Clone(p.book.deaths), Recycled: maps.Clone(p.book.recycled),
		Replaced: p.roster.ended,
	}
	for f := range fates {
		c.Calls += n(f)
	}
	c.Retried, c.RetriesDenied = p.retries.counts()
	return c
}

// look is what is known of one worker.
func (p *Pool) look(s *slot, now time.Time) WorkerStats {
	w := WorkerStats{Name: s.worker.proc.Name(), Stats: s.worker.proc.Stats(), RSS: s.worker.memory()}
	recent := w.note(p, s, now)
	w.QueueTime, w.RunTime = latencyOf(recent.waits.All(now)), latencyOf(recent.runs.All(now))
	return w
}

// note notes what the pool knows of a worker.
func (w *WorkerStats) note(p *Pool, s *slot, now time.Time) times {
	p.mu.Lock()
	defer p.mu.Unlock()
	page := p.book.slot(s.n)
	w.State, w.Due, w.Calls, w.Load, w.Crashes, w.LastExit = s.state(), s.reason(), s.given, s.load, page.crashes, page.last
	if s.stage >= leaving {
		w.Due = s.parting
	}
	if !p.serving {
		w.State = WorkerDown
	}
	if s.seat != nil {
		w.Seat = int(s.seat.n)
	}
	return s.times
}

// state is what the worker in the slot is doing.
func (s *slot) state() WorkerState {
	switch {
	case s.stage >= leaving:
		return WorkerLeaving
	case s.stage == starting && s.life > 0:
		return WorkerRestarting
	case s.stage == starting:
		return WorkerStarting
	case s.seat == nil:
		return WorkerSpare
	case s.load > 0:
		return WorkerBusy
	}
	return WorkerIdle
}

// eldest is how long the first in the queue has been waiting.
func (r *roster) eldest(now time.Time) (d time.Duration) {
	for _, l := range r.lines() {
		if w := l.first(); w != nil {
			d = max(d, now.Sub(w.since))
		}
	}
	return d
}
