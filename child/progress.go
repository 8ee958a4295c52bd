package child

import (
	"context"
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/wire"
)

// Progress says how far a call has come, in the words of the function: a worker may
// tell anything, also a Done that is negative or above Total.
type Progress struct {
	Done, Total int64  // in units of the function's choice; a Total of 0: not known
	Note        string // for people; of more than 1 KiB the end is cut off, with a remark
}

// reportGap is how often at most a worker reports on one call.
const reportGap = 50 * time.Millisecond

type (
	progressContext struct{} // the caller's: func(Progress)
	reporterContext struct{} // the function's: *reporter
)

// OnProgress returns a context whose calls show how far they have come: fn gets
// what the function tells by [Report], on the goroutine that waits for the call,
// and never after the call has returned. Of reports that come while fn is busy, or
// in quick succession, it gets the latest. A slow fn holds up its own call only. A
// panic in it gives the call up. With nil for fn, calls ask for nothing.
//
// Calls that share the context call fn each from its own goroutine.
func OnProgress(ctx context.Context, fn func(Progress)) context.Context {
	if fn == nil {
		return context.WithValue(without(ctx, wire.MetaProgress), progressContext{}, nil)
	}
	return context.WithValue(with(ctx, wire.MetaProgress, "1"), progressContext{}, fn)
}

// WantsProgress reports whether calls of ctx show how far they have come ([OnProgress]):
// code of the caller's then runs while they do.
func WantsProgress(ctx context.Context) bool { return asksProgress(ctx, allMeta(ctx)) != nil }

// asksProgress returns who wants to see how far the calls of ctx, which have this
// meta, have come, or nil.
func asksProgress(ctx context.Context, meta map[string]string) func(Progress) {
	if _, asked := meta[wire.MetaProgress]; !asked {
		return nil
	}
	fn, _ := ctx.Value(progressContext{}).(func(Progress))
	return fn
}

// Report tells the caller how far the call has come. It is for the function that
// runs with this context, on any of its goroutines; anywhere else, after the
// function has returned, and when the caller has not asked ([OnProgress]) it does
// nothing. It never waits. At most twenty reports in a second are sent, and
// always the latest: the last one before the function returns does arrive.
func Report(ctx context.Context, p Progress) {
	if r, ok := ctx.Value(reporterContext{}).(*reporter); ok {
		r.report(p)
	}
}

// reporter sends the reports of one call.
type reporter struct {
	write func(wire.ProgressBody) // may wait for the parent to read

	sending sync.Mutex // held while a report is written, so that none comes after the end

	mu     sync.Mutex
	latest Progress
	news   bool // latest has not been sent
	due    bool // somebody will send it
	over   bool
	last   time.Time // when a report was sent
}

// newReporter returns the reporter of a call whose caller has asked for one, else
// nil. The name by which it has asked is taken away: it is nothing to the calls
// that the function makes.
func newReporter(call wire.Call, write func(wire.ProgressBody)) *reporter {
	delete(call.Meta, wire.MetaProgress)
	return &reporter{write: write}
}

func (r *reporter) report(p Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	r.latest, r.news = p, true
	if !r.due {
		r.due = true
		time.AfterFunc(reportGap-time.Since(r.last), func() { r.send(false) })
	}
}

// send sends the latest report, if it is new.
func (r *reporter) send(over bool) {
	r.sending.Lock()
	defer r.sending.Unlock()
	r.mu.Lock()
	p, news := r.latest, r.news && !r.over
	r.news, r.due, r.over, r.last = false, false, r.over || over, time.Now()
	r.mu.Unlock()
	if news {
		r.write(wire.ProgressBody(p))
	}
}

// end sends the last report. Nothing is sent after it has returned.
func (r *reporter) end() {
	if r != nil {
		r.send(true)
	}
}
