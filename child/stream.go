package child

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"

	"github.com/verdigris-go/verdigris/wire"
)

// Stream is a function that runs in a worker process and brings many results,
// one after the other, each as soon as it is there. [DefineStream] makes one, as
// a package variable, like a [Func]. It is immutable and safe for concurrent use.
type Stream[In, Out any] struct {
	*function
	in         wire.Codec[In]
	out        wire.Codec[Out]
	idempotent bool
}

// DefineStream registers fn under a name and returns the handle to call it by:
//
//	var Pages = child.DefineStream("pages", func(ctx context.Context, file string) iter.Seq2[Page, error] {
//		return func(yield func(Page, error) bool) { ... }
//	})
//
// What the sequence yields, the caller of the worker gets, in that order. An
// error that it yields ends the stream, the value beside it is dropped. While the
// caller has not taken what has been sent (see [Config.Window]) yield waits. It
// returns false when nobody wants more: the caller has left or stopped, or the
// time is up; the context has ended then too. As with every iterator, yield must
// not be called after that, and not from another goroutine: that is a panic.
//
// It panics as [Define] does.
func DefineStream[In, Out any](name string, fn func(context.Context, In) iter.Seq2[Out, error]) Stream[In, Out] {
	return defineStream(name, "", func(ctx context.Context, _ any, in In) iter.Seq2[Out, error] { return fn(ctx, in) })
}

// DefineStreamOn registers a stream that works on a state, as [DefineOn] does
// with a function.
func DefineStreamOn[C, S, In, Out any](s State[C, S], name string, fn func(*S, context.Context, In) iter.Seq2[Out, error]) Stream[In, Out] {
	return defineStream(name, s.Name(), func(ctx context.Context, state any, in In) iter.Seq2[Out, error] {
		return fn(state.(*S), ctx, in)
	})
}

func defineStream[In, Out any](name, state string, fn func(context.Context, any, In) iter.Seq2[Out, error]) Stream[In, Out] {
	in, out := codecsOf[In, Out]("DefineStream", name)
	if path := out.BlobPath(); path != "" {
		panic(fmt.Sprintf("child: DefineStream(%q): the item: %v", name, &wire.TypeError{Type: reflect.TypeFor[Out](), Path: path, Reason: noBlob}))
	}
	f := &function{name: name, state: state, in: in.Signature(), out: out.Signature(), takes: in.BlobPath() != ""}
	f.stream = func(ctx context.Context, state any, from input, to *outflow) error {
		m := mailFor(ctx, f)
		defer m.close()
		v, err := decodeInput(ctx, m, in, from)
		if err != nil {
			return &codecError{f.name, "input", err}
		}
		for item, err := range fn(ctx, state, v) {
			if err != nil {
				return err
			}
			frame, err := out.Append(to.begin(), item)
			if err != nil {
				return &codecError{f.name, "item", err}
			}
			if err := to.send(frame); err != nil {
				return err
			}
		}
		return nil
	}
	wholeInputs(f, in)
	functions.add(f)
	return Stream[In, Out]{function: f, in: in, out: out}
}

// Idempotent returns the stream with a promise, as [Func.Idempotent] does. A call
// that has delivered a result is not sent again in any case.
func (s Stream[In, Out]) Idempotent() Stream[In, Out] {
	s.idempotent = true
	return s
}

// Call returns the stream of results of one call in a worker of c. The call is
// made when the sequence is ranged over, and once more each time that it is. Each
// pair is a result and nil, or, as the last one, no result and an error of those
// that [Func.Call] lists; a stream that ends without an error is complete. A
// worker that dies has first given what it had sent.
//
// To break off the loop, by panic or runtime.Goexit too, or to end ctx, is to
// leave: nothing is delivered any more, and the function's context ends. A
// deadline, and [Config.CallTimeout], bound the whole stream, with the time that
// the loop's body takes.
//
// The loop's body runs on the goroutine that ranges. While it is busy the worker
// can send no more than a window full, see [Config.Window]; nobody else waits.
func (s Stream[In, Out]) Call(ctx context.Context, c Caller, in In) iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) {
		var zero Out
		if s.function == nil {
			yield(zero, errors.New("child: this Stream was not made by DefineStream"))
			return
		}
		enough := false
		req := &Request{
			fn:         s.function,
			idempotent: s.idempotent,
			append:     func(dst []byte) (_, tail []byte, err error) { return s.in.AppendSplit(dst, in) },
			items: &consumer{take: func(body []byte, owned bool) (more bool, err error) {
				item, err := decode(s.out, body, owned)
				if err != nil {
					return false, err
				}
				enough = !yield(item, nil)
				return !enough, nil
			}},
		}
		if s.takes {
			takesBlobs(req, s.in, in)
		}
		err := c.Do(ctx, req)
		if err != nil && !enough {
			yield(zero, err)
		}
	}
}

// InputOf decodes the input of a call of s that was kept, see [Func.InputOf].
func (s Stream[In, Out]) InputOf(c CrashedCall) (In, error) {
	return Func[In, Out]{function: s.function, in: s.in}.InputOf(c)
}

// consumer takes the items of one stream, on the caller's goroutine. Copies of
// its request share it.
type consumer struct {
	take      func(body []byte, owned bool) (more bool, err error)
	delivered bool // it has been given something
}

// Stream reports whether the request is a call of a [Stream]: its results go to
// TakeItem, one by one, and DecodeOutput is not for it.
func (r *Request) Stream() bool { return r.items != nil }

// TakeItem gives one encoded result of a stream to its consumer, on the goroutine
// that has called Do, and returns whether it wants more. What it needs of item it
// copies. After an error the stream has to end.
func (r *Request) TakeItem(item []byte) (more bool, err error) { return r.takeItem(item, false) }

// takeItem gives an item in memory that is the item's own, if it is owned.
func (r *Request) takeItem(item []byte, owned bool) (more bool, err error) {
	if r.items == nil {
		return false, fmt.Errorf("child: %s is no stream", r.fn.name)
	}
	r.items.delivered = true
	if more, err = r.items.take(item, owned); err != nil {
		return false, &codecError{r.fn.name, "item", err}
	}
	return more, nil
}

// Delivered reports whether the caller has been given a part of the answer. Such
// a request must not be sent again.
func (r *Request) Delivered() bool { return r.items != nil && r.items.delivered }
