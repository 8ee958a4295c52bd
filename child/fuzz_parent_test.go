//go:build linux

package child

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/internal/statuspage"
	"github.com/verdigris-go/verdigris/wire"
)

// Whatever a parent sends, in whatever pieces, whether it reads what comes back
// or not: the worker does not panic, it ends soon after its parent's channels
// have, it runs nothing that was not asked for and nothing twice, what it sends
// keeps to the protocol, and memory grows with what was sent and no faster.
func FuzzHostileParent(f *testing.F) {
	onlyFuzzed(f)
	var worst appetite
	f.Cleanup(func() { f.Log(worst.String()) })
	for _, s := range parentSeeds() {
		f.Add(s.control, s.calls, s.script)
	}
	f.Fuzz(func(t *testing.T, control, calls, script []byte) {
		playParent(t, &worst, control, calls, script)
	})
}

// The same with good frames for the most part, at random.
func TestHostileParents(t *testing.T) {
	onlyFuzzed(t)
	var worst appetite
	for seed := range uint64(rounds(t, 1000)) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		playParent(t, &worst, noise(rnd, 60), noise(rnd, 150), append([]byte{1}, noise(rnd, 40)...))
		if t.Failed() {
			t.Fatalf("with the seed %d", seed)
		}
	}
	t.Log(worst.String())
}

func playParent(t testing.TB, worst *appetite, control, calls, script []byte) {
	before := allocated()
	h := &hostileParent{t: t, control: control, calls: calls}
	h.play(script)
	used := allocated() - before
	// A call costs its contexts, its log records and its answer, however short it is.
	frames := uint64(len(rawFrames(h.calls, wire.MaxLimit)))
	worst.check(t, used, len(h.control)+len(h.calls)+len(script), 1<<20+frames*(12<<10), 64)
}

// What the worker of the target can do, and nothing else: no fuzzer may call
// the functions of the other tests.
var (
	fuzzRuns  atomic.Int64
	fuzzState = DefineState("fuzz.state", func(_ context.Context, n int) (*int, error) { return &n, nil }, func(*int) error { return errors.New("stuck") })

	fuzzFunctions = []*function{
		fuzzEcho.function,
		fuzzFlow.function,
		Define("fuzz.sum", func(_ context.Context, n []int) (sum int, err error) {
			fuzzRuns.Add(1)
			for _, v := range n {
				sum += v
			}
			return sum, nil
		}).function,
		Define("fuzz.fail", func(context.Context, string) (string, error) { fuzzRuns.Add(1); return "", io.EOF }).function,
		Define("fuzz.wait", func(ctx context.Context, say string) (string, error) {
			fuzzRuns.Add(1)
			slog.InfoContext(ctx, say)
			<-ctx.Done()
			return say, ctx.Err()
		}).function,
		Define("fuzz.panic", func(context.Context, bool) (bool, error) { fuzzRuns.Add(1); panic(onPurpose) }).function,
		DefineOn(fuzzState, "fuzz.on", func(n *int, _ context.Context, by int) (int, error) { fuzzRuns.Add(1); return *n * by, nil }).function,
	}
)

const onPurpose = "on purpose"

// onlyFuzzed hides all functions but those until the test ends.
func onlyFuzzed(t testing.TB) {
	functions.mu.Lock()
	defer functions.mu.Unlock()
	all := functions.m
	functions.m = map[string]*function{}
	for _, f := range fuzzFunctions {
		functions.m[f.name] = f
	}
	t.Cleanup(func() {
		functions.mu.Lock()
		defer functions.mu.Unlock()
		functions.m = all
	})
}

// hostileParent is a worker whose parent is made up.
type hostileParent struct {
	t              testing.TB
	control, calls []byte

	worker *worker
	theirs descriptors // the worker's ends
	page   *statuspage.Page
	ended  chan struct{}
	once   sync.Once
	status int
	spent  map[uint64]int64 // of the windows of streams, by items that were sent
}

func (h *hostileParent) play(plan []byte) {
	s := &script{plan}
	if s.bit(0) {
		h.control, h.calls = compose(h.control, parentControl, parentBodies()), compose(h.calls, parentCalls, parentBodies())
		h.control = append(wire.AppendFrame(nil, wire.KindSetup, 0, parentSetups()[int(s.next())%len(parentSetups())]), h.control...)
	}
	defer slog.SetDefault(slog.Default())
	goroutines, ran := runtime.NumGoroutine(), fuzzRuns.Load()
	ch, err := openChannels()
	must(h.t, err)
	defer ch.closeOurs()
	h.begin(ch)
	reads := s.bit(0) || !s.bit(1)
	var heard heard
	if reads {
		heard.listen(h.t, ch)
	}
	go pour(halfway{ch.control[0]}, h.control, s.cuts())
	go pour(ch.calls[1], h.calls, s.cuts())
	await(h.t, "the end of the worker", h.ended)
	until(h.t, "the worker to leave nothing behind", func() bool { h.rouse(); return runtime.NumGoroutine() <= goroutines+heard.listening() })
	closeAll(h.theirs.control, h.theirs.answers)
	if reads {
		heard.wait(h.t)
	}
	h.check(&heard, fuzzRuns.Load()-ran)
}

// halfway closes the way there only, as long as what comes back is still read.
type halfway struct{ *os.File }

func (f halfway) Close() error {
	conn, err := f.SyscallConn()
	if err == nil {
		_ = conn.Control(func(fd uintptr) { err = syscall.Shutdown(int(fd), syscall.SHUT_WR) })
	}
	return err
}

// begin makes the worker, with an end that can be lived to see.
func (h *hostileParent) begin(ch *channels) {
	fd, err := syscall.Dup(int(ch.page.File().Fd()))
	must(h.t, err)
	h.page, h.ended = ch.page, make(chan struct{})
	h.theirs = descriptors{status: os.NewFile(uintptr(fd), "page")}
	for to, from := range map[**os.File]**os.File{&h.theirs.control: &ch.control[1], &h.theirs.calls: &ch.calls[0], &h.theirs.answers: &ch.answers[1]} {
		*to = polled(h.t, *from)
		*from = nil // closed
	}
	h.worker, err = newWorker(h.theirs, func(status int) { h.exit(status); runtime.Goexit() })
	must(h.t, err)
	go func() {
		status := 0
		if h.worker.live(h.theirs) != nil {
			status = exitNoParent
		}
		h.exit(status)
	}()
}

// polled takes a descriptor over, and makes it one that is read in the runtime's
// poller: in this process Close has to end a Read.
func polled(t testing.TB, f *os.File) *os.File {
	fd, err := syscall.Dup(int(f.Fd()))
	must(t, err)
	must(t, f.Close())
	must(t, syscall.SetNonblock(fd, true))
	return os.NewFile(uintptr(fd), "polled")
}

// exit is the end of the worker: its descriptors are closed.
func (h *hostileParent) exit(status int) {
	h.once.Do(func() {
		h.status = status
		closeAll(h.theirs.control, h.theirs.calls, h.theirs.answers)
		close(h.ended)
	})
}

// rouse makes the goroutines of a worker that has exited see it, which in a
// process they would not have to.
func (h *hostileParent) rouse() {
	w := h.worker
	w.mu.Lock()
	w.stopping = false
	for _, t := range w.running {
		t.ctx.cancel(nil)
	}
	w.idle.Broadcast()
	w.mu.Unlock()
	w.control.mu.Lock()
	w.control.writing, w.control.buf = false, nil // for who waits until all is written
	w.control.changed.Broadcast()
	w.control.mu.Unlock()
	_ = w.marker.Close()
}

// heard is what the worker has sent.
type heard struct {
	control, answers []byte
	all              sync.WaitGroup
	left             atomic.Int32
}

func (h *heard) listening() int { return int(h.left.Load()) }

func (h *heard) listen(t testing.TB, ch *channels) {
	for from, to := range map[*os.File]*[]byte{ch.control[0]: &h.control, ch.answers[0]: &h.answers} {
		h.left.Add(1)
		h.all.Go(func() {
			defer h.left.Add(-1)
			*to, _ = io.ReadAll(from)
		})
	}
}

func (h *heard) wait(t testing.TB) {
	done := make(chan struct{})
	go func() { h.all.Wait(); close(done) }()
	await(t, "the end of what the worker sends", done)
}

// check holds what the worker has sent against what it was asked.
func (h *hostileParent) check(heard *heard, ran int64) {
	switch h.status {
	case 0, exitPanic, exitNoParent, exitOrphan:
	default:
		h.t.Errorf("it exited with %d", h.status)
	}
	asked := map[uint64]int{}
	calls, highest := int64(0), uint64(0)
	for _, f := range rawFrames(h.calls, wire.MaxLimit) {
		asked[f.id]++
		calls++
		highest = max(highest, f.id)
	}
	if ran > calls {
		h.t.Errorf("%d functions were run for %d calls", ran, calls)
	}
	if started := h.page.Started(); started > highest {
		h.t.Errorf("it says that it has started call %d, the last one was %d", started, highest)
	}
	h.sent(heard.control, wire.Control, func(wire.Frame) {})
	room := h.windows()
	h.sent(heard.answers, wire.Calls, func(f wire.Frame) {
		if asked[f.ID] < 1 {
			h.t.Errorf("a %v for call %d that nobody waits for", f.Kind, f.ID)
		}
		switch f.Kind {
		case wire.KindItem:
			if room(f.ID) <= 0 {
				h.t.Errorf("an item of call %d beyond its window", f.ID)
			}
			h.spent[f.ID] += int64(len(f.Body)) + 64
		case wire.KindProgress:
		default:
			asked[f.ID]--
		}
		if f.Kind != wire.KindPanic {
			return
		}
		if p, err := wire.ParsePanic(f.Body); err != nil || p.Value != onPurpose {
			h.t.Errorf("a panic of our own: %s\n%s", p.Value, p.Stack)
		}
	})
}

// windows returns what is left of a stream's window, by setup and by all credits.
func (h *hostileParent) windows() func(id uint64) int64 {
	window, credits := int64(0), map[uint64]int64{}
	for i, f := range rawFrames(h.control, wire.ControlLimit) {
		if s, err := wire.ParseSetup(f.body); i == 0 && err == nil {
			window = int64(s.Window)
		}
		if c, err := wire.ParseCredit(f.body); f.kind == wire.KindCredit && err == nil {
			credits[f.id] = min(credits[f.id]+min(c.Bytes, 1<<40), 1<<40)
		}
	}
	h.spent = map[uint64]int64{}
	return func(id uint64) int64 { return window + credits[id] - h.spent[id] }
}

// sent checks one stream of the worker's frames. It may be cut off at its end.
func (h *hostileParent) sent(stream []byte, channel wire.Channel, look func(wire.Frame)) {
	r := wire.NewReader(bytes.NewReader(stream), wire.MaxLimit)
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return
		}
		if err == nil {
			err = f.Check(channel, wire.ToParent)
		}
		if err != nil {
			h.t.Errorf("it sent on %v: %v", channel, err)
			return
		}
		look(f)
	}
}

type parentSeed struct{ control, calls, script []byte }

func parentSeeds() []parentSeed {
	setup := func(n int) []byte { return wire.AppendFrame(nil, wire.KindSetup, 0, parentSetups()[n]) }
	join := func(frames ...[]byte) []byte { return bytes.Join(frames, nil) }
	frame := func(k wire.Kind, id uint64) (b []byte) {
		for _, body := range parentBodies()[k] {
			b = wire.AppendFrame(b, k, id, body)
		}
		return b
	}
	call := func(id uint64, name string, input ...byte) []byte {
		return wire.AppendFrame(nil, wire.KindCall, id, parentCall(name, 0, input...))
	}
	plan := []byte{0, 0, 2, 10, 20, 1, 30}
	all := join(call(1, "fuzz.echo", 0x41, 1), call(2, "fuzz.sum", 0x82, 1, 2), call(3, "fuzz.fail", 0x60), call(4, "fuzz.none", 1), call(5, "fuzz.echo", 0xff))
	return []parentSeed{
		{setup(0), all, plan},
		{setup(1), join(all, call(6, "fuzz.on", 3)), plan},
		{setup(2), all, []byte{0, 2}},
		{join(setup(0), frame(wire.KindCancel, 1), frame(wire.KindPing, 0), frame(wire.KindShutdown, 0)), join(call(1, "fuzz.wait", 0x60), all), plan},
		{join(setup(0), frame(wire.KindShutdown, 0), frame(wire.KindShutdown, 0)), call(1, "fuzz.panic", 0xf5), plan},
		{setup(0), call(1, "fuzz.panic", 0xf5), plan},
		{join(setup(1), frame(wire.KindCredit, 1)), join(call(1, "fuzz.flow", 9), call(2, "fuzz.flow", 0), call(3, "fuzz.flow", 0x18, 31), all), plan},
		{join(setup(0), frame(wire.KindCancel, 1)), call(1, "fuzz.flow", 9), plan},
		{setup(3), all, plan},
		{setup(4), nil, plan},
		{[]byte("GET / HTTP/1.1\r\n\r\n"), nil, plan},
		{join(setup(0), setup(0)), join(all, all), plan},
		{setup(0), wire.AppendFrame(nil, wire.KindAnswer, 1, []byte{1}), plan},
		{setup(0), []byte{0x56, 16, 0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1}, plan},
		{[]byte{0, 0, 1, 0, 0, 1, 0, 0}, []byte{0, 0, 1, 0, 0, 1, 2, 0, 0, 2, 3, 0}, []byte{1, 0, 0, 0}},
	}
}

// What a parent sends, by channel. The frames of several functions are one kind.
var (
	parentControl = []wire.Kind{wire.KindPing, wire.KindCancel, wire.KindCancel, wire.KindShutdown, wire.KindSetup, wire.KindPing, wire.KindHello, wire.KindCredit, wire.KindCredit}
	parentCalls   = []wire.Kind{wire.KindCall, wire.KindCall, wire.KindCall, wire.KindCall, wire.KindCall, wire.KindPing}
)

func parentCall(name string, timeout time.Duration, input ...byte) []byte {
	head, err := wire.AppendCallHead(nil, name, timeout, map[string]string{"key": "k"})
	if err != nil {
		panic(err)
	}
	return append(head, input...)
}

// parentReporting is a call of a stream that wants to know how far it has come.
func parentReporting() []byte {
	head, err := wire.AppendCallHead(nil, "fuzz.flow", 0, map[string]string{wire.MetaProgress: "1"})
	if err != nil {
		panic(err)
	}
	return append(head, 3)
}

var parentSetups = sync.OnceValue(func() (bodies [][]byte) {
	for _, s := range []wire.Setup{
		{Limit: fuzzFrameLimit, Concurrency: 1, LogLevel: int(slog.LevelDebug), Window: 200},
		{Limit: fuzzFrameLimit, Concurrency: 3, State: "fuzz.state", StateInput: []byte{7}, Window: 400},
		{Limit: 32, Concurrency: 2},
		{Limit: fuzzFrameLimit, Concurrency: 1, State: "none"},
		{Version: 2, Limit: fuzzFrameLimit, Concurrency: 1},
		{Limit: wire.MaxLimit, Concurrency: 1 << 40},
	} {
		b, err := s.Append(nil)
		if err != nil {
			panic(err)
		}
		bodies = append(bodies, b)
	}
	return bodies
})

var parentBodies = sync.OnceValue(func() map[wire.Kind][][]byte {
	bodies := map[wire.Kind][][]byte{
		wire.KindPing: {nil},
		wire.KindCall: {
			parentCall("fuzz.echo", time.Hour, 0x42, 1, 2), parentCall("fuzz.sum", 1, 0x82, 1, 2), parentCall("fuzz.fail", 0, 0x60),
			parentCall("fuzz.wait", 0, 0x61, 'x'), parentCall("fuzz.wait", time.Millisecond, 0x60), parentCall("fuzz.panic", 0, 0xf5),
			parentCall("fuzz.on", 0, 2), parentCall("fuzz.none", 0, 1), parentCall("fuzz.flow", 0, 2), parentCall("fuzz.flow", time.Millisecond, 9), parentReporting(),
		},
		wire.KindSetup: parentSetups(),
	}
	addBodies(bodies, map[wire.Kind]controlBody{
		wire.KindCancel:   wire.Cancel{Reason: wire.Canceled},
		wire.KindShutdown: wire.Shutdown{Grace: time.Second},
		wire.KindHello:    wire.Hello{},
		wire.KindCredit:   wire.Credit{Bytes: 150},
	})
	return bodies
})
