package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/verdigris-go/verdigris/internal/dying"
	"github.com/verdigris-go/verdigris/internal/early"
	"github.com/verdigris-go/verdigris/internal/spawn"
	"github.com/verdigris-go/verdigris/internal/statuspage"
	"github.com/verdigris-go/verdigris/wire"
)

// The worker's descriptors, see docs/wire.md.
const (
	fdControl = 3 + iota
	fdCalls
	fdAnswers
	fdStatus
	fdRings // and the two bells behind it
)

// worker is the other side of a run: this process, seen from inside.
type worker struct {
	control *controlOut
	answers *answers
	marker  *statuspage.Marker
	setup   wire.Setup
	can     []string // its capabilities
	hello   []byte   // a frame that goes out together with ready
	state   any
	parcels parcels
	opened  chan struct{}    // closed when state is there, or has failed
	exit    func(status int) // os.Exit, or what stands for it where a worker is tried out in process; does not return

	mu       sync.Mutex
	running  map[uint64]*task // the calls that run
	canceled map[uint64]error // cancels of calls that have not been started yet
	seen     uint64           // highest id taken from the call channel
	stopping bool             // shutdown has come: nothing is started any more
	idle     *sync.Cond       // signalled when a call ends
}

// serveParent is the life of a worker. It returns nil after an orderly stop.
// Whoever signals the whole group (Ctrl-C, systemd) means the parent: package
// early has seen to that.
func serveParent() error {
	runtime.LockOSThread() // the state is opened, and with Concurrency 1 used, on one thread only
	files, err := inherited()
	if err != nil {
		return err
	}
	_ = spawn.SetName(shortName(os.Args[0])) // for top and pstree

	w, err := newWorker(files, os.Exit)
	if err != nil {
		return err
	}
	ourselves.Store(w)
	if err := w.keepLastWords(); err != nil {
		return err
	}
	if dying.Arm != nil {
		if err := dying.Arm(fdControl, w.marker.SignalWord()); err != nil {
			return err
		}
	}
	return w.live(files)
}

func newWorker(files descriptors, exit func(status int)) (w *worker, err error) {
	w = &worker{exit: exit, can: files.capabilities(), opened: make(chan struct{}), running: map[uint64]*task{}, canceled: map[uint64]error{}}
	w.idle = sync.NewCond(&w.mu)
	if w.marker, err = statuspage.Open(files.status); err != nil {
		return nil, err
	}
	w.control, err = newControlOut(files.control, w.orphaned)
	return w, err
}

// keepLastWords gives the runtime a place for its last words that nobody else
// writes to.
func (w *worker) keepLastWords() error {
	crash, err := w.marker.CrashFile()
	if err != nil {
		return err
	}
	debug.SetTraceback("single") // at least: with GOTRACEBACK=none some fatal errors would not be reported at all
	if os.Getpid() == 1 {
		endByFaults(crash)
	}
	return debug.SetCrashOutput(crash, debug.CrashOptions{})
}

// live is the worker's conversation with its parent, from hello to the end.
func (w *worker) live(files descriptors) error {
	reader := wire.NewReader(w.control.sock, wire.ControlLimit)
	if err := w.greet(reader, files.control); err != nil {
		return err
	}
	calls, answers := files.way()
	w.answers = newAnswers(answers, w.setup, w.marker, w.orphaned)
	w.answers.ship = w.control.ship
	if w.setup.State != "" {
		w.settle(reader)
	}
	if err := w.open(); err != nil {
		return nil // the parent knows why, and ends us
	}
	if w.setup.State == "" { // what takes time is done while the parent sends its first call
		w.settle(reader)
	}
	return w.serve(calls)
}

// settle does what has to be done before anybody's code runs.
func (w *worker) settle(r *wire.Reader) {
	slog.SetDefault(slog.New(newLogHandler(w.control, slog.Level(w.setup.LogLevel))))
	go w.obey(r)
}

// ourselves is the worker that this process is; one that is tried out in another
// process is nobody's own.
var ourselves atomic.Pointer[worker]

// orphaned ends a worker that has no parent any more. Nobody will look for what
// it has started: its process group goes with it. A parent that has asked for
// the end is still there, and looks.
func (w *worker) orphaned() {
	if w.marker.Dying() {
		select {} // the channel is shut, see package dying; what comes next ends the process
	}
	w.mu.Lock()
	asked := w.stopping
	w.mu.Unlock()
	if !asked && ourselves.Load() == w {
		killOwnGroup()
	}
	w.exit(exitOrphan)
}

// shortName is the worker's own name, out of what processName has made. The
// kernel cuts it to 15 bytes.
func shortName(argv0 string) string {
	if _, name, ok := strings.Cut(argv0, workerTitle); ok {
		return name
	}
	return "worker"
}

// greet says who we are and learns what the parent wants. A parent that does not
// wait for hello has said so long before this process came here: then the answer is
// made to fit, and goes together with ready if there is no state to open.
func (w *worker) greet(r *wire.Reader, control *os.File) error {
	if !hasInput(control) {
		if err := w.introduce(); err != nil {
			return err
		}
		return w.learn(r)
	}
	err := w.learn(r)
	if err != nil || w.setup.State != "" {
		return errors.Join(err, w.introduce())
	}
	w.hello, err = controlFrame(wire.KindHello, 0, w.introduction())
	return err
}

func (w *worker) introduce() error { return w.control.send(wire.KindHello, 0, w.introduction()) }

// introduction is who we are. A parent of the same build knows our functions.
func (w *worker) introduction() wire.Hello {
	hello := wire.Hello{PID: os.Getpid(), Language: runtime.Version(), Capabilities: w.can}
	hello.Build, _ = spawn.BuildID() // without one, only a parent that asks for it refuses us
	if hello.Build != "" && hello.Build == w.setup.Build {
		return hello
	}
	for _, f := range functions.all() {
		hello.Functions = append(hello.Functions, wire.Function{Name: f.name, In: f.in, Out: f.out, State: f.state, Stream: f.stream != nil})
	}
	return hello
}

// learn takes the parent's setup.
func (w *worker) learn(r *wire.Reader) error {
	f, err := r.Next()
	if err != nil {
		return fmt.Errorf("no setup from the parent: %w", err)
	}
	if f.Kind != wire.KindSetup {
		return fmt.Errorf("a %v from the parent where a setup belongs", f.Kind)
	}
	if w.setup, err = wire.ParseSetup(f.Body); err != nil {
		return err
	}
	return w.agree()
}

// agree checks what a parent of another version, or one that is out of order,
// could ask for.
func (w *worker) agree() error {
	switch s := &w.setup; {
	case s.Version != wire.Version:
		return fmt.Errorf("the parent asks for protocol version %d, this worker speaks %d; build both from versions that agree", s.Version, wire.Version)
	case s.Concurrency > maxConcurrency:
		return fmt.Errorf("the parent asks for %d functions at once, the limit is %d", s.Concurrency, maxConcurrency)
	}
	return nil
}

// open opens the state and reports the outcome.
func (w *worker) open() error {
	defer close(w.opened)
	state, failed := w.openState()
	if failed == nil {
		w.state = state
		return w.ready()
	}
	_ = w.control.send(wire.KindStartFailed, 0, *failed)
	w.control.flush(time.Second)
	return errors.New(failed.Message)
}

// ready says so, and hello too if that is still to be said.
func (w *worker) ready() error {
	frame, err := controlFrame(wire.KindReady, 0, wire.Ready{})
	if err == nil {
		w.control.frame(append(w.hello, frame...))
	}
	return err
}

func (w *worker) openState() (state any, failed *wire.StartFailed) {
	if w.setup.State == "" {
		return nil, nil
	}
	early.Catch()
	t, ok := states.get([]byte(w.setup.State))
	if !ok {
		return nil, &wire.StartFailed{Message: fmt.Sprintf("this binary does not define the state %q", w.setup.State)}
	}
	return t.begin(context.Background(), w.setup.StateInput)
}

// obey takes the parent's control frames. When the channel ends, the parent is
// gone, and so are we.
func (w *worker) obey(r *wire.Reader) {
	for {
		f, err := r.Next()
		if err == nil {
			err = f.Check(wire.Control, wire.ToWorker)
		}
		if err != nil {
			w.orphaned()
		}
		switch f.Kind {
		case wire.KindPing:
			w.pong(f.ID)
		case wire.KindCancel:
			if c, err := wire.ParseCancel(f.Body); err == nil {
				w.cancel(f.ID, c.Reason)
			}
		case wire.KindCredit:
			if c, err := wire.ParseCredit(f.Body); err == nil {
				w.credit(f.ID, c.Bytes)
			}
		case wire.KindParcel:
			w.parcels.came(f.ID, f.Body, w.control.sock.claim(), math.MaxInt64)
		case wire.KindShutdown:
			w.mu.Lock()
			w.stopping = true // before the next frame is taken
			w.mu.Unlock()
			go w.shutdown()
		}
	}
}

// pong answers a ping where the parent looks for it. On the status page that needs no
// system call, and the parent no wake-up.
func (w *worker) pong(ping uint64) {
	if slices.Contains(w.setup.Capabilities, wire.CapPongs) {
		w.marker.Pong(ping)
		return
	}
	w.control.frame(wire.AppendFrame(nil, wire.KindPong, ping, nil))
}

// maxEarlyCancels bounds the cancels that are kept for calls to come: no parent
// has more calls on their way.
const maxEarlyCancels = 2 * maxConcurrency

// cancel ends the context of a call; one that has not been started yet never will be.
func (w *worker) cancel(id uint64, reason wire.CancelReason) {
	cause := context.Canceled
	if reason == wire.DeadlineExceeded {
		cause = context.DeadlineExceeded
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.running[id]; t != nil {
		t.ctx.cancel(cause)
	} else if id > w.seen && len(w.canceled) < maxEarlyCancels {
		w.canceled[id] = cause
	}
}

// credit lets a stream go on, if it still does.
func (w *worker) credit(id uint64, bytes int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.running[id]; t != nil && t.out != nil {
		t.out.credit(bytes)
	}
}

// shutdown lets what runs finish, closes the state and goes. The parent's
// ladder bounds it.
func (w *worker) shutdown() {
	w.yieldToTerm()
	<-w.opened // a state that is only half open cannot be closed
	w.mu.Lock()
	for len(w.running) > 0 {
		w.idle.Wait()
	}
	w.mu.Unlock()
	w.answers.flush()
	reason := "shutdown"
	if err := w.closeState(); err != nil {
		reason = "shutdown; closing the state: " + err.Error()
		slog.Error("closing the state failed", "state", w.setup.State, "error", err)
	}
	_ = w.control.send(wire.KindGoodbye, 0, wire.Goodbye{Reason: reason})
	w.control.flush(time.Second)
	w.exit(0)
}

// yieldToTerm lets SIGTERM end the worker from now on. The kernel protects
// process 1 of a PID namespace from signals that it does not catch.
func (w *worker) yieldToTerm() {
	early.Catch() // or the reset would not reach what package early has done
	if os.Getpid() != 1 {
		signal.Reset(syscall.SIGTERM)
		return
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() { <-term; w.exit(exitOrphan) }()
}

func (w *worker) closeState() error {
	if w.state == nil {
		return nil
	}
	t, _ := states.get([]byte(w.setup.State))
	return t.end(w.state)
}

// serve takes calls in the order of their arrival, Concurrency of them at once.
// With one at a time it runs them on this very thread, which never changes: no
// goroutine has to be woken, and C libraries with thread affinity feel at home.
func (w *worker) serve(calls io.Reader) error {
	if w.setup.Concurrency == 1 {
		return w.take(answersFirst{w.answers, calls}, func(f wire.Frame) {
			own := len(f.Body) > smallFrame
			if own {
				f.Body = f.Take() // rather than copy out of it
			}
			w.answers.expedite()
			w.accept(f.ID, f.Body, own).run()
		})
	}
	slots := make(chan struct{}, w.setup.Concurrency)
	return w.take(calls, func(f wire.Frame) {
		slots <- struct{}{}
		t := w.accept(f.ID, f.Take(), true)
		go func() {
			defer func() { <-slots }()
			t.run()
		}()
	})
}

// take reads calls, until there is an error.
func (w *worker) take(calls io.Reader, handle func(wire.Frame)) error {
	r := wire.NewReader(calls, w.setup.Limit)
	last := uint64(0)
	for {
		f, err := r.Next()
		if err == nil {
			err = f.Check(wire.Calls, wire.ToWorker)
		}
		if err == nil && f.ID <= last {
			err = fmt.Errorf("call %d after call %d", f.ID, last)
		}
		if errors.Is(err, io.EOF) {
			w.orphaned()
		}
		if err != nil {
			return fmt.Errorf("the parent broke the protocol: %w", err)
		}
		last = f.ID
		handle(f)
	}
}
