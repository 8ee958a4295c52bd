package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/verdigris-go/verdigris/internal/output"
	"github.com/verdigris-go/verdigris/internal/spawn"
	"github.com/verdigris-go/verdigris/internal/statuspage"
	"github.com/verdigris-go/verdigris/wire"
)

// How long things may take that should take no time.
const (
	drainGrace = 200 * time.Millisecond // after death: for what is still in the pipes, when a descendant holds them open
	dyingGrace = time.Second            // from a closed channel to the death
	coreGrace  = 30 * time.Second       // from the notice of a fault in C to the death, when the kernel writes a core file

	unaskedPeriod = 100 * time.Millisecond // at which a worker that starts is caught at answering already
)

// run is one life of a worker process, seen from the parent.
type run struct {
	cfg *Config
	n   uint64

	proc      *spawn.Process
	hold      *hold // of all that the process has started
	page      *statuspage.Page
	control   *control
	channels  *channels
	transport *transport
	calls     *calls
	returns   returns
	logs      *logs
	stdout    *output.Drain
	stderr    *output.Drain

	born, readyAt time.Time
	unknown       map[string]string     // functions that a separate binary cannot run, and why
	ordered       atomic.Pointer[order] // the first kill this side decided on
	doomed        chan struct{}         // closed when there is such a kill
	panicked      atomic.Pointer[Panic] // what the worker reported before it went
	marks         bool                  // it keeps the status page
	by            atomic.Uint32         // the Transport that was agreed on
	recalls       atomic.Bool           // it starts no call that has been recalled there
	begun         atomic.Uint64         // the highest mark that was seen there
	asked         atomic.Bool           // it has been asked to stop
	broken        chan error            // a channel has ended (nil), or the protocol was broken
	fall          fall
	told          told
}

func newRun(cfg *Config, n uint64) *run {
	return &run{
		cfg: cfg, n: n, born: time.Now(), calls: newCalls(cfg.Concurrency + cfg.Ahead),
		broken: make(chan error, 4), doomed: make(chan struct{}),
	}
}

// start is one attempt to bring the worker up: spawn, handshake, state. bystander
// says that it failed by somebody's signal before the worker could catch any.
func (r *run) start(ctx context.Context, timeout <-chan time.Time, started func(*run), met func()) (bystander bool, err error) {
	if err := r.spawn(); err != nil {
		return false, &StartError{Worker: r.cfg.Name, Step: "spawn", Err: err}
	}
	started(r)
	step, err := r.greet(ctx, timeout, met)
	if err == nil {
		r.readyAt = time.Now()
		r.logs.note("worker ready", slog.Duration("took", r.readyAt.Sub(r.born)))
		return false, nil
	}
	died := err == errDied && r.ordered.Load() == nil
	if err != errDied { // or the death would be taken for our doing
		r.kill(order{cause: KillCalled, detail: "its start had failed"})
	}
	crash := r.bury()
	bystander = died && step == "handshake" && len(r.control.hello) == 0 && r.hit()
	if err == errDied {
		step, err = r.lastWord(step, crash)
	}
	if step == "handshake" && r.cfg.Exe != "" && len(r.control.hello) == 0 {
		err = fmt.Errorf("%w; is child.Init the first line of the main of %s?", err, r.cfg.Exe)
	}
	return bystander, &StartError{Worker: r.cfg.Name, Step: step, Err: err, Stderr: crash.Reported.Stderr}
}

// lastWord is why a worker died before it was ready, and at which step: what it
// said itself, even if that was read after its death had been seen.
func (r *run) lastWord(step string, crash *CrashError) (string, error) {
	if len(r.control.hello) > 0 {
		step = "open"
	}
	select {
	case err := <-r.control.ready:
		if err != nil {
			return "open", err
		}
	default:
	}
	return step, crash
}

// spawn makes the channels and the process.
func (r *run) spawn() (err error) {
	if !initialised.Load() {
		return ErrNotInitialised
	}
	if err := abandoned.check(); err != nil {
		return err
	}
	if err := checkDepth(); err != nil {
		return err
	}
	if err := r.cfg.Replay.check(); err != nil {
		return err
	}
	ch, err := openChannels()
	if err != nil {
		return err
	}
	defer ch.closeTheirs()
	defer func() {
		if err != nil {
			ch.closeOurs()
		}
	}()
	ch.offerRings(r.cfg)
	exe, err := r.executable()
	if err != nil {
		return err
	}
	if exe != nil {
		defer exe.Close()
	}
	if r.hold, err = newHold(r.cfg); err != nil {
		return err
	}
	err = r.hold.start(spawn.Command{
		Exe: exe, Argv: []string{processName(r.cfg.Name)}, Env: r.cfg.environ(), Dir: r.cfg.Dir,
		Files: ch.theirs(), Stdout: ch.stdout[1], Stderr: ch.stderr[1],
	}, r.cfg)
	if err != nil {
		_ = r.hold.end()() // nothing lives in it
		return err
	}
	r.proc = r.hold.proc
	if err = r.attach(ch); err != nil {
		r.slay()
		r.hold.endLater()
		return err
	}
	r.limit()
	return nil
}

// attach begins to listen to a worker that has just been spawned.
func (r *run) attach(ch *channels) error {
	r.logs, r.page, r.channels = newLogs(r.cfg.Logger.With("worker", r.cfg.Name, "pid", r.proc.PID(), "run", r.n)), ch.page, ch
	r.stdout = output.New(ch.stdout[0], output.Options{Line: r.logs.outLine, Dropped: r.logs.lost("stdout")})
	r.stderr = output.New(ch.stderr[0], output.Options{Line: r.logs.errLine(r.page), Dropped: r.logs.lost("stderr"), Dying: r.page.Crashed})
	if err := r.travel(Pipes); err != nil { // until the worker has said that it knows better
		return err
	}
	var err error
	r.control, err = newControl(ch.control[0], r.cfg.tune.patience, r.logs, r.ended, r.returned)
	return err
}

// travel makes the transport.
func (r *run) travel(by Transport) error {
	out, in, err := r.channels.ends(by)
	if err == nil {
		r.transport = newTransport(out, in, r.cfg.MaxFrame, r.cfg.tune.patience, receiver{r.deliver, r.ended, r.calls.traffic})
	}
	return err
}

// agree settles on a transport, now that the worker's capabilities are known. Nothing has
// travelled yet.
func (r *run) agree(capabilities []string) error {
	by := r.channels.agreed(capabilities)
	r.by.Store(uint32(by))
	if by == Rings {
		r.channels.closePipes()
		return r.travel(Rings)
	}
	r.channels.closeRings()
	r.channels.growPipes()
	return nil
}

// executable opens the separate worker binary; nil stands for this program.
func (r *run) executable() (*os.File, error) {
	if r.cfg.Exe == "" {
		return nil, nil
	}
	return os.Open(r.cfg.Exe)
}

var errDied = errors.New("it died") // internal: the crash tells how

// greet is the handshake; met is called at the hello. It returns the step at
// which it failed.
func (r *run) greet(ctx context.Context, timeout <-chan time.Time, met func()) (step string, err error) {
	setup := wire.Setup{
		Limit: r.cfg.MaxFrame, Concurrency: r.cfg.Concurrency, LogLevel: lowestLevel(ctx, r.cfg.Logger),
		State: r.cfg.Setup.name(), StateInput: r.cfg.Setup.input, Window: r.cfg.Window, Blobs: r.cfg.MaxBlob,
		Capabilities: []string{wire.CapRecall, wire.CapPongs},
	}
	if r.cfg.Exe == "" {
		setup.Build, _ = spawn.BuildID() // without one, functions are compared
	}
	if err := r.control.send(wire.KindSetup, 0, setup); err != nil {
		return "handshake", err
	}
	step = "handshake"
	unasked := time.NewTicker(unaskedPeriod)
	defer unasked.Stop()
	for {
		select {
		case <-unasked.C:
			r.transport.Look()
		case hello := <-r.control.hello:
			met()
			if err := r.meet(hello); err != nil {
				return step, err
			}
			step = "open"
			continue
		case err := <-r.control.ready:
			return "open", r.opened(err, step == "open")
		case err := <-r.broken:
			if err != nil {
				return step, err
			}
			if r.deadWithin(dyingGrace) {
				return step, errDied
			}
			return step, errors.New("it closed its channel to the parent")
		case <-r.proc.Done():
			return step, errDied
		case <-r.doomed:
			return step, errDied
		case <-timeout:
			return step, fmt.Errorf("not ready within the StartTimeout of %v", r.cfg.StartTimeout)
		case <-ctx.Done():
			return step, context.Cause(ctx)
		}
	}
}

// opened takes the worker's word that it is ready. Its hello is there already,
// but select may not have seen it yet.
func (r *run) opened(err error, met bool) error {
	if err != nil || met {
		return err
	}
	return r.meet(<-r.control.hello)
}

// meet checks who the worker is: this very build, or for a separate binary one
// whose functions are ours.
func (r *run) meet(h wire.Hello) error {
	if _, err := h.Negotiate(); err != nil {
		return err
	}
	if err := r.agree(h.Capabilities); err != nil {
		return err
	}
	r.marks = slices.Contains(h.Capabilities, wire.CapStatusPage)
	r.recalls.Store(r.marks && slices.Contains(h.Capabilities, wire.CapRecall))
	build, err := spawn.BuildID()
	if r.cfg.Exe == "" && err == nil { // a program linked without a build id compares functions
		if h.Build != build {
			return fmt.Errorf("the worker is another build (%s) than this program (%s)", h.Build, build)
		}
		return nil
	}
	theirs := map[string]wire.Function{}
	for _, f := range h.Functions {
		theirs[f.Name] = f
	}
	r.unknown = map[string]string{}
	streams, blobs := slices.Contains(h.Capabilities, wire.CapStreams), slices.Contains(h.Capabilities, wire.CapBlobs)
	for _, f := range functions.all() {
		if why := differs(f, theirs, streams, blobs); why != "" {
			r.unknown[f.name] = why
		}
	}
	return nil
}

// differs says why a binary with these functions cannot run f, or "". streams and
// blobs: it knows what those are.
func differs(f *function, theirs map[string]wire.Function, streams, blobs bool) string {
	t, known := theirs[f.name]
	switch {
	case !known:
		return "its binary does not define it"
	case f.stream != nil && !streams:
		return "it is a stream here, and its binary knows none"
	case (f.takes || f.gives) && !blobs:
		return "it takes or gives Blobs here, and its binary knows none"
	case t.Stream != (f.stream != nil):
		return "it is a stream on one side only"
	case t.In != "" && t.In != f.in:
		return fmt.Sprintf("its input is %s there and %s here", t.In, f.in)
	case t.Out != "" && t.Out != f.out:
		return fmt.Sprintf("its output is %s there and %s here", t.Out, f.out)
	case t.State != f.state:
		return fmt.Sprintf("it works on the state %q there and %q here", t.State, f.state)
	}
	return ""
}

// supervise watches over the worker until it is gone. down is called once, as soon
// as the worker takes no more calls, by whoever sees that first.
func (r *run) supervise(ctx context.Context, down func()) error {
	r.fall.tell(down)
	lost, why := r.attend(ctx)
	r.goDown()
	switch {
	case r.panicked.Load() != nil:
		r.foretell()
	case r.asked.Load():
		r.stop()
	case lost:
		r.lost(why)
	}
	crash := r.bury()
	if r.orderly(crash) {
		return nil
	}
	return crash
}

// attend returns when the worker is dead or to be killed, when ctx wants it to
// stop, or when a channel is lost, and why. Until then it listens to its heart.
func (r *run) attend(ctx context.Context) (lost bool, why error) {
	pulse := newPulse(r.cfg.Heartbeat)
	defer pulse.stop()
	for {
		select {
		case <-r.proc.Done():
			return false, nil
		case <-r.doomed:
			return false, nil
		case why = <-r.broken:
			return true, why
		case <-ctx.Done():
			r.asked.Store(true)
			return false, nil
		case <-pulse.C:
			lookForOOM()
			r.transport.Look()
			switch pulse.tick(r.control.signs(r.page), r.work()) {
			case hung:
				r.kill(order{cause: Hung, detail: fmt.Sprintf("no answer for %d periods of %v", missedBeats, r.cfg.Heartbeat)})
			case alive:
				r.control.ping(pulse.asked)
			}
		}
	}
}

// orderly reports whether the worker has ended as it was asked to.
func (r *run) orderly(crash *CrashError) bool {
	return r.asked.Load() && crash.Cause == Exited && crash.Observed.Code == 0 && len(crash.Calls) == 0
}

// lost deals with a worker that has closed a channel, or sent what it must not.
func (r *run) lost(err error) {
	signal := r.page.Signal()
	switch {
	case err != nil:
		r.kill(order{cause: Protocol, detail: err.Error()})
	case signal != 0:
		r.awaitReport(signal)
	case !r.deadWithin(dyingGrace):
		r.kill(order{cause: Protocol, detail: "it closed a channel to its parent and lived on"})
	}
}

// stop is the ladder: ask, close, SIGTERM, SIGKILL.
func (r *run) stop() {
	stop := &r.cfg.Stop
	_ = r.control.send(wire.KindShutdown, 0, wire.Shutdown{Grace: stop.Drain})
	r.logs.note("stopping worker")
	if r.deadWithin(stop.Drain) {
		return
	}
	r.ordered.CompareAndSwap(nil, &order{cause: StopTimeout})
	r.control.close() // its lifeline
	if r.deadWithin(stop.Close) {
		return
	}
	terminate(r.proc)
	if r.deadWithin(stop.Term) {
		return
	}
	r.kill(order{cause: StopTimeout})
}

// kill ends the worker and all that it has started; the first reason given
// counts. It does not wait. A worker that hangs may show its stacks first, see
// Config.Dump.
func (r *run) kill(o order) {
	first := r.ordered.CompareAndSwap(nil, &o)
	if first {
		defer close(r.doomed)
	}
	if first && r.dumps(o) && r.proc.Signal(syscall.SIGQUIT) == nil {
		time.AfterFunc(r.cfg.Dump, r.slay)
		return
	}
	r.slay()
}

// dumps reports whether it is of interest what the worker is doing.
func (r *run) dumps(o order) bool {
	return r.cfg.Dump > 0 && (o.cause == Deadline || o.cause == Hung)
}

// slay kills at once.
func (r *run) slay() {
	if !r.cfg.tune.undying {
		r.hold.kill()
	}
}

// ended is told by the channels, never waits.
func (r *run) ended(err error) {
	if r.fall.watched() {
		r.goDown()
	}
	select {
	case r.broken <- err:
	default:
	}
}

func (r *run) deadWithin(limit time.Duration) bool {
	select {
	case <-r.proc.Done():
		return true
	default:
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-r.proc.Done():
		return true
	case <-timer.C:
		return false
	}
}

// bury takes what the worker has left behind, fails its calls and gives
// everything back. It returns what is to be said about the end. A process that
// SIGKILL does not end is let go: nothing it does can reach us any more.
func (r *run) bury() *CrashError {
	dead, grace := r.deadWithin(r.cfg.Dump+r.cfg.tune.killGrace), drainGrace
	if !dead {
		grace = 0
		r.logs.tell(slog.LevelError, "worker abandoned: it did not die of SIGKILL", slog.String("ordered", r.ordered.Load().String()))
	}
	lack := r.hold.shortage(r.cfg)
	if dead {
		r.hold.end() // beside what follows: descendants may hold the pipes open
	}
	r.goDown()
	r.transport.Drain(grace) // answers that were written count
	if dead {
		r.unsent()
	}
	r.channels.closeRings()
	r.control.drain(grace)
	r.stdout.Close(grace)
	r.stderr.Close(grace)
	crash := r.crash(r.exit(dead, lack))
	r.fail(crash)
	r.returns.close(crash)
	r.failWaiting(crash)
	r.logs.close(r.stdout, r.stderr) // after the callers have been told: a logger may be slow
	r.page.Close()
	if dead {
		r.tellLeft(r.hold.end()()) // after the callers have been told
	} else {
		abandoned.add(r.proc, func() { r.tellLeft(r.hold.end()()) })
	}
	return crash
}

// unsent takes the answers that the worker was still going to write. Nobody is
// there to be blamed for what else stands on its page.
func (r *run) unsent() {
	frames := wire.NewReader(bytes.NewReader(r.page.Kept()), r.cfg.MaxFrame)
	for {
		f, err := frames.Next()
		if err != nil {
			return
		}
		answer := f.Kind == wire.KindAnswer || f.Kind == wire.KindError
		if answer && f.Check(wire.Calls, wire.ToParent) == nil && r.calls.has(f.ID) {
			_ = r.deliver(f)
		}
	}
}

// tellLeft logs what of the worker's descendants could not be ended.
func (r *run) tellLeft(err error) {
	if err != nil {
		r.cfg.Logger.Error("a worker has left something behind", slog.String("worker", r.cfg.Name), slog.Uint64("run", r.n), slog.Any("error", err))
	}
}

// crash puts together what is known about the end.
func (r *run) crash(end Exit) *CrashError {
	c := &CrashError{Worker: r.cfg.Name, PID: r.proc.PID(), Run: r.n, Served: r.calls.served.Load(), Exit: end}
	if !r.readyAt.IsZero() {
		c.Uptime = time.Since(r.readyAt)
	}
	return c
}

// exit is how it ended, if it did.
func (r *run) exit(dead bool, lack shortage) Exit {
	if dead {
		return evidence{state: r.proc.State(), ordered: r.ordered.Load(), reported: r.reported(), shortage: lack}.exit()
	}
	return Exit{Cause: Abandoned, Detail: "it " + r.ordered.Load().String(), Observed: unseen, Reported: r.reported()}
}

// reported is what the worker has left behind.
func (r *run) reported() Reported {
	return Reported{
		Trace: string(r.page.CrashText()), Panic: r.panicked.Load(), Stderr: r.stderr.Tail(), Goodbye: r.control.goodbye(),
	}
}

// fail settles the calls that the worker has started and not answered with the
// crash. Those that have been told before stand in it too.
func (r *run) fail(crash *CrashError) {
	started := r.started()
	running := r.calls.takeAll(func(k *call) bool { return k.id <= started })
	crash.Calls = slices.Clip(r.told.calls)
	for _, k := range running {
		crash.Calls = append(crash.Calls, k.info)
	}
	kept, guilty := r.keep(crash, running), r.guilty(crash.Exit)
	crash.Replay = r.told.replay
	if len(kept) > 0 && crash.Replay == "" {
		crash.Replay = kept[0]
	}
	for i, k := range running {
		own, at := *crash, len(r.told.calls)+i
		own.Replay = kept[i]
		own.Calls = append([]CallInfo{k.info}, append(crash.Calls[:at:at], crash.Calls[at+1:]...)...)
		own.Innocent = guilty != 0 && guilty != k.id
		r.calls.settle(k, &own)
	}
	r.told = told{crash.Calls, crash.Replay}
}

// failWaiting settles what is left: calls that the worker has not started.
func (r *run) failWaiting(crash *CrashError) {
	reason := error(crash)
	if r.orderly(crash) {
		reason = errStopped
	}
	for _, k := range r.calls.takeAll(func(*call) bool { return true }) {
		r.notStarted(k, reason)
	}
}

func (r *run) notStarted(k *call, reason error) {
	r.calls.settle(k, &NotStartedError{Worker: r.cfg.Name, Func: k.info.Func, Reason: reason})
}

// guilty is the id of the call that is known to have brought the worker down: its
// handler panicked, or it had to be ended. 0: nobody knows which it was.
func (r *run) guilty(end Exit) uint64 {
	if end.Reported.Panic != nil {
		return end.Reported.Panic.id
	}
	if o := r.ordered.Load(); o != nil && o.cause == end.Cause {
		return o.call
	}
	return 0
}

// started is the highest id of a call that the worker may have begun to run. A
// worker that does not keep the status page may have begun with any; one that takes
// a mark back has begun all the same, and what it has sent since may have been used.
func (r *run) started() uint64 {
	if !r.marks {
		return math.MaxUint64
	}
	mark := r.page.Started()
	for {
		seen := r.begun.Load()
		if mark <= seen {
			return seen
		}
		if r.begun.CompareAndSwap(seen, mark) {
			return mark
		}
	}
}

// work changes whenever the worker begins with a call, if it keeps the status page.
func (r *run) work() uint64 {
	if r.marks {
		return r.started()
	}
	return 0
}

// lowestLevel is the lowest of slog's levels that the logger takes.
func lowestLevel(ctx context.Context, log *slog.Logger) int {
	for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn} {
		if log.Enabled(ctx, l) {
			return int(l)
		}
	}
	return int(slog.LevelError)
}

const workerTitle = ": worker "

// processName is what ps shows: the program, and which worker of it.
func processName(worker string) string {
	program := "worker"
	if exe, err := os.Executable(); err == nil {
		program = filepath.Base(exe)
	}
	return program + workerTitle + worker
}
