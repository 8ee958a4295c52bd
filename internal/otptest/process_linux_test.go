package otptest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/tree"
)

// process is a scripted worker that is a worker process. What it is to do is decided here, as for a goroutine; that it
// has done it, is observed.
type process struct {
	script
	proc  *child.Process
	lines <-chan *line

	mu   sync.Mutex
	body *body // nil when it is not up
}

// process makes a worker.
func (s *switchboard) process(sc script) suture.Service {
	key, lines := s.enlist()
	return &process{script: sc, lines: lines, proc: child.New(child.Config{
		Name:         base(sc.path),
		Setup:        puppets.With(puppetConfig{s.listener.Addr().String(), key}),
		StartTimeout: time.Minute,
		Stop:         child.Stop{Drain: time.Hour}, // the limits of the tree are to count
		Logger:       slog.New(slog.DiscardHandler),
	})}
}

func (p *process) Serve(ctx context.Context) error { return p.ServeReady(ctx, func() {}) }

func (p *process) Retire(cause error) { p.proc.Retire(cause) }

// Kill is what the supervisor does when it has waited long enough.
func (p *process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.body != nil {
		close(p.body.kill)
	}
	p.proc.Kill()
}

// run is one run of a process: its service is served in a goroutine of its own.
type run struct {
	*process
	life life
	body *body
	line *line
	up   chan struct{}
	err  error // after body.died: what Serve has returned
}

// ServeReady is one run. As a start function of OTP, a start takes no notice of an order to stop.
func (p *process) ServeReady(ctx context.Context, ready func()) error {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	r := &run{process: p, life: p.w.begin(ctx, p.path), body: newBody(), up: make(chan struct{})}
	defer close(r.body.gone)
	go func() {
		defer close(r.body.died)
		r.err = p.proc.ServeReady(inner, func() { r.comeUp(ctx, ready) })
	}()
	if !r.start() {
		cancel()
		<-r.body.died
		return r.startFailed()
	}
	defer context.AfterFunc(ctx, cancel)()
	go r.listen()
	how, reason := r.live(r.life, r.body)
	r.end(how, reason)
	reason = r.observed(reason)
	p.setBody(nil)
	r.goDown(r.life, how, reason)
	return exitError(reason, r.err)
}

// start sees the worker through its start and reports whether it is up.
func (r *run) start() bool {
	done := r.w.move()
	select {
	case r.line = <-r.lines:
	case <-r.body.died:
		done()
		return false
	}
	done()
	outcome := r.outcome(r.life)
	defer r.w.move()()
	if outcome == "crash" { // there are two ways
		outcome = []string{"panic", "die"}[r.life.n%2]
	}
	r.line.say(outcome)
	select {
	case <-r.up:
		return true
	case <-r.body.died:
		return false
	}
}

// comeUp is called when the worker is ready.
func (r *run) comeUp(ctx context.Context, ready func()) {
	if r.behaviour.Info != nil {
		tree.SetInfo(ctx, *r.behaviour.Info)
	}
	r.setBody(r.body)
	r.script.comeUp(r.life, r.body)
	close(r.up)
	ready()
}

func (p *process) setBody(b *body) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.body = b
}

// startFailed records how the start has failed, as it was observed.
func (r *run) startFailed() error {
	if r.line != nil {
		r.line.conn.Close()
	}
	_, failed := errors.AsType[*child.StartError](r.err)
	switch {
	case errors.Is(r.err, errNotNeeded):
		r.w.record("start_ignored %v", r.life)
		return tree.ErrIgnore
	case errors.Is(r.err, errStart):
		r.w.record("start_failed %v start_error", r.life)
		return errStart
	case failed && strings.Contains(r.err.Error(), "(open)"):
		r.w.record("start_failed %v crash", r.life)
		return &tree.PanicError{Value: r.err}
	}
	r.w.record("start_failed %v %v", r.life, r.err)
	return r.err
}

// listen waits for the worker to notice that it is asked to stop.
func (r *run) listen() {
	if r.line.hear() == "asked" {
		close(r.body.told)
	}
}

// end makes the worker die as its script says, and waits for that.
func (r *run) end(how, reason string) {
	defer r.w.move()()
	defer r.line.conn.Close()
	switch {
	case isClosed(r.body.kill), reason == "died":
	case reason == "killed":
		if pid := r.proc.Stats().PID; pid > 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	case how == "asked" && reason == "shutdown":
		r.line.say("comply")
	default:
		r.line.say(fmt.Sprint("exit ", status(how, reason)))
	}
	<-r.body.died
}

// status is the exit status for a reason.
func status(how, reason string) int {
	switch {
	case reason == "normal" && how == "asked":
		return exitNormalAsked
	case reason == "normal":
		return exitNormal
	case reason == "shutdown":
		return exitShutdown
	case strings.HasPrefix(reason, "shutdown:"):
		return exitShutdownX
	}
	return exitFailure
}

// observed is the reason that the end of the process shows. planned is only for what a status cannot say.
func (r *run) observed(planned string) string {
	crash, ok := errors.AsType[*child.CrashError](r.err)
	switch {
	case r.err == nil:
		return "shutdown"
	case !ok:
		return r.err.Error()
	case crash.Observed.Signal == syscall.SIGKILL:
		return "killed"
	}
	switch crash.Observed.Code {
	case exitNormal, exitNormalAsked:
		return "normal"
	case exitShutdown:
		return "shutdown"
	case exitShutdownX:
		return "shutdown:" + strings.TrimPrefix(planned, "shutdown:")
	case exitFailure:
		return "error"
	}
	return crash.Exit.String()
}
