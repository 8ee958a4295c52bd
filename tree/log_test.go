package tree_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/strategy"
	"github.com/verdigris-go/verdigris/tree"
)

// lines is a logger whose records are lines of text without the time. It is safe for concurrent use.
type lines struct {
	*slog.Logger
	mu  sync.Mutex
	buf bytes.Buffer
}

func newLines(level slog.Level) *lines {
	l := &lines{}
	l.Logger = slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	return l
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// take returns what has been written since the last call.
func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.buf.Reset()
	return l.buf.String()
}

func (l *lines) expect(t *testing.T, want string) {
	t.Helper()
	want = strings.TrimLeft(want, "\n")
	if got := l.take(); got != want {
		t.Errorf("logged:\n%s\nwant:\n%s", got, want)
	}
}

// crash is an error with facts.
type crash struct{ pid int }

func (crash) Error() string { return "killed by SIGSEGV" }

func (c crash) LogValue() slog.Value {
	return slog.GroupValue(slog.String("error", c.Error()), slog.Int("pid", c.pid))
}

// list is an error that cannot be compared.
type list []string

func (l list) Error() string        { return strings.Join(l, ",") }
func (l list) LogValue() slog.Value { return slog.IntValue(len(l)) }

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestLogEvents(t *testing.T) {
	intensity := &tree.IntensityError{
		Path: "root", ID: "a", Restarts: 2, Limit: 1, Period: 5 * time.Second,
		Causes: []tree.Failure{{ID: "a", Err: crash{7}}, {ID: "b"}},
	}
	start := &tree.StartError{Path: "root", ID: "a", Err: crash{7}}
	for _, c := range []struct {
		name  string
		event tree.Event
		want  string
	}{
		{
			"starting",
			tree.Event{Kind: tree.EventStarting},
			`DEBUG msg="child is starting" path=root/a run=2`,
		},
		{
			"started",
			tree.Event{Kind: tree.EventStarted, Run: 1, Took: time.Second},
			`INFO msg="child started" path=root/a run=1 took=1s`,
		},
		{
			"restarted",
			tree.Event{Kind: tree.EventStarted, Took: time.Second},
			`WARN msg="child restarted" path=root/a run=2 took=1s`,
		},
		{
			"start failed",
			tree.Event{Kind: tree.EventStartFailed, Err: errors.New("no port"), Took: time.Second},
			`WARN msg="child did not start" path=root/a run=2 took=1s cause="no port"`,
		},
		{
			"start of a subtree failed",
			tree.Event{Kind: tree.EventStartFailed, Err: start},
			`WARN msg="child did not start" path=root/a run=2 cause="tree: root/a did not start: killed by SIGSEGV"`,
		},
		{
			"ignored",
			tree.Event{Kind: tree.EventIgnored},
			`INFO msg="child need not run" path=root/a run=2`,
		},
		{
			"ended",
			tree.Event{Kind: tree.EventExited, Took: time.Minute},
			`INFO msg="child ended" path=root/a run=2 took=1m0s`,
		},
		{
			"forgets itself",
			tree.Event{Kind: tree.EventExited, Err: suture.ErrDoNotRestart},
			`INFO msg="child ended" path=root/a run=2 cause="service should not be restarted"`,
		},
		{
			"failed with facts",
			tree.Event{Kind: tree.EventExited, Err: crash{7}, Took: time.Minute},
			`WARN msg="child failed" path=root/a run=2 took=1m0s cause.error="killed by SIGSEGV" cause.pid=7`,
		},
		{
			"failed with wrapped facts",
			tree.Event{Kind: tree.EventExited, Err: fmt.Errorf("decode: %w", crash{7})},
			`WARN msg="child failed" path=root/a run=2 cause.error="decode: killed by SIGSEGV" cause.facts.error="killed by SIGSEGV" cause.facts.pid=7`,
		},
		{
			"failed and excused",
			tree.Event{Kind: tree.EventExited, Err: tree.Excuse(crash{7})},
			`WARN msg="child failed" path=root/a run=2 cause.error="killed by SIGSEGV" cause.pid=7`,
		},
		{
			"failed with what cannot be compared",
			tree.Event{Kind: tree.EventExited, Err: list{"x", "y"}},
			`WARN msg="child failed" path=root/a run=2 cause=2`,
		},
		{
			"panicked",
			tree.Event{Kind: tree.EventExited, Err: &tree.PanicError{Value: "torn", Stack: []byte("goroutine 1")}},
			`WARN msg="child failed" path=root/a run=2 cause.error="panic: torn" cause.stack="goroutine 1"`,
		},
		{
			"cancelled by whom?",
			tree.Event{Kind: tree.EventExited, Err: context.Canceled},
			`WARN msg="child failed" path=root/a run=2 cause="context canceled"`,
		},
		{
			"subtree gave up",
			tree.Event{Kind: tree.EventExited, Err: intensity},
			`WARN msg="child failed" path=root/a run=2 cause="tree: root gave up: 2 restarts within 5s, 1 allowed; last was a: ended normally"`,
		},
		{
			"restarting",
			tree.Event{Kind: tree.EventRestarting, Attempt: 3, Delay: time.Second},
			`WARN msg="child waits for its restart" path=root/a run=2 attempt=3 delay=1s`,
		},
		{
			"restarting at once",
			tree.Event{Kind: tree.EventRestarting, Attempt: 1},
			`DEBUG msg="child waits for its restart" path=root/a run=2 attempt=1 delay=0s`,
		},
		{
			"a start broken off by a stop",
			tree.Event{Kind: tree.EventStartFailed, Err: fmt.Errorf("spawn: %w", tree.ErrShutdown), Took: time.Second},
			`INFO msg="child's start was broken off" path=root/a run=2 took=1s cause="spawn: ` + tree.ErrShutdown.Error() + `"`,
		},
		{
			"stopping",
			tree.Event{Kind: tree.EventStopping},
			`DEBUG msg="child is asked to stop" path=root/a run=2`,
		},
		{
			"killing",
			tree.Event{Kind: tree.EventKilling},
			`WARN msg="child is killed" path=root/a run=2`,
		},
		{
			"stopped",
			tree.Event{Kind: tree.EventStopped, Err: tree.ErrShutdown, Took: time.Hour},
			`INFO msg="child stopped" path=root/a run=2 took=1h0m0s cause="tree: shutdown"`,
		},
		{
			"stopped by its context",
			tree.Event{Kind: tree.EventStopped, Err: context.Canceled},
			`INFO msg="child stopped" path=root/a run=2 cause="context canceled"`,
		},
		{
			"stopped badly",
			tree.Event{Kind: tree.EventStopped, Err: errors.New("disk full")},
			`WARN msg="child stopped with an error" path=root/a run=2 cause="disk full"`,
		},
		{
			"abandoned",
			tree.Event{Kind: tree.EventAbandoned},
			`ERROR msg="child abandoned: it still runs and does not react to the end of its context" path=root/a run=2`,
		},
		{
			"returned",
			tree.Event{Kind: tree.EventReturned},
			`WARN msg="abandoned child returned at last" path=root/a run=2`,
		},
		{
			"forgotten",
			tree.Event{Kind: tree.EventForgotten},
			`DEBUG msg="child forgotten" path=root/a run=2`,
		},
		{
			"up",
			tree.Event{Kind: tree.EventUp, Path: "root"},
			`INFO msg="supervisor up" path=root run=2`,
		},
		{
			"subtree up",
			tree.Event{Kind: tree.EventUp},
			`DEBUG msg="supervisor up" path=root/a run=2`,
		},
		{
			"subtree ending",
			tree.Event{Kind: tree.EventEnding},
			`DEBUG msg="supervisor is ending" path=root/a run=2`,
		},
		{
			"subtree ended",
			tree.Event{Kind: tree.EventEnded, Err: tree.ErrShutdown},
			`DEBUG msg="supervisor ended" path=root/a run=2 cause="tree: shutdown"`,
		},
		{
			"subtree not started",
			tree.Event{Kind: tree.EventEnding, Err: start},
			`WARN msg="supervisor did not start" path=root/a run=2 cause="tree: root/a did not start: killed by SIGSEGV"`,
		},
		{
			"gave up",
			tree.Event{Kind: tree.EventGaveUp, Err: intensity},
			`ERROR msg="supervisor gave up: it had to restart too often" path=root/a run=2` +
				` cause.error="tree: root gave up: 2 restarts within 5s, 1 allowed; last was a: ended normally"` +
				` cause.path=root cause.child=a cause.restarts=2 cause.limit=1 cause.period=5s cause.causes="[a: killed by SIGSEGV b: ended normally]"`,
		},
		{
			"auto shutdown",
			tree.Event{Kind: tree.EventAutoShutdown, Err: &tree.AutoShutdownError{Path: "root", ID: "a"}},
			`INFO msg="supervisor is ending: a significant child has ended" path=root/a run=2` +
				` cause="tree: root ended itself, because its significant child a has ended"`,
		},
		{
			"ending by request",
			tree.Event{Kind: tree.EventEnding, Path: "root"},
			`INFO msg="supervisor is ending" path=root run=2`,
		},
		{
			"ending by Stop",
			tree.Event{Kind: tree.EventEnding, Path: "root", Err: tree.ErrShutdown},
			`INFO msg="supervisor is ending" path=root run=2 cause="tree: shutdown"`,
		},
		{
			"ending by Kill",
			tree.Event{Kind: tree.EventEnding, Path: "root", Err: tree.ErrKilled},
			`INFO msg="supervisor is ending" path=root run=2 cause="tree: killed"`,
		},
		{
			"not started",
			tree.Event{Kind: tree.EventEnding, Path: "root", Err: start},
			`ERROR msg="supervisor did not start" path=root run=2 cause="tree: root/a did not start: killed by SIGSEGV"`,
		},
		{
			"terminated",
			tree.Event{Kind: tree.EventEnding, Path: "root", Err: &tree.TerminatedError{Path: "root", ID: "a", Err: fmt.Errorf("%w: %w", suture.ErrTerminateSupervisorTree, crash{7})}},
			`WARN msg="supervisor is ending" path=root run=2 cause="tree: root was terminated by its child a: tree should be terminated: killed by SIGSEGV"`,
		},
		{
			"ended",
			tree.Event{Kind: tree.EventEnded, Path: "root", Err: intensity},
			`INFO msg="supervisor ended" path=root run=2 cause="tree: root gave up: 2 restarts within 5s, 1 allowed; last was a: ended normally"`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := newLines(slog.LevelDebug)
			c.event.Path, c.event.Run = cmp.Or(c.event.Path, "root/a"), cmp.Or(c.event.Run, 2)
			tree.LogEvents(log.Logger)(c.event)
			log.expect(t, "level="+c.want+"\n")
		})
	}
}

// Every kind of event that has a name has a message of its own.
func TestLogEventsKnowsEveryKind(t *testing.T) {
	seen := map[string]tree.EventKind{}
	for k := range tree.EventKind(255) {
		if name := k.String(); name == "" || strings.Contains(name, "(") {
			continue
		}
		log := newLines(slog.LevelDebug)
		tree.LogEvents(log.Logger)(tree.Event{Kind: k})
		_, message, _ := strings.Cut(log.take(), "msg=")
		if before, ok := seen[message]; ok || strings.HasPrefix(message, `"`+k.String()+`"`) {
			t.Errorf("%v is logged like %v: %s", k, before, message)
		}
		seen[message] = k
	}
	if len(seen) < 17 {
		t.Errorf("only %d kinds", len(seen))
	}
}

// The record has the time of the event, and no event costs anything when its level is off.
func TestLogEventsTimeAndLevel(t *testing.T) {
	var buf bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&buf, nil))
	hook := tree.LogEvents(log)
	hook(tree.Event{Kind: tree.EventUp, Path: "root", Run: 1, Time: start})
	if want := `{"time":"2026-01-02T03:04:05Z","level":"INFO","msg":"supervisor up","path":"root","run":1}` + "\n"; buf.String() != want {
		t.Errorf("got %s want %s", buf.String(), want)
	}
	off := tree.Event{Kind: tree.EventStarting, Path: "root", Run: 1, Time: start}
	if n := testing.AllocsPerRun(10, func() { hook(off) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLogEventsUsesTheDefaultLogger(t *testing.T) {
	log := newLines(slog.LevelInfo)
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(log.Logger)
	tree.LogEvents(nil)(tree.Event{Kind: tree.EventUp, Path: "root", Run: 1})
	log.expect(t, `level=INFO msg="supervisor up" path=root run=1`+"\n")
}

// A whole life as it is logged: a failure, its restart, one too many.
func TestLogOfALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLines(slog.LevelInfo)
		fragile := tree.ServiceFunc(func(ctx context.Context) error {
			time.Sleep(time.Second)
			return crash{7}
		})
		root, err := tree.New(tree.Spec{
			Intensity: strategy.Intensity{Restarts: 1, Period: time.Minute},
			Children:  []tree.Child{{ID: "idle", Service: tree.ServiceFunc(idle)}, {ID: "fragile", Service: fragile}},
			OnEvent:   tree.LogEvents(log.Logger),
		})
		if err != nil {
			t.Fatal(err)
		}
		err = root.Serve(t.Context())
		log.expect(t, `
level=INFO msg="child started" path=root/idle run=1
level=INFO msg="child started" path=root/fragile run=1
level=INFO msg="supervisor up" path=root run=1
level=WARN msg="child failed" path=root/fragile run=1 took=1s cause.error="killed by SIGSEGV" cause.pid=7
level=WARN msg="child restarted" path=root/fragile run=2
level=WARN msg="child failed" path=root/fragile run=2 took=1s cause.error="killed by SIGSEGV" cause.pid=7
level=ERROR msg="supervisor gave up: it had to restart too often" path=root run=1 cause.error="tree: root gave up: 2 restarts within 1m0s, 1 allowed; last was fragile: killed by SIGSEGV" cause.path=root cause.child=fragile cause.restarts=2 cause.limit=1 cause.period=1m0s cause.causes="[fragile: killed by SIGSEGV fragile: killed by SIGSEGV]"
level=INFO msg="child stopped" path=root/idle run=1 took=2s
level=INFO msg="supervisor ended" path=root run=1 cause="tree: root gave up: 2 restarts within 1m0s, 1 allowed; last was fragile: killed by SIGSEGV"
`)
		log.Error("the tree is gone", "err", err)
		if got := log.take(); !strings.Contains(got, "err.child=fragile err.restarts=2") {
			t.Errorf("as an attribute: %s", got)
		}
	})
}

// A StartError as an attribute has the facts of the innermost cause.
func TestStartErrorAsLogValue(t *testing.T) {
	log := newLines(slog.LevelInfo)
	inner := &tree.StartError{Path: "root/sub", ID: "a", Err: crash{7}}
	log.Info("x", "err", &tree.StartError{Path: "root", ID: "sub", Err: inner})
	log.expect(t, `
level=INFO msg=x err.error="tree: root/sub/a did not start: killed by SIGSEGV" err.path=root err.child=sub err.cause.error="tree: root/sub/a did not start: killed by SIGSEGV" err.cause.path=root/sub err.cause.child=a err.cause.cause.error="killed by SIGSEGV" err.cause.cause.pid=7
`)
}

func idle(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
