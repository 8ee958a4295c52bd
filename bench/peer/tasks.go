//go:build linux

package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/bench/measure"
)

// Task is what a program is asked to do. Which of its fields count depends on
// what that is.
type Task struct {
	Do      string       `json:"do"`
	Size    int          `json:"size,omitempty"` // bytes of the payload; 0 stands for an Order
	Pace    measure.Pace `json:"pace,omitzero"`
	Callers int          `json:"callers,omitempty"`
	Times   int          `json:"times,omitempty"`
}

const (
	Calls  = "calls"  // one caller: Size, Pace
	Crowd  = "crowd"  // Callers at once for Pace.Time: Size
	Starts = "starts" // from nothing to the first answer: Times
	Floor  = "floor"  // the program itself, until its main: Times
	Kills  = "kills"  // from SIGKILL to the answer of the next worker, started when the call fails: Times
	Idle   = "idle"   // that many workers wait until the next task; yields their PIDs: Times
	Bare   = "bare"   // the same of the program itself, started again, without workers: Times
)

// Result is what it says then.
type Result struct {
	measure.Sample
	PIDs  []int  `json:"pids,omitempty"`
	Error string `json:"error,omitempty"`
}

// settling is how long the machine is left alone before a death.
const settling = 5 * time.Millisecond

// player does tasks.
type player struct {
	start  Starter
	worker Worker   // of the calls, from the first on
	idle   []Worker // of the last task
}

func (p *player) do(ctx context.Context, t Task) (r Result) {
	var err error
	p.close(&p.idle)
	switch t.Do {
	case Calls, Crowd:
		r.Sample, err = p.call(ctx, t)
	case Starts:
		r.Sample, err = measure.Repeat(t.Times, func() (time.Duration, error) { return p.coldStart(ctx) })
	case Floor:
		r.Sample, err = measure.Repeat(t.Times, floor)
	case Kills:
		r.Sample, err = measure.Repeat(t.Times, func() (time.Duration, error) { return p.kill(ctx) })
	case Idle:
		r.PIDs, err = p.rest(t.Times, func() (Worker, error) { return p.first(ctx) })
	case Bare:
		r.PIDs, err = p.rest(t.Times, startBare)
	default:
		err = fmt.Errorf("there is no task %q", t.Do)
	}
	if err != nil {
		r = Result{Error: err.Error()}
	}
	return r
}

// end leaves nothing behind.
func (p *player) end() {
	p.close(&p.idle)
	if p.worker != nil {
		_ = p.worker.Close() // it has done its work
	}
}

func (p *player) close(workers *[]Worker) {
	for _, w := range *workers {
		_ = w.Close() // it has done its work
	}
	*workers = nil
}

// call makes calls to the worker.
func (p *player) call(ctx context.Context, t Task) (s measure.Sample, err error) {
	if p.worker == nil {
		if p.worker, err = p.start(ctx); err != nil {
			return s, err
		}
	}
	pids := []int{p.worker.PID()}
	if t.Do == Calls {
		return measure.Timed(t.Pace, pids, operation(ctx, p.worker, t.Size))
	}
	return measure.Together(t.Callers, t.Pace.Time, pids, func() (func() error, func()) {
		ctx, cancel := context.WithCancel(ctx)
		return operation(ctx, p.worker, t.Size), cancel
	})
}

var errAnswer = errors.New("the answer is not what was sent")

// operation is a call whose answer is looked at.
func operation(ctx context.Context, w Worker, size int) func() error {
	if size == 0 {
		return func() error {
			out, err := w.Mirror(ctx, Example)
			if err == nil && out != Example {
				err = errAnswer
			}
			return err
		}
	}
	in := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
	return func() error {
		out, err := w.Echo(ctx, in)
		if err == nil && (len(out) != size || out[size-1] != in[size-1]) {
			err = errAnswer
		}
		return err
	}
}

// small is the payload of what is no row of its own.
const small = 16

func (p *player) coldStart(ctx context.Context) (time.Duration, error) {
	begin := time.Now()
	w, err := p.first(ctx)
	took := time.Since(begin)
	if err != nil {
		return 0, err
	}
	return took, w.Close()
}

// first is a worker that has answered.
func (p *player) first(ctx context.Context) (Worker, error) {
	w, err := p.start(ctx)
	if err != nil {
		return nil, err
	}
	if err := operation(ctx, w, small)(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// kill is what somebody does whose worker dies: the call fails, a new one is
// started, and called again. What is left of the old one does not hold it up.
func (p *player) kill(ctx context.Context) (time.Duration, error) {
	old, err := p.first(ctx)
	if err != nil {
		return 0, err
	}
	time.Sleep(settling)
	begin := time.Now()
	if err := unix.Kill(old.PID(), unix.SIGKILL); err != nil {
		return 0, errors.Join(err, old.Close())
	}
	if operation(ctx, old, small)() == nil {
		return 0, errors.Join(errors.New("an answer of a dead worker"), old.Close())
	}
	var gone sync.WaitGroup
	gone.Go(func() { _ = old.Close() }) // killed, as it should be
	next, err := p.first(ctx)
	took := time.Since(begin)
	gone.Wait()
	if err != nil {
		return 0, err
	}
	return took, next.Close()
}

// rest starts workers that have nothing to do.
func (p *player) rest(n int, start func() (Worker, error)) (pids []int, err error) {
	for range n {
		w, err := start()
		if err != nil {
			return nil, err
		}
		p.idle, pids = append(p.idle, w), append(pids, w.PID())
	}
	return pids, nil
}
