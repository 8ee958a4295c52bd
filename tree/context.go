package tree

import (
	"context"
	"sync"
	"time"
)

// The context of a run is the run itself. What it needs for that is made when it is asked for, since the runs of a
// crash storm are asked for nothing.
//
// In general the first call of Done makes a standard context, so that those derived from it are cancelled with it
// without further goroutines. In a crowd it makes only a channel, which takes 120 bytes less for each child. A context
// derived from such a run registers by AfterFunc. One derived from a WithValue of it has a goroutine, as package context
// does with all contexts that it does not know.

// crowd is how many children a supervisor has whose runs make do with a channel.
const crowd = 1000

// fate says whether the context of a run has been cancelled, and why.
type fate = uint32

const (
	fateAlive    fate = iota
	fateOver          // the run has returned
	fateShutdown      // it was asked to stop
	fateKilled        // it was ended by force
)

func causeOf(f fate) error {
	switch f {
	case fateShutdown:
		return ErrShutdown
	case fateKilled:
		return ErrKilled
	}
	return context.Canceled
}

// extra is what few runs need.
type extra struct {
	standard context.Context // with the cause
	cancel   context.CancelCauseFunc
	after    map[*func()]struct{} // what is to be called when the run is cancelled
	info     any                  // under the lock of the mailbox
}

// runLocks guard the contexts of all runs, each those of some, and are held for some instructions only. A lock in
// each run would take 8 bytes.
var runLocks [64]sync.Mutex

func (r *run) lock() *sync.Mutex {
	mu := &runLocks[r.id%uint64(len(runLocks))]
	mu.Lock()
	return mu
}

// Deadline returns none.
func (r *run) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done returns a channel that is closed when the run is cancelled.
func (r *run) Done() <-chan struct{} {
	if !r.lean {
		return r.standard().Done()
	}
	if r.made.Load() {
		return r.done
	}
	c := make(chan struct{})
	defer r.lock().Unlock()
	if !r.made.Load() {
		if r.done = c; r.fate.Load() != fateAlive {
			close(c)
		}
		r.made.Store(true)
	}
	return r.done
}

// Err returns context.Canceled when the run is cancelled.
func (r *run) Err() error {
	if r.fate.Load() == fateAlive {
		return nil
	}
	<-r.Done() // it is about to be closed
	return context.Canceled
}

// Value returns the run itself to those who know the key, and a standard context to package context, if there is one
// or it asks for the cause.
func (r *run) Value(key any) any {
	switch {
	case key == (runKey{}):
		return r
	case key == standardKey && (!r.lean || r.fate.Load() != fateAlive):
		return r.standard().Value(key)
	}
	return r.loop.base.Value(key)
}

// standard returns a standard context that is cancelled with the run.
func (r *run) standard() context.Context {
	if r.made.Load() && !r.lean {
		return r.extra.standard
	}
	defer r.lock().Unlock()
	x := r.more()
	if x.standard == nil {
		x.standard, x.cancel = context.WithCancelCause(r.loop.base)
		if f := r.fate.Load(); f != fateAlive {
			x.cancel(causeOf(f))
		}
	}
	if !r.lean {
		r.made.Store(true)
	}
	return x.standard
}

// more returns the extra of the run, under its lock.
func (r *run) more() *extra {
	if r.extra == nil {
		r.extra = new(extra)
	}
	return r.extra
}

// AfterFunc is what package context calls for contexts that are derived from a lean run, with a function that does not
// block. It returns a function that takes it back and reports whether it was still to be called.
func (r *run) AfterFunc(f func()) (stop func() bool) {
	if !r.lean {
		return context.AfterFunc(r.standard(), f)
	}
	mu := r.lock()
	if r.fate.Load() != fateAlive {
		mu.Unlock()
		f()
		return func() bool { return false }
	}
	x := r.more()
	if x.after == nil {
		x.after = make(map[*func()]struct{})
	}
	x.after[&f] = struct{}{}
	mu.Unlock()
	return func() bool {
		defer r.lock().Unlock()
		_, waits := x.after[&f]
		delete(x.after, &f)
		return waits
	}
}

// cancel cancels the context of the run; the first cause counts.
func (r *run) cancel(f fate) {
	mu := r.lock()
	if !r.fate.CompareAndSwap(fateAlive, f) {
		mu.Unlock()
		return
	}
	if r.lean && r.made.Load() {
		close(r.done)
	}
	var standard context.CancelCauseFunc
	var after map[*func()]struct{}
	if x := r.extra; x != nil {
		standard, after = x.cancel, x.after
		x.after = nil
	}
	mu.Unlock()
	if standard != nil {
		standard(causeOf(f))
	}
	for f := range after {
		(*f)()
	}
}

// standardKey is how package context asks a context for the standard one that it is made of, learnt from it.
var standardKey = func() any {
	p := &keyProbe{Context: context.Background()}
	_ = context.Cause(p)
	return p.key
}()

type keyProbe struct {
	context.Context
	key any
}

func (*keyProbe) Err() error          { return context.Canceled }
func (p *keyProbe) Value(key any) any { p.key = key; return nil }
