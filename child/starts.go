package child

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/verdigris-go/verdigris/internal/early"
)

// starts bounds how many workers of this program are on their way from the clone
// to their hello: more than there are processors would only slow down each
// other, and everybody else on the machine.
var starts = startGate{slots: make(chan struct{}, runtime.NumCPU()), most: time.Second}

// startGate lets so many in at a time as it has slots.
type startGate struct {
	slots chan struct{}
	most  time.Duration // after which a start counts as over: it may wait for something
}

// enter waits for a slot. leave gives it back, and may be called more than once.
func (g *startGate) enter(ctx context.Context) (leave func(), err error) {
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	give := sync.OnceFunc(func() { <-g.slots })
	timer := time.AfterFunc(g.most, give)
	return func() { timer.Stop(); give() }, nil
}

// maxAgain is how often a start is repeated that somebody else's signal has ended.
const maxAgain = 3

// startRun brings a worker up: spawn, handshake, state. started is told as soon
// as there is a process that may have to be killed. When ctx ends, so does the
// start. A signal that was meant for all of a program's processes can hit one
// that is too young to catch it: then it is started again.
func startRun(ctx context.Context, cfg *Config, n uint64, started func(*run)) (*run, error) {
	leave, err := starts.enter(ctx)
	if err != nil {
		return nil, &StartError{Worker: cfg.Name, Step: "spawn", Err: err}
	}
	defer leave()
	timeout := time.NewTimer(cfg.StartTimeout)
	defer timeout.Stop()
	for again := 0; ; again++ {
		r := newRun(cfg, n)
		bystander, err := r.start(ctx, timeout.C, started, leave)
		if err == nil {
			return r, nil
		}
		if !bystander || again == maxAgain || ctx.Err() != nil {
			return nil, err
		}
		cfg.Logger.Info("starting the worker again: a signal came before it could be caught", slog.String("worker", cfg.Name), slog.Any("error", err))
	}
}

// hit reports whether a dead worker was ended by a signal that is sent to whole
// groups. Process 1 of a PID namespace does not die of it but exits, as Go does
// when a signal that should be deadly was not.
func (r *run) hit() bool {
	s := r.proc.State()
	switch s.Signal {
	case syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP:
		return true
	}
	return r.hold.enforced.Kill == ContainPIDNamespace && s.Code == exitPanic && r.stderr.Tail() == ""
}

// maxDepth bounds workers that start workers that start workers.
const maxDepth = 8

// checkDepth refuses a start too far down, which must be a mistake.
func checkDepth() error {
	if early.Depth < maxDepth {
		return nil
	}
	return fmt.Errorf("child: this process is a worker of a worker, %d levels deep, and may start none: a function seems to call itself in a worker of its own", early.Depth)
}
