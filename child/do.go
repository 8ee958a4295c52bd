package child

import (
	"context"
	"errors"
	"fmt"
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
	if r.cfg.CallTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.cfg.CallTimeout)
		defer cancel()
	}
	k, err := r.send(ctx, req)
	if err != nil {
		r.calls.leave()
		return false, err
	}
	defer k.loan.end()
	if k.freight != nil {
		defer k.freight.leave()
	}
	if k.feed != nil {
		return true, r.follow(ctx, k, req)
	}
	if r.transport.Await(ctx, &k.waiter, k) || !r.leave(ctx, k) {
		return true, k.finish(req)
	}
	return true, r.interrupted(ctx, k)
}

// send encodes the call and passes it on.
func (r *run) send(ctx context.Context, req *Request) (*call, error) {
	if err := ctx.Err(); err != nil {
		return nil, interrupted(ctx, r.cfg.Name, req.fn.name, false)
	}
	buf := buffers.Get().(*[]byte)
	meta := allMeta(ctx)
	frame, tail, err := r.encode((*buf)[:0], ctx, req, meta)
	if err != nil {
		buffers.Put(buf)
		return nil, err
	}
	k := &call{info: CallInfo{Func: req.fn.name, Key: meta[metaKey], Trace: meta[TraceParent]}, told: req.Settled, waiter: newWaiter()}
	k.sent, k.feed = r.cfg.Replay.copy(frame, tail), newFeed(ctx, req, meta, r.cfg.Window)
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
	}
	if err == nil {
		r.transport.Flush(crowd)
	}
	if err == nil && k.feed != nil {
		r.transport.Attend()
	}
	return k, err
}

// encode makes a call frame; tail is what belongs behind it and lies in the caller's memory.
func (r *run) encode(dst []byte, ctx context.Context, req *Request, meta map[string]string) (frame, tail []byte, err error) {
	var left time.Duration
	if deadline, ok := ctx.Deadline(); ok {
		left = max(time.Until(deadline), 1)
	}
	err = misnamed(meta)
	if err == nil {
		dst, err = wire.AppendCallHead(wire.Begin(dst, wire.KindCall, 0), req.fn.name, left, meta)
	}
	if err == nil {
		dst, tail, err = req.appendSplit(dst, req.append)
	}
	if err == nil {
		err = wire.EndSplit(dst, 0, len(tail), r.cfg.MaxFrame)
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
		case r.calls.find(k.id) == nil:
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
	k := r.calls.find(f.ID)
	switch {
	case k == nil && r.fall.recalled.Load(): // it may have refused a call that has gone elsewhere
		return nil
	case k == nil:
		return &protocolError{fmt.Sprintf("a frame of kind %v for call %d, which is not on its way", f.Kind, f.ID)}
	case f.Kind == wire.KindError:
		return r.refused(k, f.Body)
	case f.Kind == wire.KindPanic:
		return r.panics(k, f.Body)
	case f.Kind == wire.KindDying:
		r.dies()
		return nil
	case r.started() < k.id: // all else comes of a function that runs
		return &protocolError{fmt.Sprintf("a frame of kind %v for call %d, which it has not begun", f.Kind, f.ID)}
	case f.Kind == wire.KindProgress:
		return r.progressed(k, f.Body)
	case k.streams() != (f.Kind == wire.KindItem || f.Kind == wire.KindDone):
		return &protocolError{fmt.Sprintf("a frame of kind %v for call %d, which %s", f.Kind, f.ID, k.what())}
	case f.Kind == wire.KindItem:
		k.loan.end() // likewise
		return k.feed.put(f)
	case f.Kind == wire.KindBlobAnswer && !r.expects(k):
		return &protocolError{fmt.Sprintf("blobs with an answer to call %d, which has none", f.ID)}
	case f.Kind == wire.KindDone:
		r.settle(k, nil, nil)
		return nil
	}
	if f.Kind == wire.KindAnswer {
		k.freight.leave() // no Blobs belong to it
	}
	return r.answered(k, f)
}

// streams reports whether the call is one of a stream.
func (k *call) streams() bool { return k.feed != nil && k.feed.window > 0 }

func (k *call) what() string {
	if k.streams() {
		return "is a stream"
	}
	return "is no stream"
}

// progressed takes a report for a caller who has asked for it.
func (r *run) progressed(k *call, body []byte) error {
	if k.feed == nil || k.feed.show == nil {
		return &protocolError{fmt.Sprintf("a report on call %d, which nobody has asked for", k.id)}
	}
	p, err := wire.ParseProgress(body)
	if err == nil {
		k.loan.end() // the caller may write to its input from now on
		k.feed.tell(Progress(p))
	}
	return err
}

// answered settles a call whose function has returned.
func (r *run) answered(k *call, f wire.Frame) error {
	r.settle(k, &f, nil)
	return nil
}

// refused settles a call whose function has said no, or was not begun at all.
func (r *run) refused(k *call, body []byte) error {
	no, err := wire.ParseError(body)
	if err == nil {
		r.settle(k, nil, &RemoteError{Worker: r.cfg.Name, Func: k.info.Func, Message: no.Message, wrapped: errorsOf(no.Codes)})
	}
	return err
}

// settle ends a call that the worker has answered, with a frame or an error, unless
// somebody else has ended it meanwhile.
func (r *run) settle(k *call, answer *wire.Frame, err error) {
	if !r.calls.take(k) {
		return
	}
	r.calls.served.Add(1)
	switch {
	case k.left:
		r.calls.stale.Add(1)
	case answer == nil:
	case len(answer.Body) > smallFrame:
		body := answer.Take()
		k.body = &body
	default:
		k.body = buffers.Get().(*[]byte)
		*k.body = append((*k.body)[:0], answer.Body...)
	}
	r.calls.settle(k, err)
}

// dies notes that a handler has panicked, and that the worker is about to say how.
func (r *run) dies() {
	r.goDown()
	time.AfterFunc(dyingGrace, func() {
		r.kill(order{cause: Protocol, detail: "it said that a function had panicked, and then not how"})
	})
}

// panics notes how a handler has panicked. That is the end of the worker, for which
// nobody waits, see foretell. During a stop nobody is there to do that.
func (r *run) panics(k *call, body []byte) error {
	p, err := wire.ParsePanic(body)
	if err != nil || !r.panicked.CompareAndSwap(nil, &Panic{p.Value, p.Stack, k.info, k.id}) {
		return err
	}
	r.ended(nil)
	if r.asked.Load() {
		r.kill(order{cause: Panicked})
	}
	return nil
}
