package child

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/internal/spawn"
	"github.com/verdigris-go/verdigris/wire"
)

// Inline runs calls in this very process: for a debugger, for tests, for
// platforms without worker processes. It encodes and decodes as a worker does,
// so that what works here works across, and its errors are the same; but a
// crash in C takes the whole program down, and a function that ignores its
// context goes on after its caller has left. It is a suture.Service too, so it
// can stand in a tree where a Process would.
type Inline struct {
	cfg   Config
	fault error
	slots chan struct{}

	mu    sync.Mutex
	state any
	open  bool
}

// NewInline makes an Inline. Of cfg it uses Name, Setup, Concurrency, Window,
// CallTimeout, MaxFrame and Stop.Drain.
func NewInline(cfg Config) *Inline {
	i := &Inline{}
	i.cfg, i.fault = cfg.withDefaults()
	i.slots = make(chan struct{}, max(i.cfg.Concurrency, 1))
	return i
}

// Serve opens the state, waits for the end of ctx and closes it.
func (i *Inline) Serve(ctx context.Context) error { return i.ServeReady(ctx, func() {}) }

// ServeReady is Serve that tells when the state is open.
func (i *Inline) ServeReady(ctx context.Context, ready func()) error {
	if i.fault != nil {
		return i.fault
	}
	if _, err := i.opened(ctx); err != nil {
		return err
	}
	ready()
	<-ctx.Done()
	return i.Close()
}

// Do runs a call, see [Caller]. The state is opened at the first call, if Serve
// has not done so.
func (i *Inline) Do(ctx context.Context, req *Request) error {
	sent, err := i.do(ctx, req)
	if !sent {
		req.settle(err)
	}
	return err
}

func (i *Inline) do(ctx context.Context, req *Request) (sent bool, err error) {
	if i.fault != nil {
		return false, i.fault
	}
	if err := i.cfg.Setup.serves(i.cfg.Name, req.fn); err != nil {
		return false, err
	}
	select {
	case i.slots <- struct{}{}:
	case <-ctx.Done():
		return false, interrupted(ctx, i.cfg.Name, req.fn.name, false)
	}
	ctx, cancel := i.limit(ctx)
	defer cancel()
	frame, tail, err := encodeCall(nil, req, (&stay{ctx: ctx}).left(), allMeta(ctx), i.cfg.MaxFrame)
	if err != nil {
		<-i.slots
		return false, err
	}
	frame = append(frame, tail...) // the function may outlive its caller
	m, err := i.load(req)
	if err != nil {
		<-i.slots
		return false, err
	}
	k := &inlineCall{done: make(chan struct{}), feed: newFeed(ctx, req, allMeta(ctx), i.cfg.Window), mail: m, back: newDelivery(0, nil)}
	defer k.back.drop()
	go func() {
		defer func() {
			<-i.slots
			req.settle(k.err)
			if k.feed != nil {
				close(k.feed.end)
			}
			close(k.done)
		}()
		i.run(ctx, frame[wire.HeaderSize:], req, k)
	}()
	if k.feed != nil {
		return true, i.follow(ctx, req, k)
	}
	select {
	case <-k.done:
	case <-ctx.Done():
	}
	if !isClosed(k.done) || answersCancel(ctx, k.err) {
		return true, interrupted(ctx, i.cfg.Name, req.fn.name, true)
	}
	return true, k.finish(req)
}

// inlineCall is a call on its way. Its function's goroutine writes all but feed.
type inlineCall struct {
	mail *mail         // its Blobs, where the function runs; nil if there can be none
	back *delivery     // the Blobs of its answer
	feed *feed         // what comes before the answer; nil if nothing may
	out  *outflow      // of a stream; set before its first item
	done chan struct{} // closed at the end; body and err are final then
	body []byte
	err  error
}

func (k *inlineCall) finish(req *Request) error {
	if k.err != nil || req.items != nil {
		return k.err
	}
	req.from(k.back)
	return req.DecodeOutput(k.body)
}

// load makes ready what goes with a call. The function gets Blobs of its own, as if
// they had crossed a process boundary.
func (i *Inline) load(req *Request) (*mail, error) {
	if !req.fn.takes && !req.fn.gives {
		return nil, nil
	}
	m := &mail{in: newDelivery(0, nil), limit: i.cfg.MaxBlob}
	var c *cargo
	if req.load != nil {
		var err error
		if c, err = req.load(i.cfg.MaxBlob); err != nil {
			return nil, &encodeError{req.fn.name, &codecError{req.fn.name, "input", err}}
		}
	}
	m.in.put(c, nil)
	return m, nil
}

// follow is the wait of a call that brings more than an answer. That its caller has
// left the function learns by its context, which ends when this returns.
func (i *Inline) follow(ctx context.Context, req *Request, k *inlineCall) error {
	defer k.feed.close()
	err := k.feed.follow(ctx, req, func(bytes int64) { k.out.credit(bytes) })
	switch {
	case err == errEnough:
		return nil
	case err == errImpatient, err == nil && req.items != nil && answersCancel(ctx, k.err):
		return interrupted(ctx, i.cfg.Name, req.fn.name, true)
	case err != nil:
		return err
	}
	return k.finish(req)
}

// tell passes a report on, as it would have crossed a process boundary.
func (k *inlineCall) tell(p wire.ProgressBody) {
	if p, err := wire.ParseProgress(p.Append(nil)); err == nil {
		k.feed.tell(Progress(p))
	}
}

func (i *Inline) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if i.cfg.CallTimeout > 0 {
		return context.WithTimeout(ctx, i.cfg.CallTimeout)
	}
	return context.WithCancel(ctx)
}

// run does what a worker does with a call's body.
func (i *Inline) run(ctx context.Context, body []byte, req *Request, k *inlineCall) {
	began, returned := time.Now(), false
	defer func() {
		if v := recover(); !returned {
			k.err = i.crash(ctx, began, req, v)
		}
	}()
	if err := i.answer(ctx, body, req, k); err != nil {
		k.err = err
	}
	returned = true
}

func (i *Inline) answer(ctx context.Context, body []byte, req *Request, k *inlineCall) error {
	state, err := i.opened(ctx)
	if err != nil {
		return err
	}
	call, err := wire.ParseCall(body)
	if err != nil {
		return err
	}
	var reports *reporter
	if _, asked := call.Meta[wire.MetaProgress]; asked {
		reports = newReporter(call, k.tell)
	}
	// The values of the caller's context do not cross a process boundary.
	var inside handlerContext
	inside.begin(call, reports)
	inside.mail = k.mail
	defer inside.end()
	defer context.AfterFunc(ctx, func() { inside.cancel(context.Cause(ctx)) })()
	err = i.perform(&inside, input{call.Input, false}, req.fn, state, k)
	reports.end()
	if err != nil {
		return &RemoteError{Worker: i.cfg.Name, Func: req.fn.name, Message: err.Error(), wrapped: errorsOf(codesOf(err))}
	}
	return nil
}

// perform runs the function, and puts what comes of it where a worker's frames go.
func (i *Inline) perform(ctx context.Context, from input, f *function, state any, k *inlineCall) error {
	if f.stream != nil {
		k.out = newOutflow(ctx, 1, i.cfg.Window, i.cfg.MaxFrame, func(frame []byte) { _ = k.feed.put(wire.Frame{Body: frame[wire.HeaderSize:]}) })
		return k.out.pour(f, state, from)
	}
	frame, tail, err := f.run(ctx, state, from, wire.Begin(nil, wire.KindAnswer, 1))
	frame = append(frame, tail...)
	if err == nil {
		err = wire.End(frame, 0, i.cfg.MaxFrame)
	}
	if err == nil {
		k.body = frame[wire.HeaderSize:]
	}
	if k.mail != nil {
		k.back.put(k.mail.out, nil)
	}
	return err
}

// crash is what a panic, or the end of the goroutine, would have done to a worker.
func (i *Inline) crash(ctx context.Context, began time.Time, req *Request, v any) error {
	if v == nil {
		v = goexited
	}
	value := fmt.Sprint(v)
	call := CallInfo{Func: req.fn.name, Key: Key(ctx), Trace: Meta(ctx, TraceParent)}
	return &CrashError{
		Worker: i.cfg.Name, PID: os.Getpid(), Run: 1, Uptime: time.Since(began), Calls: []CallInfo{call},
		Exit: evidence{
			state:    spawn.State{Kind: spawn.Exited, Code: exitPanic},
			reported: Reported{Panic: &Panic{Value: value, Stack: string(debug.Stack()), Call: call}},
		}.exit(),
	}
}

// opened returns the state, which it opens the first time.
func (i *Inline) opened(ctx context.Context) (any, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.open || i.cfg.Setup.state == nil {
		return i.state, nil
	}
	state, failed := i.cfg.Setup.state.begin(context.WithoutCancel(ctx), i.cfg.Setup.input)
	if failed != nil {
		return nil, &StartError{Worker: i.cfg.Name, Step: "open", Err: &openError{*failed, errorsOf(failed.Codes)}}
	}
	i.state, i.open = state, true
	return state, nil
}

// Close waits for functions that run, at most Config.Stop.Drain, and closes the
// state, if it is open. A later call opens it again.
func (i *Inline) Close() error {
	if err := i.quiet(); err != nil {
		return err
	}
	defer i.release(cap(i.slots))
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.open {
		return nil
	}
	i.open = false
	return i.cfg.Setup.state.end(i.state)
}

// quiet takes all slots, so that no function runs.
func (i *Inline) quiet() error {
	patience := time.NewTimer(i.cfg.Stop.Drain)
	defer patience.Stop()
	for n := range cap(i.slots) {
		select {
		case i.slots <- struct{}{}:
		case <-patience.C:
			i.release(n)
			return fmt.Errorf("child: %v: functions still run after %v, so its state stays open", i, i.cfg.Stop.Drain)
		}
	}
	return nil
}

func (i *Inline) release(n int) {
	for range n {
		<-i.slots
	}
}

// Width is how many calls run at once. pool.Map asks for it.
func (i *Inline) Width() int { return cap(i.slots) }

// String returns the name, for suture's log.
func (i *Inline) String() string { return "inline " + i.cfg.Name }
