package child

import (
	"context"
	"fmt"
	"sync"

	"github.com/verdigris-go/verdigris/wire"
)

// Func is a function that runs in a worker process. [Define] makes one, as a
// package variable, so that the parent and its workers register the same name
// before main starts. A Func is immutable and safe for concurrent use.
type Func[In, Out any] struct {
	*function
	in         wire.Codec[In]
	out        wire.Codec[Out]
	idempotent bool
	spare      *sync.Pool // of *invocation[In, Out]
}

// invocation is one call of a function, in one piece.
type invocation[In, Out any] struct {
	request Request
	in      In
	out     Out
}

func newInvocation[In, Out any](f *function, in wire.Codec[In], out wire.Codec[Out]) *invocation[In, Out] {
	c := &invocation[In, Out]{}
	c.request = Request{
		fn:     f,
		append: func(dst []byte) (_, tail []byte, err error) { return in.AppendSplit(dst, c.in) },
		decode: func(body []byte, owned bool) (err error) {
			c.out, err = decode(out, body, owned)
			return err
		},
	}
	return c
}

// forget drops what belongs to the call that was made.
func (c *invocation[In, Out]) forget() {
	c.request.Settled = nil
	c.in, c.out = *new(In), *new(Out)
}

// Define registers fn under a name and returns the handle to call it by. It is
// meant for package variables:
//
//	var Resize = child.Define("resize", func(ctx context.Context, j Job) (Thumb, error) { ... })
//
// The handler runs in a worker process: it sees the package variables of that
// process, and nothing that main has set up in the parent. Its context ends
// when the caller's does, or when the call's deadline passes. In and Out cross
// the boundary as CBOR; []byte and string do so without reflection.
//
// Define panics when the name is empty or taken, when a value of In or Out
// could not make the journey without loss (the message names the path of the
// field), or when [Init] has already run: a worker would not know the function.
func Define[In, Out any](name string, fn func(context.Context, In) (Out, error)) Func[In, Out] {
	return define(name, "", func(ctx context.Context, _ any, in In) (Out, error) { return fn(ctx, in) })
}

func define[In, Out any](name, state string, fn func(context.Context, any, In) (Out, error)) Func[In, Out] {
	in, out := codecsOf[In, Out]("Define", name)
	f := &function{name: name, state: state, in: in.Signature(), out: out.Signature(), takes: in.BlobPath() != "", gives: out.BlobPath() != ""}
	f.run = func(ctx context.Context, state any, from input, dst []byte) (_, tail []byte, err error) {
		m := mailFor(ctx, f)
		defer m.close()
		v, err := decodeInput(ctx, m, in, from)
		if err != nil {
			return dst, nil, &codecError{f.name, "input", err}
		}
		result, err := fn(ctx, state, v)
		m.hold(out.Blobs(result))
		if err != nil {
			return dst, nil, err
		}
		dst, tail, err = out.AppendSplit(dst, result)
		if err == nil {
			err = m.load(out.Blobs(result))
		}
		if err != nil {
			return dst, nil, &codecError{f.name, "output", err}
		}
		return dst, tail, nil
	}
	wholeInputs(f, in)
	functions.add(f)
	spare := &sync.Pool{New: func() any { return newInvocation(f, in, out) }}
	return Func[In, Out]{function: f, in: in, out: out, spare: spare}
}

// Idempotent returns the function with a promise: to run it twice with the same
// input, also when the first run broke off at any point, does no more than to run
// it once. What only computes is idempotent, and what writes a file whole and
// renames it; what appends, sends, charges or counts is not. Who has promised that
// allows a pool to send a call again after a [*CrashError], see pool.Retry.
//
//	var Hash = child.Define("hash", hashFile).Idempotent() // always
//	sum, err := Hash.Idempotent().Call(ctx, c, name)       // this call only
func (f Func[In, Out]) Idempotent() Func[In, Out] {
	f.idempotent = true
	return f
}

// codecsOf makes the codecs of a function's types, or panics.
func codecsOf[In, Out any](define, name string) (wire.Codec[In], wire.Codec[Out]) {
	in, err := wire.CodecFor[In]()
	if err != nil {
		panic(fmt.Sprintf("child: %s(%q): the input: %v", define, name, err))
	}
	out, err := wire.CodecFor[Out]()
	if err != nil {
		panic(fmt.Sprintf("child: %s(%q): the output: %v", define, name, err))
	}
	return in, out
}

// Call runs the function in a worker of c and waits for its answer. It returns
// at once when ctx ends. The error is one of
//
//   - [*RemoteError]: the function ran and said no;
//   - [*CrashError]: the worker died while the function was running;
//   - an error that matches [ErrNotStarted]: the function has not run, the call may be sent again;
//   - [*InterruptedError]: ctx ended, or CallTimeout passed, before the answer came;
//   - [*UnavailableError]: there is no worker, and none came in time;
//   - [*StateError], [*UnknownFunctionError], [*ConfigError], a codec error: the call or its worker is wrong, nothing was sent.
//
// Nobody may write to what in refers to until Call returns; a large byte slice is
// sent from where it lies. After that nothing refers to it any more.
func (f Func[In, Out]) Call(ctx context.Context, c Caller, in In) (Out, error) {
	var out Out
	if f.function == nil {
		return out, fmt.Errorf("child: this Func was not made by Define")
	}
	call, again := f.spare.Get().(*invocation[In, Out]), true
	if f.takes || f.gives {
		call, again = newInvocation(f.function, f.in, f.out), false
	}
	call.in, call.request.idempotent = in, f.idempotent
	if f.takes {
		takesBlobs(&call.request, f.in, in)
	}
	if f.gives {
		givesBlobs(ctx, &call.request, f.out, &call.out)
	}
	if err := c.Do(ctx, &call.request); err != nil {
		return out, err // somebody may still know the request
	}
	out = call.out
	if again {
		call.forget()
		f.spare.Put(call)
	}
	return out, nil
}

// decode decodes body, which the value may keep if it is owned.
func decode[T any](c wire.Codec[T], body []byte, owned bool) (T, error) {
	if owned {
		return c.Adopt(body)
	}
	return c.Decode(body)
}

// Name returns the name the function was defined under.
func (f *function) Name() string { return f.name }

// function is what the registry knows of a Func or a Stream, its types erased. It
// has run or stream.
type function struct {
	name    string
	state   string                                                                                     // the state it needs, "" for none
	in, out string                                                                                     // signatures, compared with a separate binary's
	run     func(ctx context.Context, state any, from input, dst []byte) (out, tail []byte, err error) // see wire.Codec.AppendSplit
	stream  func(ctx context.Context, state any, from input, to *outflow) error

	takes, gives bool                                         // there may be Blobs in the input, in the output
	whole        func(input []byte, c *cargo) ([]byte, error) // the input with its Blobs inside; nil if it takes none
}

// input is a function's input, one CBOR item, where the function is.
type input struct {
	item  []byte
	owned bool // in memory that is its own
}

// Caller is whoever can take calls: a [Process], a pool of them, [Inline].
// Do sends req to a worker and decodes the answer into it; it may be called
// from any goroutine, and returns the errors that [Func.Call] lists. When it has
// returned nil, the memory of req may become another request: nobody may look at it
// any more.
type Caller interface {
	Do(ctx context.Context, req *Request) error
}

// Request is one call on its way. Callers that stand in front of others (a
// pool, a proxy to another machine) read it and pass it on; the same request
// may be sent again after an error that matches [ErrNotStarted].
type Request struct {
	// Settled, if set, is called once when the call takes no worker's time any
	// more: before Do returns, or later, when the caller has left and the function
	// runs on. end is how that came about: nil or a *RemoteError when the worker has
	// answered, a *CrashError when it died with it, else why it was never begun. It
	// is called from any goroutine and must not block.
	Settled func(end error)

	fn         *function
	idempotent bool
	append     func(dst []byte) (out, tail []byte, err error) // see wire.Codec.AppendSplit
	decode     func(body []byte, owned bool) error            // of a Func
	items      *consumer                                      // of a Stream

	// Of functions with Blobs, else nil.
	load     func(limit int64) (*cargo, error) // what goes with the input
	whole    func(dst []byte) ([]byte, error)  // append, with the data inside
	identity func(dst []byte) ([]byte, error)  // append, with hashes for the data
	back     **delivery                        // what comes with the output; copies of the request share it
}

// settle tells who asked that the call takes no worker's time any more.
func (r *Request) settle(end error) {
	if r.Settled != nil {
		r.Settled(end)
	}
}

// Func returns the name of the function called.
func (r *Request) Func() string { return r.fn.name }

// State returns the name of the state that the function needs, or "".
func (r *Request) State() string { return r.fn.state }

// Idempotent reports whether the caller has promised that a second run does no
// harm, see [Func.Idempotent].
func (r *Request) Idempotent() bool { return r.idempotent }

// AppendInput appends the input, encoded as one CBOR item, to dst. If a method of
// the input that is to encode it panics, that is an error: the call is not sent.
//
// Blobs are in it as byte strings. A worker is sent their descriptors instead.
func (r *Request) AppendInput(dst []byte) ([]byte, error) { return r.appendAs(dst, r.whole) }

// AppendIdentity appends what the input can be recognised by: the input as it is
// encoded, but with a hash for the data of each Blob. Nobody can decode it.
func (r *Request) AppendIdentity(dst []byte) ([]byte, error) { return r.appendAs(dst, r.identity) }

// appendAs appends the input in a form of its own; nil: there is only one.
func (r *Request) appendAs(dst []byte, form func([]byte) ([]byte, error)) ([]byte, error) {
	split := r.append
	if form != nil {
		split = func(dst []byte) (out, tail []byte, err error) { out, err = form(dst); return out, nil, err }
	}
	out, tail, err := r.appendSplit(dst, split)
	return append(out, tail...), err
}

// appendSplit appends the input, but for what lies in the caller's memory and is to be
// sent from there: the tail.
func (r *Request) appendSplit(dst []byte, split func([]byte) (out, tail []byte, err error)) (out, tail []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			out, tail, err = dst, nil, &codecError{r.fn.name, "input", fmt.Errorf("to encode it panicked: %v", v)}
		}
	}()
	out, tail, err = split(dst)
	if err != nil {
		return dst, nil, &codecError{r.fn.name, "input", err}
	}
	return out, tail, nil
}

// DecodeOutput takes the encoded answer, one CBOR item, which it copies what it
// needs from.
func (r *Request) DecodeOutput(body []byte) error { return r.decodeOutput(body, false) }

// decodeOutput takes the answer out of memory that is the answer's own, if it is
// owned.
func (r *Request) decodeOutput(body []byte, owned bool) error {
	if r.items != nil {
		return fmt.Errorf("child: %s is a stream, its items go to TakeItem", r.fn.name)
	}
	if err := r.decode(body, owned); err != nil {
		return &codecError{r.fn.name, "output", err}
	}
	return nil
}

// Interrupted is the error of a call whose context has ended before it was
// given to any worker. pool is the name of whoever has not: a pool.
func (r *Request) Interrupted(ctx context.Context, pool string) *InterruptedError {
	err := interrupted(ctx, pool, r.fn.name, false)
	err.pool = true
	return err
}
