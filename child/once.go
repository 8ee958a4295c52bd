package child

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Once runs one call in a worker process of its own, and ends the process: the
// value travels in, the result comes back, and if the function crashes only
// the worker dies. It returns when the worker is gone; when ctx ends first, the
// worker is killed at once. The errors are those of
// [Func.Call], and a [*StartError].
func Once[In, Out any](ctx context.Context, cfg Config, f Func[In, Out], in In) (Out, error) {
	var out Out
	err, end := alone(ctx, cfg, func(c Caller) (err error) {
		out, err = f.Call(ctx, c, in)
		return err
	})
	return out, startOr(err, end)
}

// OnceStream is [Once] for a stream: each time that the result is ranged over, a
// process runs that one call. The loop is left when the process is gone. To leave
// it early, like the end of ctx, kills the worker at once.
func OnceStream[In, Out any](ctx context.Context, cfg Config, s Stream[In, Out], in In) iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) {
		err, end := alone(ctx, cfg, func(c Caller) error {
			for out, err := range s.Call(ctx, c, in) {
				if err != nil {
					return err
				}
				if !yield(out, nil) {
					return errEnough
				}
			}
			return nil
		})
		if err != nil && err != errEnough {
			var zero Out
			yield(zero, startOr(err, end))
		}
	}
}

// startOr returns why there was no worker, if there was none, else the call's error.
func startOr(err, end error) error {
	_, unavailable := errors.AsType[*UnavailableError](err)
	if start, ok := errors.AsType[*StartError](end); ok && unavailable {
		return start
	}
	return err
}

// alone serves a worker for one call, and returns the errors of both. If the call
// panics the worker is ended too.
func alone(ctx context.Context, cfg Config, call func(Caller) error) (callErr, end error) {
	p := New(cfg)
	p.cfg.Wait = p.cfg.StartTimeout + time.Second // the start ends by itself before that
	p.set(restarting, nil)                        // served in a moment
	served, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() {
		err := p.ServeReady(served, func() {})
		p.Retire(errOnce)
		done <- err
	}()
	callErr = errEnough
	defer func() {
		stop()
		if ctx.Err() != nil || callErr == errEnough {
			p.Kill() // nobody is left to whom the function could be of use
		}
		end = <-done
	}()
	callErr = call(p)
	return callErr, nil
}

var errOnce = errors.New("its one call is over")
