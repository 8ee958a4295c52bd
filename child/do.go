package child

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/wire"
)

// buffers holds the memory of small frames and answers.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// do sends one call to this run and waits for its answer. errOver: this run
// takes no calls any more, and has not seen this one.
func (r *run) do(ctx context.Context, req *Request) (sent bool, err error) {
	if why, ok := r.unknown[req.fn.name]; ok {
		return false, &UnknownFunctionError{Worker: r.cfg.Name, Func: req.fn.name, Reason: why}
	}
	if err := r.calls.enter(ctx); err == errOver {
		return false, errOver
	} else if err != nil {
		return false, interrupted(ctx, r.cfg.Name, req.fn.name, false)
	}
	s := stay{ctx: ctx}
	defer s.end()
	if r.cfg.CallTimeout > 0 {
		s.due = time.Now().Add(r.cfg.CallTimeout)
	}
	k, err := r.send(&s, req)
	if err != nil {
		r.calls.leave()
		return false, err
	}
	defer k.loan.end()
	if k.freight != nil {
		defer k.freight.leave()
	}
	if k.feed != nil {
		return true, r.follow(s.whole(), k, req)
	}
	if !r.transport.Await(&s, &k.waiter) && r.leave(s.whole(), k) {
		return true, r.interrupted(s.ctx, k)
	}
	err = k.finish(req)
	k.forget()
	return true, err
}

// send encodes the call and passes it on.
func (r *run) send(s *stay, req *Request) (*call, error) {
	if err := s.ctx.Err(); err != nil {
		return nil, interrupted(s.ctx, r.cfg.Name, req.fn.name, false)
	}
	buf := buffers.Get().(*[]byte)
	meta := allMeta(s.ctx)
	frame, tail, err := encodeCall((*buf)[:0], req, s.left(), meta, r.cfg.MaxFrame)
	if err != nil {
		buffers.Put(buf)
		return nil, err
	}
	k := newCall()
	k.info, k.told = CallInfo{Func: req.fn.name, Key: meta[metaKey], Trace: meta[TraceParent]}, req.Settled
	k.sent, k.feed = r.cfg.Replay.copy(frame, tail), newFeed(s.ctx, req, meta, r.cfg.Window)
	if k.freight, err = r.load(req); err != nil {
		buffers.Put(buf)
		return nil, err
	}
	frame, tail = leadIn(frame, tail)
	k.loan = lend(tail)
	crowd, reusable, err := r.calls.send(k, frame, r.transport)
	if reusable {
		*buf = frame
		buffers.Put(buf)
	}
	if err != nil {
		k.freight.unload()
		return nil, err
	}
	r.transport.Flush(crowd)
	if k.feed != nil {
		r.transport.Attend()
	}
	return k, nil
}

// encodeCall makes a call frame; tail is what belongs behind it and lies in the
// caller's memory. left is the time until the call's deadline, 0: it has none.
func encodeCall(dst []byte, req *Request, left time.Duration, meta map[string]string, limit int) (frame, tail []byte, err error) {
	err = misnamed(meta)
	if err == nil {
		dst, err = wire.AppendCallHead(wire.Begin(dst, wire.KindCall, 0), req.fn.name, left, meta)
	}
	if err == nil {
		dst, tail, err = req.appendSplit(dst, req.append)
	}
	if err == nil {
		err = wire.EndSplit(dst, 0, len(tail), limit)
	}
	if err != nil {
		return nil, nil, &encodeError{req.fn.name, err}
	}
	return dst, tail, nil
}

// encodeError is a call that cannot be put into a frame.
type encodeError struct {
	fn  string
	err error
}

func (e *encodeError) Error() string        { return "call " + e.fn + " was not sent: " + e.err.Error() }
func (e *encodeError) Unwrap() error        { return e.err }
func (e *encodeError) Is(target error) bool { return target == ErrNotStarted }

// follow is the wait of a call that brings more than an answer. It is handed over
// here, to code of the caller's that may take its time, panic or end its
// goroutine: the call is then given up, and when ctx ends meanwhile.
func (r *run) follow(ctx context.Context, k *call, req *Request) error {
	leave := sync.OnceFunc(func() { k.feed.close(); r.leave(ctx, k) })
	defer context.AfterFunc(ctx, leave)()
	over := false
	defer func() {
		if !over {
			leave()
		}
	}()
	err := k.feed.follow(ctx, req, func(bytes int64) {
		_ = r.control.send(wire.KindCredit, k.id, wire.Credit{Bytes: bytes}) // if it fails the worker is dying
	})
	over = err == nil
	switch {
	case err == errEnough:
		return nil
	case err == errImpatient, over && req.items != nil && answersCancel(ctx, k.err), over && k.dropped(req):
		return r.interrupted(ctx, k)
	case !over:
		return err
	}
	return k.finish(req)
}

// answersCancel reports whether a function has answered by an error because its
// context has.
func answersCancel(ctx context.Context, err error) bool {
	_, remote := errors.AsType[*RemoteError](err)
	return remote && ctx.Err() != nil
}

// dropped reports whether the answer has come when the caller counted as gone,
// although it was only busy with a report.
func (k *call) dropped(req *Request) bool { return k.err == nil && k.body == nil && req.items == nil }

// finish gives the caller the answer.
func (k *call) finish(req *Request) error {
	if k.err != nil || req.items != nil {
		return k.err
	}
	if k.freight != nil {
		req.from(k.freight.back)
	}
	large := len(*k.body) > smallFrame
	err := req.decodeOutput(*k.body, large)
	if !large && cap(*k.body) <= smallFrame {
		buffers.Put(k.body)
	}
	return err
}

func (r *run) interrupted(ctx context.Context, k *call) error {
	err := interrupted(ctx, r.cfg.Name, k.info.Func, true)
	err.waiting = r.started() < k.id
	return err
}

// leave notes that the caller has gone. The call's slot stays taken until the worker
// has answered; the worker is told, and killed when its time is up and it goes on.
// It reports false, and the call is settled, if the answer was faster.
func (r *run) leave(ctx context.Context, k *call) bool {
	if !r.calls.abandon(k) {
		for !k.settled() { // who has taken the call does that now
			<-k.wake
		}
		return false
	}
	r.transport.Attend()
	late := errors.Is(ctx.Err(), context.DeadlineExceeded)
	cancel, o := wire.Cancel{Reason: wire.Canceled}, order{Canceled, k.info.String(), k.id}
	if late {
		cancel.Reason, o.cause = wire.DeadlineExceeded, Deadline
	}
	_ = r.control.send(wire.KindCancel, k.id, cancel) // if it fails the worker is dying
	if deadline, has := ctx.Deadline(); late || r.cfg.OnCancel == Kill {
		r.watch(k, r.cfg.Grace, o)
	} else if has { // nobody waits for it any more, but its deadline still holds
		o.cause = Deadline
		r.watch(k, time.Until(deadline)+r.cfg.Grace, o)
	}
	return true
}

// watch looks at the call again after a while, and kills the worker if it is to
// blame: if it still runs the call, or has not begun with it although it could
// have. A call that waits behind others is not to blame; it is looked at again.
func (r *run) watch(k *call, after time.Duration, o order) {
	before := r.progress()
	k.awaken(time.AfterFunc(after, func() {
		switch {
		case !r.calls.has(k.id):
		case r.started() >= k.id:
			r.kill(o)
		case r.progress() == before && r.calls.room(r.started(), r.cfg.Concurrency):
			r.kill(order{cause: o.cause, detail: o.detail + ", which it has not even begun with"})
		default:
			r.watch(k, r.cfg.Grace, o)
		}
	}))
}

// progress changes whenever the worker begins with a call or ends one.
func (r *run) progress() [2]uint64 { return [2]uint64{r.started(), r.calls.served.Load()} }

// deliver takes one frame from the call channel. It must be about a call that is
// on its way; that its caller has gone does not matter.
func (r *run) deliver(f wire.Frame) error {
	switch f.Kind {
	case wire.KindAnswer, wire.KindDone, wire.KindError:
	case wire.KindBlobAnswer: // its Blobs may come this very moment
		if err := r.expects(f); err != nil {
			return err
		}
	default:
		return r.hear(r.calls.peek(f.ID), f)
	}
	k := r.calls.take(f.ID)
	if k == nil {
		return r.unknownTo(f)
	}
	err := r.end(k, f)
	if err != nil {
		r.calls.putBack(k)
	}
	return err
}

// unknownTo says what is wrong with a frame for a call that is not on its way. A
// worker may have refused a call that has been recalled and has gone elsewhere.
func (r *run) unknownTo(f wire.Frame) error {
	if r.fall.recalled.Load() {
		return nil
	}
	return &protocolError{fmt.Sprintf("a frame of kind %v for call %d, which is not on its way", f.Kind, f.ID)}
}

// end settles a call that was taken, with what the worker has answered. After an
// error it has not.
func (r *run) end(k *call, f wire.Frame) error {
	if f.Kind == wire.KindError {
		no, err := wire.ParseError(f.Body)
		if err == nil {
			r.settle(k, &RemoteError{Worker: r.cfg.Name, Func: k.info.Func, Message: no.Message, wrapped: errorsOf(no.Codes)})
		}
		return err
	}
	if err := r.faulty(k.feed, f); err != nil {
		return err
	}
	if f.Kind == wire.KindAnswer {
		k.freight.leave() // no Blobs belong to it
	}
	if f.Kind != wire.KindDone && !k.left {
		k.keep(f)
	}
	r.settle(k, nil)
	return nil
}

func (r *run) settle(k *call, err error) {
	r.calls.served.Add(1)
	if k.left {
		r.calls.stale.Add(1)
	}
	r.calls.settle(k, err)
}

// keep makes the body of an answer the call's own.
func (k *call) keep(f wire.Frame) {
	if len(f.Body) > smallFrame {
		body := f.Take()
		k.body = &body
		return
	}
	k.body = buffers.Get().(*[]byte)
	*k.body = append((*k.body)[:0], f.Body...)
}

// hear takes what comes before the end of a call.
func (r *run) hear(of glimpse, f wire.Frame) error {
	switch {
	case !of.open:
		return r.unknownTo(f)
	case f.Kind == wire.KindPanic:
		return r.panics(of.info, f)
	case f.Kind == wire.KindDying:
		r.dies()
		return nil
	}
	if err := r.faulty(of.feed, f); err != nil {
		return err
	}
	of.loan.end() // the caller may write to its input from now on
	if f.Kind == wire.KindProgress {
		return of.feed.takeReport(f)
	}
	return of.feed.put(f)
}

// faulty says what is wrong with a frame that comes of a function which runs; feed is
// its call's.
func (r *run) faulty(feed *feed, f wire.Frame) error {
	switch {
	case r.started() < f.ID:
		return &protocolError{fmt.Sprintf("a frame of kind %v for call %d, which it has not begun", f.Kind, f.ID)}
	case f.Kind == wire.KindProgress && !feed.reports():
		return &protocolError{fmt.Sprintf("a report on call %d, which nobody has asked for", f.ID)}
	case f.Kind != wire.KindProgress && feed.streams() != (f.Kind == wire.KindItem || f.Kind == wire.KindDone):
		return &protocolError{fmt.Sprintf("a frame of kind %v for call %d, which %s", f.Kind, f.ID, feed.what())}
	}
	return nil
}

// dies notes that a handler has panicked, and that the worker is about to say how.
func (r *run) dies() {
	r.goDown()
	// Who has got another worker by that can call it, while this one finds out how: else
	// its goroutine waits for ours, which goes on to read (measured: 1.0 ms instead of 0.6
	// until it has its answer, with other work on two processors).
	runtime.Gosched()
	time.AfterFunc(dyingGrace, func() {
		r.kill(order{cause: Protocol, detail: "it said that a function had panicked, and then not how"})
	})
}

// panics notes how a handler has panicked. That is the end of the worker, for which
// nobody waits, see foretell. During a stop nobody is there to do that.
func (r *run) panics(of CallInfo, f wire.Frame) error {
	p, err := wire.ParsePanic(f.Body)
	if err != nil || !r.panicked.CompareAndSwap(nil, &Panic{p.Value, p.Stack, of, f.ID}) {
		return err
	}
	r.ended(nil)
	if r.asked.Load() {
		r.kill(order{cause: Panicked})
	}
	return nil
}
