package child

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/verdigris-go/verdigris/wire"
)

// handlerContext is the context in which a call's function runs: what has come along
// with the call, and nothing else of the caller's context.
//
// Most functions end before they ask for what takes a timer, a channel and two more
// contexts to give. So it has those only from the moment on when somebody waits for its
// end, derives a context from it or looks for a value that is none of ours: it then
// passes everything on to one of package context's own, which is all that counts for
// contexts derived from it. Without, a call was measured to take a worker 1 us longer.
type handlerContext struct {
	due     time.Time // zero: never
	meta    map[string]string
	reports *reporter // nil if nobody has asked for reports
	mail    *mail     // nil: its function has no Blobs

	real atomic.Pointer[realContext] // nil: nobody has needed one yet
	over atomic.Bool                 // the function has returned
	mu   sync.Mutex                  // held while real is made or ended
}

type realContext struct {
	context.Context
	end context.CancelCauseFunc
}

// begin makes it the context of a call that has just come.
func (c *handlerContext) begin(call wire.Call, reports *reporter) {
	c.meta, c.reports = cameHere(call.Meta), reports
	if call.Timeout > 0 {
		c.due = time.Now().Add(call.Timeout)
	}
}

// cancel ends it because of something that has happened elsewhere.
func (c *handlerContext) cancel(cause error) { c.become().end(cause) }

// end ends it because the function has returned.
func (c *handlerContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over.Store(true)
	if r := c.real.Load(); r != nil {
		r.end(nil)
	}
}

// become makes it a real one.
func (c *handlerContext) become() *realContext {
	if r := c.real.Load(); r != nil {
		return r
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.real.Load(); r != nil {
		return r
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	if c.over.Load() { // before its deadline, as far as anybody has seen
		cancel(nil)
	}
	r := &realContext{ctx, cancel}
	if !c.due.IsZero() {
		var stop context.CancelFunc
		r.Context, stop = context.WithDeadline(ctx, c.due)
		r.end = func(cause error) { cancel(cause); stop() }
	}
	c.real.Store(r)
	return r
}

// Deadline is context.Context's.
func (c *handlerContext) Deadline() (time.Time, bool) { return c.due, !c.due.IsZero() }

// Done is context.Context's.
func (c *handlerContext) Done() <-chan struct{} { return c.become().Done() }

// Err is context.Context's. Once it has not been nil, there is a real one.
func (c *handlerContext) Err() error {
	if c.real.Load() == nil && !c.over.Load() && (c.due.IsZero() || time.Now().Before(c.due)) {
		return nil
	}
	return c.become().Err()
}

// Value is context.Context's. Package context itself looks for a context to derive
// from in this way.
func (c *handlerContext) Value(key any) any {
	switch key.(type) {
	case metaContext:
		if len(c.meta) == 0 {
			return nil
		}
		return c.meta
	case reporterContext:
		if c.reports == nil {
			return nil
		}
		return c.reports
	case mailContext:
		return c.mail
	case progressContext:
		return nil
	}
	return c.become().Value(key)
}

// String keeps who prints the context from looking into it.
func (c *handlerContext) String() string { return "child.handlerContext" }
