package child

import (
	"context"
	"errors"
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
	_, unavailable := errors.AsType[*UnavailableError](err)
	if start, ok := errors.AsType[*StartError](end); ok && unavailable {
		return out, start // why there was no worker
	}
	return out, err
}

// alone serves a worker for one call, and returns the errors of both.
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
	callErr = call(p)
	stop()
	if ctx.Err() != nil {
		p.Kill() // nobody is left to whom the function could be of use
	}
	return callErr, <-done
}

var errOnce = errors.New("its one call is over")
