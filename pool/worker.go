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

	// Guarded by pool.mu.
	stop  context.CancelFunc // of the run that is going on, else nil
	run   uint64             // which life of the slots of this number, of all processes
	began time.Time          // that run
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
	err := w.proc.ServeUpDown(run, w.cameUp, func() { w.goesDown(run) })
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
	page := w.pool.book.slot(w.slot.n)
	page.runs++
	w.pool.book.starts++
	w.run, w.began = page.runs, time.Now()
	return ctx, true
}

// id names the run; pool.mu is held.
func (w *worker) id() Worker { return Worker{w.proc.Name(), int(w.pid.Load()), w.run} }

func (w *worker) cameUp() {
	w.pid.Store(int64(w.proc.Stats().PID))
	w.pool.change(func(r *roster, now time.Time) {
		w.pool.events.tell(EventUp{w.pool.events.head(now), w.id(), now.Sub(w.began)})
		r.cameUp(w.slot, now)
	})
}

// goesDown lets a spare take over from a worker that takes no more calls, without
// waiting for its death. One that is stopped has been taken out of service before.
func (w *worker) goesDown(run context.Context) {
	if run.Err() == nil {
		w.pool.change(func(r *roster, now time.Time) { r.wentDown(w.slot, now) })
	}
}

// end tells the pool how a run has ended. asked says that the whole pool ends.
func (w *worker) end(err error, asked bool) (dismissed bool) {
	w.pool.change(func(r *roster, now time.Time) {
		defer w.pid.Store(0)
		w.stop()
		w.stop = nil
		told := w.note(err, asked || w.slot.stage >= leaving, now)
		if !asked {
			w.pool.turnBack(w.slot, err, now)
		}
		dismissed = w.slot.stage >= leaving
		if dismissed {
			if !told {
				w.recycled(now)
			}
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

// note writes down how a run has ended, and tells it if that was no orderly end. One
// that was asked to end may still have had to be killed.
func (w *worker) note(err error, asked bool, now time.Time) (told bool) {
	t, b := w.pool.events, w.pool.book
	page := b.slot(w.slot.n)
	page.last = &End{now, w.run, err}
	crash, _ := errors.AsType[*child.CrashError](err)
	switch _, unable := errors.AsType[*child.StartError](err); {
	case err == nil, asked && (unable || crash == nil):
		return false
	case crash != nil && !unable:
		page.crashes++
		b.deaths[crash.Cause]++
		t.tell(EventDied{t.head(now), crash, !asked && counts(err)})
	default:
		b.unable++
		t.tell(EventStartFailed{t.head(now), w.id(), err})
	}
	if !asked {
		b.bad(err, now)
		w.pool.review(now)
	}
	return true
}

// recycled tells that a worker that was to leave has done so.
func (w *worker) recycled(now time.Time) {
	s, t := w.slot, w.pool.events
	if s.life == 0 {
		return
	}
	w.pool.book.recycled[s.parting]++
	t.tell(EventRecycled{t.head(now), w.id(), s.parting, now.Sub(s.since), s.given})
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
	if counts(err) {
		return err
	}
	return tree.Excuse(err)
}

// counts reports whether an end counts against the pool's intensity.
func counts(err error) bool {
	if _, ok := errors.AsType[*child.StartError](err); ok {
		return true
	}
	crash, ok := errors.AsType[*child.CrashError](err)
	return !ok || len(crash.Calls) == 0 && !crash.Exit.Cause.Ordered()
}
