package child

import (
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/verdigris-go/verdigris/internal/early"
	"github.com/verdigris-go/verdigris/wire"
)

// task is a call that the worker has taken.
type task struct {
	w    *worker
	id   uint64
	call wire.Call
	own  bool // the input's memory is the call's alone
	f    *function
	no   error // why it is not run
	ctx  handlerContext
	out  *outflow // of a stream
}

// accept marks a call as started, in the order in which the calls came, so
// that the mark means all calls up to it, and a cancel finds its call.
func (w *worker) accept(id uint64, body []byte, own bool) *task {
	early.Catch() // before anybody's code runs
	t := &task{w: w, id: id, own: own}
	if t.call, t.no = wire.ParseCall(body); t.no == nil {
		if t.f, t.no = w.find(t.call.Func); t.no == nil {
			t.prepare()
		}
	}
	w.start(t)
	return t
}

// find returns the function of that name, if it can be run here.
func (w *worker) find(name []byte) (*function, error) {
	f, known := functions.get(name)
	switch {
	case !known:
		return nil, fmt.Errorf("this binary does not define the function %q", name)
	case f.state != "" && f.state != w.setup.State:
		return nil, fmt.Errorf("the function %q works on the state %q, this worker has %q", f.name, f.state, w.setup.State)
	case f.stream != nil && w.setup.Window == 0:
		return nil, fmt.Errorf("%q is a stream, and the parent knows none", f.name)
	case (f.takes || f.gives) && w.setup.Blobs == 0:
		return nil, fmt.Errorf("%q has a Blob in its input or output, and the parent knows none", f.name)
	}
	return f, nil
}

// prepare makes what the function needs.
func (t *task) prepare() {
	var reports *reporter
	if _, asked := t.call.Meta[wire.MetaProgress]; asked {
		reports = newReporter(t.call, func(p wire.ProgressBody) { t.w.answers.progress(t.id, p) })
	}
	t.ctx.begin(t.call, reports)
	if t.f.takes || t.f.gives {
		t.ctx.mail = t.w.mail(t.id)
	}
	if t.f.stream != nil {
		t.out = newOutflow(&t.ctx, t.id, t.w.setup.Window, t.w.setup.Limit, t.w.answers.write)
	}
}

// start marks the call as started, unless it was cancelled before, or the worker
// is stopping: then it never returns, and the parent sees that the call was not
// started.
func (w *worker) start(t *task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.stopping {
		w.idle.Wait() // for ever: shutdown ends the process
	}
	w.seen = max(w.seen, t.id)
	if cause, ok := w.canceled[t.id]; ok {
		delete(w.canceled, t.id)
		t.no = cause
		return
	}
	if t.no == nil {
		w.running[t.id] = t
		for !w.marker.Start(t.id) {
			w.answers.flush()
			w.idle.Wait() // for ever: somebody else has the call now, and this process is ended
		}
	}
}

// end notes that the function has returned.
func (t *task) end() {
	t.ctx.end()
	t.call.Input = nil // the function may have kept its context
	w := t.w
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.running, t.id)
	if len(w.running) == 0 {
		w.idle.Broadcast()
	}
}

// run runs the function, or says why not.
func (t *task) run() {
	if t.no != nil {
		t.w.parcels.drop(t.id)
		t.w.answers.fail(t.id, t.no)
		return
	}
	defer t.end()
	returned := false
	defer t.w.recovers(t.id, &returned)
	from := input{t.call.Input, t.own}
	if t.out != nil {
		t.w.answers.stream(t.out, t.f, t.w.state, from, t.ctx.reports)
	} else {
		t.w.answers.call(&t.ctx, t.id, t.f, t.w.state, from, t.ctx.reports)
	}
	returned = true
}

const goexited = "the function called runtime.Goexit"

// recovers turns a panic in a handler into a report and the end of the worker:
// what the panic has left behind cannot be trusted with another call. A handler
// that ends its goroutine (runtime.Goexit) would leave its caller without an
// answer, and with Concurrency 1 the worker without the thread that takes calls.
func (w *worker) recovers(id uint64, returned *bool) {
	v := recover()
	if *returned {
		return
	}
	if v == nil {
		v = goexited
	}
	if slices.Contains(w.setup.Capabilities, wire.CapRecall) {
		w.answers.dying(id) // at once: a first look at a stack takes 0.1 ms
	}
	body := wire.PanicBody{Value: fmt.Sprint(v), Stack: string(debug.Stack())}
	w.control.flush(100 * time.Millisecond) // before the last word: the parent kills whoever has said it
	w.answers.panics(id, body)
	w.awaitEnd()
	w.exit(exitPanic)
}

// awaitEnd waits for the parent to kill this process, so that it always ends in the
// same way; not for ever, since the parent may be stopped itself.
func (w *worker) awaitEnd() {
	if ourselves.Load() != nil {
		time.Sleep(5 * dyingGrace)
	}
}
