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
	out, err := f.Call(ctx, p, in)
	stop()
	if ctx.Err() != nil {
		p.Kill() // nobody is left to whom the function could be of use
	}
	end := <-done
	var start *StartError
	var unavailable *UnavailableError
	if errors.As(err, &unavailable) && errors.As(end, &start) {
		return out, start // why there was no worker
	}
	return out, err
}

var errOnce = errors.New("its one call is over")
