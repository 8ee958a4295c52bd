package pool

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/tree"
)

// worker is what runs in a slot: a service of the pool's supervisor, restarted
// as often as its process dies, until the slot is given up.
type worker struct {
	pool *Pool
	slot *slot
	proc *child.Process
	pid  atomic.Int64 // of the process that is ready

	stop context.CancelFunc // of the run that is going on, else nil; guarded by pool.mu
}

// ServeReady runs one worker. It counts as started at once, so that the
// supervisor can go on with the next; the pool looks at the worker's own word.
// The end of a worker that the pool has dismissed is a normal one.
func (w *worker) ServeReady(ctx context.Context, ready func()) error {
	ready()
	run, ok := w.begin(ctx)
	if !ok {
		return nil
	}
	err := w.proc.ServeReady(run, w.cameUp)
	if dismissed := w.end(err, ctx.Err() != nil); dismissed {
		return nil
	}
	return verdictOn(err)
}

// begin reports false when the slot has been given up before this run.
func (w *worker) begin(ctx context.Context) (context.Context, bool) {
	w.pool.mu.Lock()
	defer w.pool.mu.Unlock()
	if w.slot.stage == gone {
		return ctx, false
	}
	ctx, w.stop = context.WithCancel(ctx)
	return ctx, true
}

func (w *worker) cameUp() {
	w.pid.Store(int64(w.proc.Stats().PID))
	w.pool.change(func(r *roster, now time.Time) { r.cameUp(w.slot, now) })
}

// end tells the pool how a run has ended. asked says that the whole pool ends.
func (w *worker) end(err error, asked bool) (dismissed bool) {
	w.pool.change(func(r *roster, now time.Time) {
		w.stop()
		w.stop = nil
		if !asked {
			w.pool.turnBack(w.slot, err, now)
		}
		if dismissed = w.slot.stage >= leaving; dismissed {
			r.left(w.slot, now)
			return
		}
		if err != nil {
			w.pool.lastExit = err
		}
		r.wentDown(w.slot, now)
	})
	return dismissed
}

// dismiss ends the worker for good, in order. It does not wait.
func (w *worker) dismiss() {
	w.pool.change(func(r *roster, now time.Time) {
		if w.stop != nil {
			w.stop()
			return
		}
		r.left(w.slot, now) // between two runs, or before the first: there will be no other
	})
}

// Serve is ServeReady for those who do not ask.
func (w *worker) Serve(ctx context.Context) error { return w.ServeReady(ctx, func() {}) }

// Kill ends the worker's process at once.
func (w *worker) Kill() { w.proc.Kill() }

// Retire tells the worker that it will not be served again.
func (w *worker) Retire(cause error) { w.proc.Retire(cause) }

// String returns the worker's name.
func (w *worker) String() string { return w.proc.String() }

// verdictOn decides whether a worker's end counts against the pool's intensity:
// not if it was running a call, and not if we have ended it.
func verdictOn(err error) error {
	if _, ok := errors.AsType[*child.StartError](err); ok {
		return err
	}
	crash, ok := errors.AsType[*child.CrashError](err)
	if ok && (len(crash.Calls) > 0 || crash.Exit.Cause.Ordered()) {
		return tree.Excuse(err)
	}
	return err
}
