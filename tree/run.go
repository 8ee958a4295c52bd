package tree

import (
	"context"
	"errors"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/strategy"
)

// run is one life of a child. It is also the context that its service is served with: a nested supervisor finds
// its place in the tree there. There may be very many, so it is small.
type run struct {
	loop    *loop
	member  *member
	id      uint64        // the number strategy has given it
	ordinal int           // the number of the run of this child, from 1
	begun   time.Duration // since its loop has begun

	// of the context, see there
	done  chan struct{} // if lean
	extra *extra
	made  atomic.Bool // what Done returns is there
	lean  bool
	fate  atomic.Uint32

	// of the loop alone
	killed   bool // Kill has been called, or would have been
	killable bool // the service had a Kill

	aborted bool // the start is cancelled; under the lock of the member

	// under the lock of the mailbox
	up        bool
	abandoned bool
	returned  *returned // nil: it has not
}

// returned is how a run has returned.
type returned struct {
	ran time.Duration
	err error
}

type runKey struct{}

func runOf(ctx context.Context) *run {
	r, _ := ctx.Value(runKey{}).(*run)
	return r
}

// Path returns the path of the child in whose context this is, for example "root/decoder"; "" outside of a tree.
func Path(ctx context.Context) string {
	if r := runOf(ctx); r != nil {
		return r.path()
	}
	return ""
}

// RunOf returns the handle of the run in whose context this is, as OTP's self() does; the zero value outside of a tree.
func RunOf(ctx context.Context) Run { return handleOf(runOf(ctx)) }

// SetInfo leaves a value for whoever has asked for this start: StartChild, RestartChild and StartService return
// it as Run.Info. A service calls it before it calls ready. It reports whether ctx belongs to a run.
func SetInfo(ctx context.Context, info any) bool {
	r := runOf(ctx)
	if r == nil {
		return false
	}
	mu := r.lock()
	x := r.more()
	mu.Unlock()
	r.loop.box.update(func() message { x.info = info; return nil })
	return true
}

func (r *run) path() string { return r.loop.path + "/" + r.member.spec.ID }

// info returns what SetInfo has left, under the lock of the mailbox.
func (r *run) info() any {
	defer r.lock().Unlock()
	if r.extra == nil {
		return nil
	}
	return r.extra.info
}

func (l *loop) newRun(m *member, id uint64, now time.Time) *run {
	return &run{loop: l, member: m, id: id, ordinal: m.ordinal, begun: now.Sub(l.begun), lean: l.members.n >= crowd}
}

// age returns how long ago the run has begun.
func (r *run) age(now time.Time) time.Duration { return now.Sub(r.loop.begun) - r.begun }

// main is the goroutine of a run.
func (r *run) main() {
	r.end(r.serve())
	r.cancel(fateOver)
}

// serve calls the service and makes an error of whatever else may end it.
func (r *run) serve() (err error) {
	returned := false
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		} else if !returned { // runtime.Goexit runs this too; the goroutine ends after it
			r.end(ErrGoexit)
			r.cancel(fateOver)
		}
	}()
	s := r.member.spec.Service
	if st, ok := s.(Starter); ok {
		err = st.ServeReady(r, r.ready)
	} else {
		err = s.Serve(r)
	}
	returned = true
	return err
}

// ready is what a Starter calls.
func (r *run) ready() {
	r.loop.box.update(func() message {
		r.up = r.up || r.alive()
		return nil
	})
}

// end tells the loop. A run that was never up is not posted: the loop is waiting for it.
func (r *run) end(err error) {
	ret := &returned{time.Since(r.loop.begun) - r.begun, err}
	abandoned := false
	r.loop.box.update(func() message {
		r.returned, abandoned = ret, r.abandoned
		if r.up || r.abandoned {
			return r
		}
		return nil
	})
	if abandoned {
		r.loop.sup.unlist(r)
	}
}

// handle is the message that the run has ended by itself, if the loop does not know that already.
func (r *run) handle(l *loop) {
	m := r.member
	switch {
	case r.abandoned:
		l.emitChild(m, Event{Kind: EventReturned, Run: r.ordinal, Err: r.returned.err})
	case m.run == r:
		l.exited(m, r)
	}
}

// alive reports whether the run has not returned and is not given up.
func (r *run) alive() bool { return r.returned == nil && !r.abandoned }

// howEnded classifies what a service has returned.
func howEnded(err error) strategy.How {
	switch {
	case err == nil:
		return strategy.Normal
	case isOrderly(err):
		return strategy.Orderly
	case errors.Is(err, suture.ErrTerminateSupervisorTree):
		return strategy.TerminateTree
	case errors.Is(err, suture.ErrDoNotRestart):
		return strategy.DoNotRestart
	}
	return strategy.Failed
}

func isOrderly(err error) bool {
	if errors.Is(err, ErrShutdown) {
		return true
	}
	if _, ok := errors.AsType[*IntensityError](err); ok {
		return true
	}
	_, ok := errors.AsType[*AutoShutdownError](err)
	return ok
}
