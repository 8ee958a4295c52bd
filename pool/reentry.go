package pool

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/verdigris-go/verdigris/child"
)

// ReentryError says that a call was refused because it comes from a function that
// this very pool runs, and no worker was free: if such a call waited, all workers
// could come to wait for each other for ever. It matches child.ErrNotStarted.
type ReentryError struct {
	Pool string
	Func string // that was called
	Busy int    // calls that run
}

func (e *ReentryError) Error() string {
	return fmt.Sprintf("call %s comes from a function that runs in pool %s itself, which has no free worker (%d calls running): "+
		"waiting for one could last for ever; give the inner calls a pool of their own", e.Func, e.Pool, e.Busy)
}

// Is matches child.ErrNotStarted.
func (e *ReentryError) Is(target error) bool { return target == child.ErrNotStarted }

// LogValue carries every fact.
func (e *ReentryError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("error", e.Error()), slog.String("pool", e.Pool), slog.String("func", e.Func),
		slog.Int("busy", e.Busy))
}

// newID names a pool among all there may be in the processes that call each other.
func newID() string { return rand.Text()[:12] }

// inside reports whether a call comes from a function that this pool runs.
func (p *Pool) inside(ctx context.Context) bool {
	chain := child.Meta(ctx, child.Via)
	return chain != "" && slices.Contains(strings.Fields(chain), p.id)
}

// reentry is the error of a call that must not wait; p.mu is held.
func (p *Pool) reentry(req *child.Request) error {
	return &ReentryError{Pool: p.cfg.Name, Func: req.Func(), Busy: p.roster.busy}
}

// nobodyServes says why nobody does, and never did in this process.
func nobodyServes() string {
	if child.InWorker() {
		return "nobody serves it in this process, which is a worker: a pool is served in the process that has started it; " +
			"ask that one to make the call and send it child.AllMeta, or serve a pool here"
	}
	return "nobody serves it; put it under a supervisor or call Serve"
}
