package tree

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/strategy"
)

// run is one life of a child. It is also the context that its service is served with: a nested supervisor finds
// its place in the tree there.
type run struct {
	context.Context // cancelled by the loop only
	cancel          context.CancelCauseFunc
	loop            *loop
	member          *member
	id              uint64 // the number strategy has given it
	ordinal         int    // the number of the run of this child, from 1
	begun           time.Time
	killed          bool // Kill has been called, or would have been
	killable        bool // the service had a Kill

	aborted bool // the start is cancelled; under the lock of the member

	// under the lock of the mailbox
	up        bool
	returned  bool
	abandoned bool
	ran       time.Duration // until it returned
	err       error
	info      any
}

type runKey struct{}

// Value returns the run itself to those who know the key.
func (r *run) Value(key any) any {
	if key == (runKey{}) {
		return r
	}
	return r.Context.Value(key)
}

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
	r.loop.box.update(func() message { r.info = info; return nil })
	return true
}

func (r *run) path() string { return r.loop.path + "/" + r.member.spec.ID }

func (l *loop) newRun(m *member, id uint64, now time.Time) *run {
	r := &run{loop: l, member: m, id: id, ordinal: m.ordinal, begun: now}
	r.Context, r.cancel = context.WithCancelCause(l.base)
	return r
}

// main is the goroutine of a run.
func (r *run) main() {
	defer r.cancel(context.Canceled)
	r.end(r.serve())
}

// serve calls the service and makes an error of whatever else may end it.
func (r *run) serve() (err error) {
	returned := false
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		} else if !returned { // runtime.Goexit runs this too; the goroutine ends after it
			r.end(ErrGoexit)
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
		r.up = r.up || !r.returned && !r.abandoned
		return nil
	})
}

// end tells the loop. A run that was never up is not posted: the loop is waiting for it.
func (r *run) end(err error) {
	abandoned := false
	r.loop.box.update(func() message {
		r.returned, r.ran, r.err, abandoned = true, time.Since(r.begun), err, r.abandoned
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
		l.emitChild(m, Event{Kind: EventReturned, Run: r.ordinal, Err: r.err})
	case m.run == r:
		l.exited(m, r)
	}
}

// alive reports whether the run has not returned and is not given up.
func (r *run) alive() bool { return !r.returned && !r.abandoned }

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
