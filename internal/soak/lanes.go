//go:build linux

package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
	"github.com/verdigris-go/verdigris/strategy"
	"github.com/verdigris-go/verdigris/tree"
)

// lane is where calls go: a pool, or one worker.
type lane struct {
	name   string
	share  int // of the calls
	width  int // how many calls one of its workers runs at once
	caller child.Caller
	killer tree.Killer
	stats  func() []child.Stats
	under  *tree.Supervisor // its supervisor
	branch string           // the child of the root that it belongs to
	spare  bool             // it has little to do
	memory bool             // it has a limit of memory
	tasks  bool             // it has a limit of processes and threads
	asked  atomic.Int64     // calls that were passed on to it

	// Of a pool.
	pool     *pool.Pool // nil: it is none
	home     home       // of its workers
	size     int        // at first
	most     int        // to which it may be resized
	keyed    bool       // calls are chosen by key
	attempts int        // for each call that is idempotent
	budget   int        // of them, for each thousand calls
	deaths   int        // until an input is in quarantine; 0: never
	by       pool.Identity
	each     int          // calls of a worker, if that is a promise
	steady   bool         // no worker of it may die, so that there always is one
	fat      bool         // its workers keep some memory
	short    bool         // few calls may wait for it, and not for long
	edition  atomic.Int64 // of its workers
}

// lanes are all of them, under one root.
type lanes struct {
	root *tree.Supervisor
	all  []*lane      // the spare one last
	lone child.Config // of a worker for a single call
	logs *counter
	dead obituaries
	ears []*ear // of the pools
}

// maxFrame is the most that a call may carry.
const maxFrame = 8 << 20

// The faults are meant to happen: restarts without end, and soon.
var (
	unlimited = strategy.Intensity{Restarts: 1 << 40, Period: time.Second}
	backoff   = strategy.Backoff{Initial: 2 * time.Millisecond, Max: 10 * time.Millisecond}
)

// profile is a way in which a single worker is set up.
type profile struct {
	name string
	set  func(*child.Config)
}

// profiles are taken in turn.
var profiles = []profile{
	{"ahead", func(*child.Config) {}},
	{"wide", func(c *child.Config) { c.Concurrency, c.Contain = 4, child.ContainGroup }},
	{"alone", func(c *child.Config) {
		c.Ahead, c.Contain, c.Env = -1, ownNamespace(), append(slices.Clone(c.Env), unnoticed+"=1")
	}},
	{"hasty", func(c *child.Config) {
		c.Ahead, c.CallTimeout, c.OnCancel, c.Dump = -1, 150*time.Millisecond, child.Kill, patience
		c.Memory, c.Tasks = memoryLimit, tasksLimit()
	}},
}

// spare has no time for a start that hangs, nor for a worker that is stopped.
var spare = profile{"spare", func(c *child.Config) {
	c.StartTimeout, c.Heartbeat, c.Contain = 300*time.Millisecond, 100*time.Millisecond, child.ContainGroup
	c.Memory = memoryLimit
}}

// ownNamespace is ContainPIDNamespace where that can be had.
var ownNamespace = sync.OnceValue(func() child.Contain {
	if _, err := child.Once(context.Background(), child.Config{Contain: child.ContainPIDNamespace}, nothing, true); err != nil {
		return child.ContainGroup
	}
	return child.ContainPIDNamespace
})

// memoryLimit is more than any other fault needs.
const memoryLimit = 256 << 20

// tasksLimit is a limit where there can be one, else none.
var tasksLimit = sync.OnceValue(func() int {
	if _, err := child.Once(context.Background(), child.Config{Tasks: 64}, nothing, true); err != nil {
		return 0
	}
	return 64
})

// newLanes makes the tree: half of the workers in a pool, one of them as its
// spare, the others two by two under supervisors of every strategy; besides them
// one that has little to do, and the small pools.
func newLanes(dir, nonce string, size int) (*lanes, error) {
	ls := &lanes{logs: &counter{}}
	base := child.Config{
		Env:         []string{nonce, "PATH", "TMPDIR=" + filepath.Join(dir, tmpDir)},
		Dir:         filepath.Join(dir, cwdDir),
		CallTimeout: 20 * time.Second, // later than what is left behind is looked for
		Grace:       patience,
		MaxFrame:    maxFrame,
		Logger:      slog.New(ls.logs),
		Stop:        child.Stop{Drain: 300 * time.Millisecond, Close: 100 * time.Millisecond, Term: 100 * time.Millisecond},
	}
	ls.lone = base
	ls.lone.Name, ls.lone.Setup = "lone", workers.With(home{Dir: dir, Lane: "lone", Width: 1})
	many := size / 2
	profiles := append([]poolProfile{{"pool", 40, func(l *lane, c *pool.Config) {
		c.Size, c.Spares, c.MaxCalls, c.Queue = max(many-1, 1), min(many-1, 1), 300, 1<<16
	}}}, poolProfiles...)
	var children []tree.Child
	for i, p := range profiles {
		children = append(children, ls.pool(dir, base, p, i))
	}
	for n := 0; n < size-many; n += 2 {
		c, err := ls.group(dir, base, n, min(2, size-many-n))
		if err != nil {
			return nil, err
		}
		children = append(children, c)
	}
	last, err := ls.branch("spare", strategy.OneForOne, ls.single(dir, base, spare, 0))
	if err != nil {
		return nil, err
	}
	ls.all[len(ls.all)-1].spare, ls.all[len(ls.all)-1].share = true, 1
	ls.root, err = tree.New(tree.Spec{Intensity: unlimited, Children: append(children, last), OnEvent: ls.dead.note})
	return ls, err
}

// group makes a supervisor of some workers, beginning with the nth.
func (ls *lanes) group(dir string, cfg child.Config, n, size int) (tree.Child, error) {
	var members []tree.Child
	for i := range size {
		members = append(members, ls.single(dir, cfg, profiles[(n+i)%len(profiles)], n+i))
	}
	how := []strategy.Strategy{strategy.OneForOne, strategy.RestForOne, strategy.OneForAll}
	return ls.branch(fmt.Sprint("group-", n/2), how[n/2%len(how)], members...)
}

func (ls *lanes) single(dir string, cfg child.Config, p profile, n int) tree.Child {
	cfg.Name, cfg.Concurrency = fmt.Sprint(p.name, "-", n), 1
	p.set(&cfg)
	cfg.Setup = workers.With(home{Dir: dir, Lane: cfg.Name, Width: cfg.Concurrency})
	cfg.Env = append(slices.Clone(cfg.Env), "SOAK_LANE="+cfg.Name) // tells whose a process is that was left behind
	w := child.New(cfg)
	ls.all = append(ls.all, &lane{
		name: cfg.Name, share: 5, width: cfg.Concurrency, caller: w, killer: w, memory: cfg.Memory > 0, tasks: cfg.Tasks > 0,
		stats: func() []child.Stats { return []child.Stats{w.Stats()} },
	})
	return tree.Child{ID: cfg.Name, Service: w, Backoff: backoff, Shutdown: tree.After(time.Second)}
}

// branch puts the last lanes under a supervisor of their own.
func (ls *lanes) branch(name string, how strategy.Strategy, members ...tree.Child) (tree.Child, error) {
	sup, err := tree.New(tree.Spec{Name: name, Strategy: how, Intensity: unlimited, Children: members})
	for _, l := range ls.all[len(ls.all)-len(members):] {
		l.under, l.branch = sup, name
	}
	return tree.Child{ID: name, Service: sup}, err
}

// counter is a log handler that only counts.
type counter struct{ records atomic.Int64 }

func (c *counter) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (c *counter) WithAttrs([]slog.Attr) slog.Handler               { return c }
func (c *counter) WithGroup(string) slog.Handler                    { return c }

func (c *counter) Handle(context.Context, slog.Record) error {
	c.records.Add(1)
	return nil
}
