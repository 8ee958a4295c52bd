//go:build linux

package child_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/ccrash"
)

var (
	chatter = child.Define("chatter", func(context.Context, bool) (int, error) {
		fmt.Println("Go on stdout")
		fmt.Fprintln(os.Stderr, "Go on stderr")
		ccrash.Print("C on stdout\n")
		ccrash.PrintError("C on stderr\n")
		os.Stdout.Write([]byte{'V', 17, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9, '\n'}) // as an answer would look
		fmt.Print("no end of line")
		return 5, nil
	})
	logs = child.Define("logs", func(ctx context.Context, _ bool) (int, error) {
		slog.Debug("fine", "n", 1, "f", 2.5, "b", true, "d", time.Second, "when", time.Unix(7, 9).UTC(), "err", errors.New("no"), "u", uint64(8))
		slog.With("shop", "Ann's").WithGroup("order").With("id", 3).ErrorContext(ctx, "sold out", slog.Group("what", "name", "tea", "kilo", 2))
		slog.New(slog.Default().Handler().WithGroup("empty")).Warn("nothing in the group")
		log.Printf("from the %s package", "log")
		slog.Log(ctx, slog.LevelError+3, "worse")
		return 0, nil
	})
	flood = child.Define("flood", func(_ context.Context, f floodOf) (int, error) { return f.Bytes, f.flow() })
)

type floodOf struct {
	Bytes   int
	Records bool
}

func (f floodOf) flow() error {
	line := []byte(strings.Repeat("x", 120) + "\n")
	for n := 0; n < f.Bytes; n += len(line) {
		switch {
		case f.Records:
			slog.Info("flood " + string(line[:100]))
		default:
			os.Stderr.Write(line)
		}
	}
	return nil
}

// What a worker prints is log, with its name, pid and run, and never protocol.
func TestPrintsAreLog(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Name: "w"})
	if v, err := chatter.Call(t.Context(), w, true); v != 5 || err != nil {
		t.Error(v, err)
	}
	wantDouble(t, w)
	pid := w.pid()
	must(t, w.stop())
	for text, stream := range map[string]string{
		"Go on stdout": "stdout", "Go on stderr": "stderr", "C on stdout": "stdout", "C on stderr": "stderr", "V": "stdout", "no end of line": "stdout",
	} {
		r := w.log.wait(t, text)
		if r.attrs["stream"] != stream || r.attrs["worker"] != "w" || r.attrs["pid"] != int64(pid) || r.attrs["run"] != uint64(1) {
			t.Errorf("%s: %v", text, r.attrs)
		}
		if want := map[string]slog.Level{"stdout": slog.LevelInfo, "stderr": slog.LevelWarn}[stream]; r.level != want {
			t.Errorf("%s has level %v", text, r.level)
		}
	}
	// Whoever has the answer of Once has the lines that came before it.
	rec := newRecorder()
	_, err := child.Once(t.Context(), child.Config{Logger: slog.New(slow{rec})}, chatter, true)
	must(t, err)
	if rec.count("Go on") != 2 || rec.count("C on") != 2 {
		t.Errorf("lines are missing: %s", rec)
	}
}

// slow is a handler that takes its time, within what is waited for it.
type slow struct{ slog.Handler }

func (s slow) Handle(ctx context.Context, r slog.Record) error {
	time.Sleep(5 * time.Millisecond)
	return s.Handler.Handle(ctx, r)
}
func (s slow) WithAttrs(a []slog.Attr) slog.Handler { return slow{s.Handler.WithAttrs(a)} }

func TestRecordsOfTheWorker(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Name: "w"})
	began := time.Now()
	_, err := logs.Call(named("cat.png"), w, true)
	must(t, err)
	must(t, w.stop())
	for _, want := range []record{
		{slog.LevelDebug, "fine", map[string]any{"n": int64(1), "f": 2.5, "b": true, "d": time.Second, "when": time.Unix(7, 9).UTC(), "err": "no", "u": uint64(8)}, began},
		{slog.LevelError, "sold out", map[string]any{"shop": "Ann's", "order.id": int64(3), "order.what.name": "tea", "order.what.kilo": int64(2), "key": "cat.png", "trace": traceparent}, began},
		{slog.LevelWarn, "nothing in the group", map[string]any{}, began},
		{slog.LevelInfo, "from the log package", map[string]any{}, began},
		{slog.LevelError + 3, "worse", map[string]any{"key": "cat.png", "trace": traceparent}, began},
	} {
		got := w.log.wait(t, want.message)
		want.attrs["worker"], want.attrs["run"], want.attrs["pid"] = "w", uint64(1), got.attrs["pid"]
		if fmt.Sprint(got.attrs) != fmt.Sprint(want.attrs) || got.level != want.level {
			t.Errorf("%s: %v %v\nwant %v", got.message, got.level, got.attrs, want.attrs)
		}
		if got.time.Before(began.Add(-time.Second)) || got.time.After(time.Now()) {
			t.Errorf("%s: time %v", got.message, got.time)
		}
	}
}

// What the parent's logger does not take, the worker does not send.
func TestLevelOfTheLogger(t *testing.T) {
	watch(t)
	rec := newRecorder()
	w := up(t, child.Config{Logger: slog.New(atLeast{rec, slog.LevelWarn})})
	_, err := logs.Call(t.Context(), w, true)
	must(t, err)
	must(t, w.stop())
	records, _ := rec.look()
	var got []string
	for _, r := range records {
		got = append(got, r.message)
	}
	if want := []string{"sold out", "nothing in the group", "worse"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }
func (h atLeast) WithAttrs(a []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(a), h.level}
}

func (h atLeast) WithGroup(n string) slog.Handler { return atLeast{h.Handler.WithGroup(n), h.level} }

// The last record before an exit is not lost: it often says why.
func TestLastRecord(t *testing.T) {
	watch(t)
	for range 10 {
		rec := newRecorder()
		_, err := child.Once(t.Context(), child.Config{Logger: slog.New(rec)}, perish, "log.Fatal")
		if crash := as[*child.CrashError](t, err); crash.Observed.Code != 1 {
			t.Error(err)
		}
		if rec.count("cannot go on") != 1 {
			t.Fatalf("the reason is lost: %s", rec)
		}
	}
}

// A flood on stderr is drained at full speed, kept in bounds, and costs the
// call nothing but its time.
func TestFlood(t *testing.T) {
	watch(t)
	rec := newRecorder()
	w := up(t, child.Config{Logger: slog.New(rec)})
	before := heap()
	const size = 64 << 20
	if v, err := flood.Call(t.Context(), w, floodOf{Bytes: size}); v != size || err != nil {
		t.Error(v, err)
	}
	if grown := int64(heap()) - int64(before); grown > 20<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	if n := rec.count("xxx"); n == 0 || n > 10_000 {
		t.Errorf("%d of %d lines were logged", n, size/121)
	}
	lost := rec.wait(t, "the worker prints more than is logged").attrs
	if n, _ := lost["dropped"].(uint64); n == 0 || lost["stream"] != "stderr" {
		t.Errorf("the record about lost lines: %v", lost)
	}
	_, err := perish.Call(t.Context(), w, "exit 3")
	if crash := as[*child.CrashError](t, err); len(crash.Reported.Stderr) > 64<<10 || !strings.HasSuffix(crash.Reported.Stderr, "last words before exit 3\n") {
		t.Errorf("%d bytes of stderr are kept", len(crash.Reported.Stderr))
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A handler that does not return holds up nobody: no start, no call, no crash, no stop.
func TestBlockedLogger(t *testing.T) {
	watch(t)
	h := &blocking{release: make(chan struct{})}
	t.Cleanup(func() { close(h.release) })
	w := up(t, child.Config{Logger: slog.New(h)})
	for _, f := range []floodOf{{1 << 20, true}, {1 << 20, false}} {
		a := receive(t, "a chatty call", async(t.Context(), w, flood, f))
		if a.err != nil {
			t.Error(a.err)
		}
	}
	as[*child.CrashError](t, receive(t, "a crash", async(t.Context(), w, perish, "panic")).err)
	as[*child.CrashError](t, w.end())
	w = up(t, child.Config{Logger: slog.New(h)})
	wantDouble(t, w)
	began := time.Now()
	must(t, w.stop())
	if took := time.Since(began); took > soon {
		t.Errorf("the stop took %v", took)
	}
}

type blocking struct{ release chan struct{} }

func (h *blocking) Enabled(context.Context, slog.Level) bool  { return true }
func (h *blocking) Handle(context.Context, slog.Record) error { <-h.release; return nil }
func (h *blocking) WithAttrs([]slog.Attr) slog.Handler        { return h }
func (h *blocking) WithGroup(string) slog.Handler             { return h }

// Records that do not fit are counted, not lost in silence.
func TestDroppedRecordsAreCounted(t *testing.T) {
	watch(t)
	rec := newRecorder()
	gate := &gated{Handler: rec, open: make(chan struct{})}
	w := up(t, child.Config{Logger: slog.New(gate)})
	began := time.Now()
	_, err := flood.Call(t.Context(), w, floodOf{Bytes: 4 << 20, Records: true})
	must(t, err)
	close(gate.open)
	expect(t, "a record about drops", func() bool {
		_, _ = flood.Call(t.Context(), w, floodOf{Bytes: 1, Records: true})
		return rec.count("the worker logs faster") > 0
	})
	if n, _ := rec.wait(t, "the worker logs faster").attrs["dropped"].(uint64); n == 0 {
		t.Error(rec)
	}
	if n, most := rec.count("the worker logs faster"), int(time.Since(began).Seconds())+2; n > most { // once a second, and at the end
		t.Errorf("%d records about drops", n)
	}
}

type gated struct {
	slog.Handler
	open chan struct{}
}

func (g *gated) Handle(ctx context.Context, r slog.Record) error {
	<-g.open
	return g.Handler.Handle(ctx, r)
}

func (g *gated) WithAttrs(a []slog.Attr) slog.Handler { return &gated{g.Handler.WithAttrs(a), g.open} }

// The trace of a dying runtime stands in the error, not line by line in the log.
func TestTraceIsNotLogged(t *testing.T) {
	watch(t)
	rec := newRecorder()
	_, err := child.Once(t.Context(), child.Config{Logger: slog.New(rec)}, perish, "C segfault")
	crash := as[*child.CrashError](t, err)
	if !ccrash.HasC {
		t.Skip("needs cgo")
	}
	if !strings.Contains(crash.Reported.Stderr, "SIGSEGV") || !strings.Contains(crash.Reported.Trace, "goroutine ") {
		t.Errorf("%q %q", crash.Reported.Stderr, crash.Reported.Trace)
	}
	records, _ := rec.look()
	for _, r := range records {
		if r.level > slog.LevelDebug && !strings.HasPrefix(r.message, "last words") {
			t.Errorf("%v %s", r.level, r.message)
		}
	}
}
