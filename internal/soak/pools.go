//go:build linux

package main

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/soak/ledger"
	"github.com/verdigris-go/verdigris/pool"
	"github.com/verdigris-go/verdigris/tree"
)

// poolProfile is a way in which a pool is set up.
type poolProfile struct {
	name  string
	share int // of the calls
	set   func(*lane, *pool.Config)
}

// poolProfiles are the small pools. Between them they have every setting once.
var poolProfiles = []poolProfile{
	{"robin", 8, func(_ *lane, c *pool.Config) {
		c.Size, c.Choose, c.Ahead, c.MaxAge, c.Surge = 2, pool.RoundRobin, 3, 400*time.Millisecond, 1
		c.Worker.Window, c.Worker.CallTimeout = 16<<10, 0 // what is not given back there is so for good
	}},
	{"keyed", 8, func(_ *lane, c *pool.Config) {
		c.Size, c.Choose, c.Ahead, c.Worker.Concurrency = 3, pool.ByKey, 1, 2
		c.MaxCalls, c.Jitter, c.Surge = 200, 0.5, pool.NoSurge
	}},
	{"solo", 4, func(_ *lane, c *pool.Config) { c.Size, c.Spares = 1, 1 }},
	{"fresh", 1, func(l *lane, c *pool.Config) { c.Size, c.Spares, c.MaxCalls, l.each = 1, 1, 1, 1 }},
	{"elastic", 5, func(l *lane, c *pool.Config) {
		c.Size, c.Max, c.Idle, c.Queue, c.QueueTimeout, l.short = 1, 3, 50*time.Millisecond, 6, 20*time.Millisecond, true
	}},
	{"strict", 5, func(l *lane, c *pool.Config) {
		c.Size, c.Queue, c.MaxMemory, c.Surge, l.short, l.fat = 2, pool.NoQueue, 40<<20, pool.NoSurge, true, true
	}},
	{"wary", 4, func(_ *lane, c *pool.Config) {
		c.Size, c.Quarantine, c.Retry = 2, pool.Quarantine{Deaths: 2}, pool.Retry{Attempts: 3, Backoff: backoff}
	}},
	{"wary-by-key", 2, func(_ *lane, c *pool.Config) {
		c.Size, c.Quarantine = 1, pool.Quarantine{Deaths: 3, By: pool.ByUserKey}
	}},
	{"stubborn", 6, func(_ *lane, c *pool.Config) {
		c.Size, c.Ahead, c.Retry = 2, 1, pool.Retry{Attempts: 5, Budget: 0.05, Backoff: backoff}
	}},
	{"steady", 4, func(l *lane, c *pool.Config) {
		c.Size, c.MaxCalls, c.Surge, c.Worker.CallTimeout, l.steady = 1, 25, 1, 0, true
	}},
}

// pool makes a pool, the nth.
func (ls *lanes) pool(dir string, cfg child.Config, p poolProfile, n int) tree.Child {
	cfg.Name, cfg.Env = p.name, append(slices.Clone(cfg.Env), "SOAK_LANE="+p.name)
	l := &lane{name: p.name, share: p.share, branch: p.name}
	c := pool.Config{Worker: cfg, Intensity: unlimited, Backoff: backoff}
	p.set(l, &c)
	l.width, l.size, l.most = max(c.Worker.Concurrency, 1), c.Size, max(c.Max, c.Size+1)
	if c.Max > 0 {
		l.most = c.Max
	}
	l.keyed, l.deaths, l.by = c.Choose == pool.ByKey, c.Quarantine.Deaths, c.Quarantine.By
	if l.attempts = c.Retry.Attempts; l.attempts > 1 {
		l.budget = 100
		if c.Retry.Budget > 0 {
			l.budget = int(c.Retry.Budget * 1000)
		}
	}
	l.home = home{Dir: dir, Lane: p.name, Width: l.width}
	c.Worker.Setup = workers.With(l.home)
	if way := listening[n%len(listening)]; way != nil {
		e := &ear{way: way}
		ls.ears = append(ls.ears, e)
		c.Events = func(v pool.Event) { e.hear(l.pool, v) }
	}
	l.pool = pool.New(c)
	l.caller, l.killer = l.pool, l.pool
	l.stats = func() (all []child.Stats) {
		for _, w := range l.pool.Stats().Workers {
			all = append(all, w.Stats)
		}
		return all
	}
	ls.all = append(ls.all, l)
	return tree.Child{ID: p.name, Service: l.pool}
}

// ear hears the events of a pool, one after the other and in order.
type ear struct {
	way    func(p *pool.Pool, n int64)
	busy   atomic.Bool
	heard  atomic.Int64
	last   time.Time
	faults atomic.Pointer[string]
}

// listening are the ways of hearing events, taken in turn; nil: they are logged.
var listening = []func(p *pool.Pool, n int64){
	nil,
	func(*pool.Pool, int64) { time.Sleep(2 * time.Millisecond) },
	func(_ *pool.Pool, n int64) {
		if n%3 == 0 {
			panic("no ear for this")
		}
	},
	func(p *pool.Pool, _ int64) { p.Stats(); p.Quarantined(); p.Release("0") },
}

func (e *ear) hear(p *pool.Pool, v pool.Event) {
	if e.busy.Swap(true) {
		e.fault("two events are told at once, the second %v", v)
	}
	defer e.busy.Store(false)
	switch v.(type) {
	case pool.EventQuarantined, pool.EventReleased, pool.EventMissed: // at once with others, by another lock
	default:
		if v.When().Before(e.last) {
			e.fault("an event of %v is told after one of %v: %v", v.When(), e.last, v)
		}
		e.last = v.When()
	}
	e.way(p, e.heard.Add(1))
}

func (e *ear) fault(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	e.faults.Store(&text)
}

// left is what lanes still have when it has not gone away within the limit.
func (ls *lanes) left(limit time.Duration, look func(*lane) string) (found []string) {
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		found = nil
		for _, l := range ls.all {
			if text := look(l); text != "" {
				found = append(found, fmt.Sprintf("in %s: %s", l.name, text))
			}
		}
		if len(found) == 0 || !time.Now().Before(deadline) {
			return found
		}
	}
}

// load is what a lane still has of calls.
func (l *lane) load() string {
	flying := 0
	for _, w := range l.stats() {
		flying += w.InFlight
	}
	if l.pool == nil {
		return sayUnless(flying == 0, "%d calls in the worker", flying)
	}
	s := l.pool.Stats()
	return sayUnless(s.Busy == 0 && s.Queued == 0 && flying == 0, "%d calls with workers, %d in the queue, %d in the workers", s.Busy, s.Queued, flying)
}

// unrest is what a lane still has to do.
func (l *lane) unrest() string {
	if text := l.load(); text != "" || l.pool == nil {
		return text
	}
	s := l.pool.Stats()
	return sayUnless(s.Up == s.Size && s.Leaving == 0, "%d of %d workers up, %d leaving", s.Up, s.Size, s.Leaving)
}

func sayUnless(good bool, format string, args ...any) string {
	if good {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// audit compares what pools have counted with what they were asked for, and their
// events with what is said of events.
func (ls *lanes) audit(s *soak) {
	for _, l := range ls.all {
		if l.pool == nil {
			continue
		}
		n := l.pool.Stats().Counters
		sum := n.Answered + n.Refused + n.Crashed + n.Interrupted + n.Overloaded + n.QueueTimeouts + n.Quarantined + n.Reentries + n.Unavailable + n.Failed
		if asked := uint64(l.asked.Load()); n.Calls != asked || sum != asked {
			s.complain("%s was asked for %d calls, and has counted %d, and %d of all kinds: %+v", l.name, asked, n.Calls, sum, n)
		}
	}
	for _, e := range ls.ears {
		if text := e.faults.Load(); text != nil {
			s.complain("events: %s", *text)
		}
		if e.heard.Load() == 0 {
			s.complain("events: none was told")
		}
	}
}

// promise writes down what the pools have promised.
func (ls *lanes) promise(s *soak) {
	for _, l := range ls.all {
		if l.pool == nil {
			continue
		}
		line := ledger.Line{Event: ledger.Pool, Lane: l.name, Budget: l.budget, Each: l.each}
		if l.attempts > 1 {
			line.Spare = 10
		}
		if l.steady {
			line.Steady = 1
		}
		s.write(line)
	}
}
