//go:build linux

package child

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/internal/statuspage"
	"github.com/verdigris-go/verdigris/wire"
)

// Whatever a worker sends, in whatever pieces, on any of its channels, and
// whatever it writes to the status page: the parent does not panic, it comes to
// an end, every open call is settled once, with the very answer that the worker
// gave to it or with an error that is true, and memory grows with what was sent
// and no faster.
func FuzzHostileWorker(f *testing.F) {
	var worst appetite
	f.Cleanup(func() { f.Log(worst.String()) })
	for _, s := range workerSeeds(f) {
		f.Add(s.control, s.answers, s.output, s.script)
	}
	f.Fuzz(func(t *testing.T, control, answers, output, script []byte) {
		playWorker(t, &worst, control, answers, output, script)
	})
}

// The same with good frames for the most part, at random: it is quick, and what
// a test run without a fuzzer has.
func TestHostileWorkers(t *testing.T) {
	var worst appetite
	for seed := range uint64(rounds(t, 1000)) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		playWorker(t, &worst, noise(rnd, 100), noise(rnd, 200), noise(rnd, 100), append([]byte{1}, noise(rnd, 40)...))
		if t.Failed() {
			t.Fatalf("with the seed %d", seed)
		}
	}
	t.Log(worst.String())
}

func playWorker(t testing.TB, worst *appetite, control, answers, output, script []byte) {
	before := allocated()
	h := &hostileWorker{t: t, control: control, answers: answers, output: output}
	h.play(script)
	worst.check(t, allocated()-before, len(h.control)+len(h.answers)+len(output)+len(script), 1<<20, 64)
}

const fuzzFrameLimit = 64 << 10

// fuzzEcho and fuzzFlow are the functions of the calls that are open.
var (
	fuzzEcho = Define("fuzz.echo", func(_ context.Context, b []byte) ([]byte, error) { return b, nil })
	fuzzFlow = DefineStream("fuzz.flow", func(ctx context.Context, n uint8) iter.Seq2[[]byte, error] {
		return func(yield func([]byte, error) bool) {
			fuzzRuns.Add(1)
			for i := range n % 32 {
				Report(ctx, Progress{Done: int64(i)})
				if !yield(make([]byte, i), nil) {
					return
				}
			}
		}
	})
)

const fuzzWindow = 1 << 10

// hostileWorker is a run of a worker whose bytes are made up.
type hostileWorker struct {
	t                        testing.TB
	control, answers, output []byte

	run   *run
	calls []*openCall
	gate  chan struct{} // closed when everything has come; no item is taken before that
}

// openCall is a call that the hostile worker may answer; its id is its place,
// from 1.
type openCall struct {
	left     context.CancelFunc
	canceled bool
	settled  int
	body     []byte // what its caller got
	err      error
	done     chan struct{}

	stream, asks bool // it brings items, it wants to know how far it has come
	enough       int  // so many items; 0: all
	items        [][]byte
}

func (h *hostileWorker) play(plan []byte) {
	s := &script{plan}
	if s.bit(0) {
		h.control, h.answers = compose(h.control, workerControl, workerBodies()), compose(h.answers, workerAnswers, workerBodies())
	}
	cfg, err := Config{Name: "hostile", MaxFrame: fuzzFrameLimit, Window: fuzzWindow, Logger: slog.New(discards{})}.withDefaults()
	must(h.t, err)
	if s.bit(0) {
		cfg.Exe = "another" // whose functions are compared
	}
	ch, err := openChannels()
	must(h.t, err)
	h.begin(&cfg, ch)
	h.meet(s, ch)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// begin makes a run with a process that is dead already and channels that live.
func (h *hostileWorker) begin(cfg *Config, ch *channels) {
	proc, err := corpse()
	must(h.t, err)
	h.run, h.gate = newRun(cfg, 1), make(chan struct{})
	h.run.proc, h.run.hold = proc, &hold{proc: proc}
	must(h.t, h.run.attach(ch))
}

// meet lets the whole conversation happen: first the control channel, as it is
// while a worker starts, then calls and their answers.
func (h *hostileWorker) meet(s *script, ch *channels) {
	ch.stdout[1].Close()
	defer ch.calls[0].Close()
	go pour(ch.stderr[1], h.output, s.cuts())
	go pour(ch.control[1], h.control, s.cuts())
	await(h.t, "the end of the control channel", h.run.control.gone)
	if s.bit(0) { // whatever comes of it
		_, _ = h.run.greet(context.Background(), time.After(h.run.cfg.StartTimeout), func() {})
	}
	select {
	case hello := <-h.run.control.hello:
		_ = h.run.meet(hello)
	default:
	}
	for range s.next() % 20 {
		if how := s.next(); h.run.unknown[fuzzEcho.Name()] == "" && h.run.unknown[fuzzFlow.Name()] == "" { // else nothing is sent
			h.call(how)
		}
	}
	h.scribble(s, ch.page)
	go pour(ch.answers[1], h.answers, s.cuts())
	for _, k := range h.calls {
		if k.canceled {
			k.left()
		}
	}
	h.end()
}

// call opens a call, whose caller may leave; how has a bit for each choice.
func (h *hostileWorker) call(how byte) {
	ctx, left := context.WithCancel(context.Background())
	k := &openCall{left: left, canceled: how&1 != 0, done: make(chan struct{}), stream: how&2 != 0, asks: how&4 != 0, enough: int(how >> 5)}
	if k.asks {
		ctx = OnProgress(ctx, func(Progress) {})
	}
	req := &Request{
		Settled: func(error) { k.settled++ },
		fn:      fuzzEcho.function,
		append:  func(dst []byte) (_, tail []byte, err error) { return append(dst, 0x40), nil, nil },
		decode:  func(body []byte, _ bool) error { k.body = bytes.Clone(body); return nil },
	}
	if k.stream {
		req.fn = fuzzFlow.function
		req.items = &consumer{take: func(body []byte, _ bool) (bool, error) {
			<-h.gate
			k.items = append(k.items, bytes.Clone(body))
			return len(k.items) != k.enough, nil
		}}
	}
	h.calls = append(h.calls, k)
	go func() {
		defer close(k.done)
		_, k.err = h.run.do(ctx, req)
	}()
	until(h.t, "the call to be open", func() bool { return h.run.calls.inFlight() == len(h.calls) })
}

// scribble writes to the status page what a worker might write.
func (h *hostileWorker) scribble(s *script, page *statuspage.Page) {
	fd, err := syscall.Dup(int(page.File().Fd()))
	must(h.t, err)
	file := os.NewFile(uintptr(fd), "page")
	defer file.Close()
	var mark [8]byte
	for i, n := 0, s.number(); i < len(mark); i++ {
		mark[i] = byte(n >> (8 * i))
	}
	file.WriteAt(mark[:], 0)
	if s.bit(0) { // it pretends to have crashed
		file.WriteAt(h.output, 4<<10)
	}
}

// end is what follows a death: everything is read to its end, and nobody is
// left waiting.
func (h *hostileWorker) end() {
	r := h.run
	until(h.t, "the end of the answers", func() bool {
		r.transport.Look() // if nobody waits for an answer
		return isClosed(r.transport.gone)
	})
	started := r.started()
	close(h.gate)
	buried := make(chan struct{})
	var crash *CrashError
	go func() { defer close(buried); crash = r.bury() }()
	await(h.t, "the end of the run", buried)
	if crash.Error() == "" || crash.LogValue().String() == "" {
		h.t.Error("a crash without words")
	}
	expected, items := h.expected(started)
	for i, k := range h.calls {
		await(h.t, "a call to be settled", k.done)
		k.left()
		if k.stream {
			h.checkItems(uint64(i)+1, k, items[uint64(i)+1])
		}
		h.check(uint64(i)+1, k, expected[uint64(i)+1], started)
	}
	if n := r.calls.inFlight(); n != 0 {
		h.t.Errorf("%d calls are open after the end", n)
	}
}

// outcome is what a call must come to by what the worker sent for it.
type outcome struct {
	body    []byte
	message string
	failed  bool
}

// expected reads the answers as they would be read by hand: the first frame that
// ends a call counts, and the items before it, up to the first one that breaks the
// protocol; started is the last call that the worker has begun, by its own account.
func (h *hostileWorker) expected(started uint64) (got map[uint64]*outcome, items map[uint64][][]byte) {
	got, items = map[uint64]*outcome{}, map[uint64][][]byte{}
	held := map[uint64]int{}
	for _, f := range rawFrames(h.answers, fuzzFrameLimit) {
		open := f.id >= 1 && f.id <= uint64(len(h.calls)) && got[f.id] == nil
		if !open || (len(f.body) == 0) != (f.kind == wire.KindDone) {
			break
		}
		k, o, ok := h.calls[f.id-1], (*outcome)(nil), f.id <= started
		switch f.kind {
		case wire.KindAnswer:
			o, ok = &outcome{body: f.body}, ok && !k.stream
		case wire.KindDone:
			o, ok = &outcome{}, ok && k.stream
		case wire.KindItem:
			if ok = ok && k.stream && held[f.id] < fuzzWindow; ok {
				items[f.id] = append(items[f.id], f.body)
				held[f.id] += len(f.body) + 64
			}
		case wire.KindProgress:
			_, err := wire.ParseProgress(f.body)
			ok = ok && k.asks && err == nil
		case wire.KindError:
			e, err := wire.ParseError(f.body)
			o, ok = &outcome{failed: true, message: e.Message}, err == nil
		case wire.KindPanic:
			_, err := wire.ParsePanic(f.body)
			ok = err == nil
		default:
			ok = false
		}
		if !ok {
			break
		}
		if o != nil {
			got[f.id] = o
		}
	}
	return got, items
}

// checkItems holds the items that a caller got against those that were sent: one
// who stayed got all, or as many as he wanted.
func (h *hostileWorker) checkItems(id uint64, k *openCall, sent [][]byte) {
	want := sent
	if k.enough > 0 && k.enough < len(sent) {
		want = sent[:k.enough]
	}
	if _, left := errors.AsType[*InterruptedError](k.err); left && k.canceled {
		want = sent[:min(len(k.items), len(sent))]
	}
	if !slices.EqualFunc(k.items, want, bytes.Equal) {
		h.t.Errorf("stream %d brought %x and should have brought %x", id, k.items, want)
	}
}

// check holds what a caller got against what was sent.
func (h *hostileWorker) check(id uint64, k *openCall, want *outcome, started uint64) {
	if k.settled != 1 {
		h.t.Errorf("call %d was settled %d times", id, k.settled)
	}
	if _, left := errors.AsType[*InterruptedError](k.err); left && k.canceled {
		return
	}
	if k.stream && k.err == nil && k.enough > 0 && len(k.items) == k.enough {
		return // what comes then is nothing to him
	}
	got := fmt.Sprintf("%x, %v (%T)", k.body, k.err, k.err)
	remote, failed := errors.AsType[*RemoteError](k.err)
	_, crashed := errors.AsType[*CrashError](k.err)
	switch {
	case want == nil && id <= started && !crashed:
		h.t.Errorf("call %d of a dead worker got %s", id, got)
	case want == nil && id > started && (crashed || !errors.Is(k.err, ErrNotStarted)):
		h.t.Errorf("call %d, which was not started, got %s", id, got)
	case want == nil:
	case want.failed && (!failed || remote.Message != want.message):
		h.t.Errorf("call %d should have failed with %q and got %s", id, want.message, got)
	case !want.failed && (k.err != nil || !bytes.Equal(k.body, want.body)):
		h.t.Errorf("call %d should have got %x and got %s", id, want.body, got)
	}
}

// workerSeed is one conversation of a worker.
type workerSeed struct{ control, answers, output, script []byte }

func workerSeeds(f *testing.F) []workerSeed {
	bodies := workerBodies()
	frame := func(k wire.Kind, id uint64) []byte {
		return wire.AppendFrame(nil, k, id, append(bodies[k], nil)[0])
	}
	join := func(frames ...[]byte) []byte { return bytes.Join(frames, nil) }
	hello, ready, log := frame(wire.KindHello, 0), frame(wire.KindReady, 0), frame(wire.KindLog, 0)
	greeting := join(hello, ready)
	one, two, five := frame(wire.KindAnswer, 1), frame(wire.KindAnswer, 2), frame(wire.KindAnswer, 5)
	failed, panicked := frame(wire.KindError, 3), frame(wire.KindPanic, 4)
	all := join(one, two, failed, five)
	plan := []byte{0, 0, 1, 5, 0, 0, 0, 0, 0, 3, 0, 4, 7, 1, 30, 200, 3, 17, 17, 17}
	streams := []byte{0, 0, 0, 0, 0, 4, 6, 2, 67, 7, 9} // four calls of which three stream, and nine have begun
	return []workerSeed{
		{greeting, all, []byte("hello\nworld\n"), plan},
		{join(greeting, log), join(all, panicked), []byte("panic: oh\n\ngoroutine 1 [running]:\nmain.main()\n"), []byte{0, 1, 0, 9, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2, 1}},
		{greeting, all[:len(all)-1], nil, plan},
		{greeting, join(all, one), nil, plan},
		{greeting, join(frame(wire.KindAnswer, 77), all), nil, plan},
		{greeting, join(one, frame(wire.KindItem, 2)), nil, plan},
		{greeting, join(frame(wire.KindItem, 1), frame(wire.KindProgress, 1), frame(wire.KindItem, 1), frame(wire.KindDone, 1), frame(wire.KindItem, 2), two), nil, streams},
		{greeting, bytes.Repeat(frame(wire.KindItem, 1), 20), nil, streams},
		{join(greeting, hello), all, nil, plan},
		{join(ready, hello), all, nil, plan},
		{join(hello, frame(wire.KindStartFailed, 0)), nil, nil, plan},
		{join(greeting, frame(wire.KindPong, 0), frame(wire.KindGoodbye, 0)), all, nil, plan},
		{[]byte("HTTP/1.1 400"), []byte{0x56, 17, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1}, bytes.Repeat([]byte{0xff, '\n'}, 200), plan},
		{wire.AppendFrame(nil, wire.KindLog, 0, bytes.Repeat([]byte{0x81}, 3000)), wire.AppendFrame(nil, wire.KindError, 1, bytes.Repeat([]byte{0xa1}, 3000)), nil, plan},
		{[]byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0}, []byte{0, 0, 1, 0, 0, 0, 2, 0, 0, 1, 3, 0}, []byte("SIGSEGV: segmentation violation\n\n\n"), append([]byte{1}, plan[1:]...)},
	}
}

// What a worker sends, by channel.
var (
	workerControl = []wire.Kind{wire.KindHello, wire.KindReady, wire.KindLog, wire.KindPong, wire.KindLog, wire.KindStartFailed, wire.KindGoodbye, wire.KindAnswer}
	workerAnswers = []wire.Kind{
		wire.KindAnswer, wire.KindAnswer, wire.KindError, wire.KindPanic, wire.KindAnswer, wire.KindItem, wire.KindDone, wire.KindLog,
		wire.KindItem, wire.KindItem, wire.KindItem, wire.KindDone, wire.KindProgress,
	}
)

// workerBodies are good bodies of all of them.
var workerBodies = sync.OnceValue(func() map[wire.Kind][][]byte {
	echo := wire.Function{Name: "fuzz.echo", In: fuzzEcho.function.in, Out: fuzzEcho.function.out}
	flow := wire.Function{Name: "fuzz.flow", In: fuzzFlow.function.in, Out: fuzzFlow.function.out, Stream: true}
	bodies := map[wire.Kind][][]byte{
		wire.KindLog: {wire.Log{Time: time.Unix(1e9, 5), Message: "hm", Attrs: []slog.Attr{
			slog.Int("n", 1), slog.Group("g", slog.String("s", "t"), slog.Float64("f", 0.5)),
		}}.Append(nil)},
		wire.KindAnswer: {{0x43, 1, 2, 3}, {0x41, 9}},
		wire.KindItem:   {{1}, {0x41, 9}, {0x43, 1, 2, 3}},
		wire.KindDone:   {nil},

		wire.KindProgress: {wire.ProgressBody{Done: 1, Total: -2, Note: "n"}.Append(nil)},
		wire.KindError:    {wire.ErrorBody{Message: "no", Codes: []string{"io.EOF", "none"}}.Append(nil)},
		wire.KindPanic:    {wire.PanicBody{Value: "oh", Stack: "goroutine 1 [running]:"}.Append(nil)},
	}
	addBodies(bodies, map[wire.Kind]controlBody{
		wire.KindHello:       wire.Hello{PID: 4, Language: "go", Capabilities: []string{wire.CapStatusPage, wire.CapStreams}, Functions: []wire.Function{echo, flow}},
		wire.KindReady:       wire.Ready{},
		wire.KindStartFailed: wire.StartFailed{Message: "no", Stack: "s", Codes: []string{"io.EOF"}},
		wire.KindGoodbye:     wire.Goodbye{Reason: "bye"},
	})
	return bodies
})

// What a worker logs faster than its records are taken is dropped by size too:
// a few hundred records of the largest kind would be a few hundred megabytes.
func TestLargeRecordsForASlowLogger(t *testing.T) {
	gate := make(chan struct{})
	l := newLogs(slog.New(blocked{gate: gate}))
	text := strings.Repeat("x", wire.MaxAttrText)
	var attrs []slog.Attr
	for range wire.MaxAttrs {
		attrs = append(attrs, slog.String("k", text))
	}
	body := wire.Log{Message: "large", Attrs: attrs}.Append(nil)
	before := heap()
	for range logQueue + 50 {
		record, err := wire.ParseLog(body)
		must(t, err)
		l.record(record, len(body))
	}
	grown := int64(heap()) - int64(before)
	t.Logf("%d records of %d KiB: the heap has grown by %d KiB", logQueue+50, len(body)>>10, grown>>10)
	if grown > 4*logBytes {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if n := l.dropped.Load(); n < logQueue-10 {
		t.Errorf("%d records were dropped", n)
	}
	close(gate)
	l.close()
	await(t, "the end of the logger", l.done)
	if n := l.held.Load(); n != 0 {
		t.Errorf("%d bytes are still held", n)
	}
}

// blocked is a slog.Handler that waits for its gate.
type blocked struct {
	discards
	gate chan struct{}
}

func (b blocked) Handle(context.Context, slog.Record) error { <-b.gate; return nil }

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The most that a megabyte of each kind can make the parent allocate. What is
// allocated is most of it garbage at once; what is kept is bounded elsewhere.
func TestMemoryForLargeStreams(t *testing.T) {
	const size = 1 << 20
	fill := func(frame []byte) []byte { return bytes.Repeat(frame, size/len(frame)) }
	frame := func(k wire.Kind, id uint64, body []byte) []byte { return wire.AppendFrame(nil, k, id, body) }
	var attrs []slog.Attr
	for range wire.MaxAttrs {
		attrs = append(attrs, slog.Int("", 1))
	}
	unordered := []byte{0xba, 0, 2, 0, 0} // a map of 131072 pairs, their keys in descending order
	for key := uint32(1 << 18); key > 1<<17; key-- {
		unordered = append(binary.BigEndian.AppendUint32(append(unordered, 0x1a), key), 0)
	}
	functions := make([]wire.Function, wire.MaxFunctions)
	for i := range functions {
		functions[i].Name = fmt.Sprint(i)
	}
	hello, err := wire.Hello{Functions: functions}.Append(nil)
	must(t, err)
	echoes := []byte{0, 0, 0, 1, 0, 0, 0, 0}
	for name, w := range map[string]workerSeed{
		"short log records":           {control: fill(frame(wire.KindLog, 0, wire.Log{}.Append(nil)))},
		"log records of many attrs":   {control: fill(frame(wire.KindLog, 0, wire.Log{Attrs: attrs}.Append(nil)))},
		"a map in disorder":           {control: frame(wire.KindHello, 0, unordered)},
		"a hello of many functions":   {control: frame(wire.KindHello, 0, hello), script: []byte{0, 1}},
		"a large answer":              {answers: frame(wire.KindAnswer, 1, make([]byte, fuzzFrameLimit)), script: echoes},
		"a large error":               {answers: frame(wire.KindError, 1, wire.ErrorBody{Message: strings.Repeat("x", wire.MaxMessage)}.Append(nil)), script: echoes},
		"a large panic":               {answers: frame(wire.KindPanic, 1, wire.PanicBody{Value: strings.Repeat("x", wire.MaxMessage), Stack: strings.Repeat("x", wire.MaxStack)}.Append(nil)), script: echoes},
		"lines":                       {output: bytes.Repeat([]byte{'\n'}, size)},
		"lines that look like a dump": {output: append([]byte("panic: \n"), bytes.Repeat([]byte{'\n'}, size)...)},
		"text":                        {output: bytes.Repeat([]byte{0xff}, size)},
	} {
		t.Run(name, func(t *testing.T) {
			var worst appetite
			playWorker(t, &worst, w.control, w.answers, w.output, w.script)
			t.Log(worst.String())
		})
	}
}
