//go:build linux

package child_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/ccrash"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// named is a context whose calls have a key and a trace.
func named(key string) context.Context {
	return child.WithMeta(child.WithKey(context.Background(), key), child.TraceParent, traceparent)
}

var anAddress = regexp.MustCompile("0x[0-9a-f]+")

// death is a way to die, and what is to be known afterwards.
type death struct {
	way    string
	cause  child.Cause
	code   int
	signal syscall.Signal
	panic  string // value of the panic
	trace  string // part of the crash report
	in     string // how the stack ends in the text, without line numbers; "" if there is no stack
	text   string // the error between "worker w (pid N, run 1) " and in, in full
	after  string // what comes after the call
}

// deaths are the ways to die in a handler, and what is to be known afterwards.
var deaths = []death{
	{
		way: "C segfault", cause: child.Segfault, code: 2, trace: "SIGSEGV: segmentation violation",
		text: "crashed with a segmentation fault: address 0xADDR", in: ", in C.writeTo called by ccrash.Segfault (ccrash_cgo.go)",
	},
	{
		way: "C abort", cause: child.Aborted, code: 2, trace: "SIGABRT: abort",
		text: "crashed with an abort", in: " in C.abort called by ccrash.Abort (ccrash_cgo.go)", after: "; its last words: last words before C abort",
	},
	{
		way: "C complaint", cause: child.Aborted, code: 2, trace: "SIGABRT: abort",
		text: "crashed with an abort", in: " in C.complain called by ccrash.Complain (ccrash_cgo.go)", after: "; its last words: free(): invalid pointer",
	},
	{ // the Go runtime has no stack to report, so it lets the signal do its work
		way: "C abort on a thread", cause: child.Aborted, code: -1, signal: syscall.SIGABRT,
		text: "crashed with an abort", after: "; its last words: last words before C abort on a thread",
	},
	{
		way: "C stack overflow", cause: child.Segfault, code: 2, trace: "SIGSEGV: segmentation violation",
		text: "crashed with a segmentation fault: address 0xADDR", in: ", in C.deeper called by ccrash.Overflow (ccrash_cgo.go)",
	},
	{
		way: "unsafe fault", cause: child.Segfault, code: 2, trace: "[signal SIGSEGV",
		text: "crashed with a segmentation fault: address 0xADDR", in: ", in child_test.unsafeFault (workers_test.go)",
	},
	{
		way: "stack overflow", cause: child.Fatal, code: 2, trace: "runtime.newstack",
		text: "crashed with a fatal error of the Go runtime: stack overflow", in: ", in child_test.recurse (workers_test.go)",
	},
	{
		way: "map writes", cause: child.Fatal, code: 2, trace: "maps.fatal",
		text: "crashed with a fatal error of the Go runtime: concurrent map writes", in: ", in maps.fatal called by child_test.mapWrites.func1 (workers_test.go)",
	},
	{
		way: "unlock", cause: child.Fatal, code: 2, trace: "sync.fatal",
		text: "crashed with a fatal error of the Go runtime: sync: unlock of unlocked mutex", in: ", in sync.(*Mutex).Unlock called by child_test.init.func (workers_test.go)",
	},
	{
		way: "panic", cause: child.Panicked, code: -1, signal: syscall.SIGKILL, panic: "no such colour",
		text: "crashed with a panic: no such colour", in: ", in child_test.init.func (workers_test.go)",
	},
	{
		way: "panic of an error", cause: child.Panicked, code: -1, signal: syscall.SIGKILL, panic: "reading: file already closed",
		text: "crashed with a panic: reading: file already closed", in: ", in child_test.init.func (workers_test.go)",
	},
	{way: "panic of nil", cause: child.Panicked, code: -1, signal: syscall.SIGKILL, panic: "panic called with nil argument", in: ", in child_test.init.func (workers_test.go)"},
	{
		way: "nil pointer", cause: child.Panicked, code: -1, signal: syscall.SIGKILL, panic: "runtime error: invalid memory address or nil pointer dereference",
		text: "crashed with a panic: runtime error: invalid memory address or nil pointer dereference", in: ", in child_test.init.func (workers_test.go)",
	},
	{way: "goexit", cause: child.Panicked, code: -1, signal: syscall.SIGKILL, panic: "runtime.Goexit", in: ", in child_test.init.func (workers_test.go)"},
	{
		way: "panic elsewhere", cause: child.Panicked, code: 2, trace: "panic: from another goroutine",
		text: "crashed with a panic: from another goroutine", in: ", in child_test.init.func (workers_test.go)",
	},
	{
		way: "nil elsewhere", cause: child.Panicked, code: 2, trace: "panic: runtime error: invalid memory address",
		text: "crashed with a panic: runtime error: invalid memory address or nil pointer dereference", in: ", in child_test.init.func (workers_test.go)",
	},
	{way: "exit 0", cause: child.Exited, text: "exited with status 0", after: "; its last words: last words before exit 0"},
	{way: "exit 2", cause: child.Exited, code: 2, text: "exited with status 2", after: "; its last words: last words before exit 2"},
	{way: "exit 3", cause: child.Exited, code: 3, text: "exited with status 3", after: "; its last words: last words before exit 3"},
	{way: "log.Fatal", cause: child.Exited, code: 1},
	{
		way: "SIGKILL", cause: child.Killed, code: -1, signal: syscall.SIGKILL,
		text:  "was killed from outside by SIGKILL (the kernel's log tells if that was the OOM killer)",
		after: "; its last words: last words before SIGKILL",
	},
	{way: "SIGHUP", cause: child.Signaled, code: -1, signal: syscall.SIGHUP, text: "was ended by a signal (1, hangup)", after: "; its last words: last words before SIGHUP"},
	{
		way: "SIGQUIT", cause: child.Signaled, code: 2, trace: "SIGQUIT: quit",
		text: "was ended by a signal: SIGQUIT: quit", in: ", in syscall.Kill called by child_test.raise (workers_test.go)",
	},
	{way: "out of data", cause: child.OutOfMemory, code: 2, trace: "runtime.throw", text: "ran out of memory: fatal error: runtime: out of memory", in: ", in bytes.Repeat called by child_test.init.func (workers_test.go)"},
	// What a handler prints is never taken for the runtime's report.
	{way: "forged trace", cause: child.Exited, code: 2, text: "exited with status 2", after: "; its last words: goroutine 1 [running]:"},
	// A report of its own making is in its report, and nowhere else.
	{way: "forged report", cause: child.Segfault, trace: "SIGSEGV: forged", code: 2, text: "crashed with a segmentation fault"},
}

// plain takes out of a text what differs from one build or run to the next.
func plain(text string) string {
	text = anAddress.ReplaceAllString(text, "0xADDR")
	text = regexp.MustCompile(`(init\.func)[0-9.]+`).ReplaceAllString(text, "$1")
	return regexp.MustCompile(`(\w\.go):\d+\)`).ReplaceAllString(text, "$1)")
}

// observed reports whether this is what the kernel says of such a death.
func (d death) observed(e child.Exit) bool {
	o := e.Observed
	return e.Cause == d.cause && o.Code == d.code && o.Signal == d.signal && o.CPU() > 0 && o.PeakMemory >= 0 && !o.Unseen
}

func TestEveryDeathIsTold(t *testing.T) { child.EachTransport(t, testEveryDeathIsTold) }

func testEveryDeathIsTold(t *testing.T) {
	watch(t)
	t.Run("while running", func(t *testing.T) { testDeaths(t, nil) })
	// A notice of the death changes nothing about what is told in the end.
	t.Run("after notice", func(t *testing.T) { testDeaths(t, notice) })
}

func testDeaths(t *testing.T, env []string) {
	for _, d := range deaths {
		t.Run(d.way, func(t *testing.T) {
			t.Parallel()
			foretold := d.panic != "" // its calls do not wait for its end
			if !ccrash.HasC && strings.HasPrefix(d.way, "C ") {
				t.Skip("needs cgo")
			}
			if raceEnabled && d.way == "out of data" {
				t.Skip("the race detector notices first, and exits with status 66")
			}
			w := up(t, child.Config{Name: "w", Env: env})
			pid := w.pid()
			ctx, cancel := context.WithTimeout(named("cat.png"), limit)
			defer cancel()
			_, err := perish.Call(ctx, w, d.way)
			crash := as[*child.CrashError](t, err)

			if crash.Worker != "w" || crash.PID != pid || crash.Run != 1 || crash.Uptime <= 0 || crash.Uptime > limit {
				t.Errorf("worker %q, pid %d of %d, run %d, uptime %v", crash.Worker, crash.PID, pid, crash.Run, crash.Uptime)
			}
			if crash.Served != 0 || (crash.Reported.Stack != nil) != (d.in != "") {
				t.Errorf("served %d, stack %v", crash.Served, crash.Reported.Stack)
			}
			if foretold {
				if want := (child.Observed{Code: -1, Unseen: true}); crash.Cause != d.cause || crash.Observed != want {
					t.Errorf("exit %+v of an end that nobody has seen yet", crash.Exit)
				}
			} else if !d.observed(crash.Exit) {
				t.Errorf("exit %+v, want cause %v, code %d, signal %d", crash.Exit, d.cause, d.code, d.signal)
			}
			if want := (child.CallInfo{Func: "perish", Key: "cat.png", Trace: traceparent}); len(crash.Calls) != 1 || crash.Calls[0] != want {
				t.Errorf("calls %v", crash.Calls)
			}
			if !strings.Contains(crash.Reported.Stderr, "last words before "+d.way+"\n") {
				t.Errorf("stderr %q", crash.Reported.Stderr)
			}
			if !strings.Contains(crash.Reported.Trace, d.trace) || (d.trace == "") != (crash.Reported.Trace == "") {
				t.Errorf("trace %q", crash.Reported.Trace)
			}
			switch {
			case d.panic == "":
				if crash.Reported.Panic != nil {
					t.Errorf("panic %+v", crash.Reported.Panic)
				}
			case crash.Reported.Panic == nil || !strings.Contains(crash.Reported.Panic.Value, d.panic) || !strings.Contains(crash.Reported.Panic.Stack, "workers_test.go:"):
				t.Errorf("panic %+v", crash.Reported.Panic)
			}
			want := fmt.Sprintf("worker w (pid %d, run 1) %s%s, while running perish [cat.png]%s", pid, d.text, d.in, d.after)
			if text := plain(err.Error()); strings.Contains(text, "\n") || d.text != "" && text != want {
				t.Errorf("text %q\nwant %q", text, want)
			}
			if errors.Is(err, child.ErrNotStarted) || !errors.Is(err, d.cause) || errors.Is(err, child.Hung) {
				t.Error("it does not match its cause, or matches what it is not")
			}

			served := as[*child.CrashError](t, w.end())
			if foretold {
				if !d.observed(served.Exit) {
					t.Errorf("Serve returned %+v, want cause %v, code %d, signal %d", served.Exit, d.cause, d.code, d.signal)
				}
				served.Observed = crash.Observed
			}
			if !reflect.DeepEqual(served.Exit, crash.Exit) || served.PID != pid || len(served.Calls) != 1 || served.Calls[0] != crash.Calls[0] {
				t.Errorf("Serve returned %+v", served)
			}
		})
	}
}

// A Go runtime that gets no thread ends the process: by itself, or with cgo by abort.
func TestOutOfThreads(t *testing.T) {
	watch(t)
	_, err := perish.Call(named("a"), up(t, child.Config{}), "out of threads")
	crash := as[*child.CrashError](t, err)
	if crash.Cause != child.Fatal || !strings.Contains(err.Error(), "no thread could be created, raise Config.Tasks") {
		t.Errorf("%v\n%s", err, crash.Reported.Stderr)
	}
}

// How much the runtime is asked to print changes neither the cause nor the words.
func TestGOTRACEBACK(t *testing.T) {
	watch(t)
	for _, d := range deaths {
		if !slices.Contains([]string{"C segfault", "C abort", "unsafe fault", "stack overflow", "map writes", "panic", "panic elsewhere"}, d.way) || !ccrash.HasC && d.way[0] == 'C' {
			continue
		}
		for _, level := range []string{"none", "single", "system", "crash"} {
			_, err := perish.Call(named("a"), up(t, child.Config{Env: []string{"GOTRACEBACK=" + level}}), d.way)
			crash := as[*child.CrashError](t, err)
			aborts := level == "crash" && d.panic == ""
			if crash.Cause != d.cause || aborts != (crash.Observed.Signal == syscall.SIGABRT) || !strings.Contains(plain(err.Error()), d.text) {
				t.Errorf("%s, %s: %v, %+v", d.way, level, err, crash.Observed)
			}
		}
	}
}

// A death after the answer leaves the answer alone.
func TestDeathAfterTheAnswer(t *testing.T) { child.EachTransport(t, testDeathAfterTheAnswer) }

func testDeathAfterTheAnswer(t *testing.T) {
	watch(t)
	t.Run("after", func(t *testing.T) {
		for _, way := range []string{"C segfault", "C abort", "unsafe fault", "panic", "exit 0", "SIGKILL"} {
			t.Run(way, func(t *testing.T) {
				t.Parallel()
				w, g := up(t, child.Config{}), newGate(t)
				if v, err := perishLater.Call(named("a"), w, later{g, way}); v != 7 || err != nil {
					t.Fatal(v, err)
				}
				g.open(t)
				crash := as[*child.CrashError](t, w.end())
				if len(crash.Calls) != 0 || strings.Contains(crash.Error(), "while running") {
					t.Errorf("%v, calls %v", crash, crash.Calls)
				}
			})
		}
	})
}

// A death while the answer is being made fails the call; nothing is delivered.
func TestDeathWhileEncodingTheAnswer(t *testing.T) {
	child.EachTransport(t, testDeathWhileEncodingTheAnswer)
}

func testDeathWhileEncodingTheAnswer(t *testing.T) {
	watch(t)
	t.Run("encoding", func(t *testing.T) {
		for _, way := range []string{"C segfault", "panic", "exit 0", "SIGKILL", "goexit"} {
			t.Run(way, func(t *testing.T) {
				t.Parallel()
				_, err := perishWriting.Call(named("a"), up(t, child.Config{}), way)
				if crash := as[*child.CrashError](t, err); len(crash.Calls) != 1 {
					t.Errorf("calls %v", crash.Calls)
				}
			})
		}
	})
}

func TestCrashErrorAsLogValue(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Name: "w"})
	_, err := perish.Call(named("cat.png"), w, "panic")
	log := newRecorder()
	slog.New(log).Error("call failed", "err", err)
	got := log.wait(t, "call failed").attrs
	for key, want := range map[string]any{
		"err.worker": "w", "err.run": uint64(1), "err.error": as[*child.CrashError](t, err).Exit.String(),
		"err.cause": "panic", "err.code": nil, "err.signal": nil, "err.served": nil,
		"err.call.func": "perish", "err.call.key": "cat.png", "err.call.trace": traceparent,
	} {
		if got[key] != want {
			t.Errorf("%s is %#v, want %#v", key, got[key], want)
		}
	}
	if stack, _ := got["err.stack"].(string); !regexp.MustCompile(`^child_test\.init\.func\d+ \(workers_test\.go:\d+\) < [^\n]*$`).MatchString(stack) {
		t.Errorf("stack %q", stack)
	}
}

// With several calls at once, a crash fails those that were running with all
// that is known, those on their way as not started, and no other worker's.
func TestACrashFailsItsOwnCalls(t *testing.T) { child.EachTransport(t, testACrashFailsItsOwnCalls) }

func testACrashFailsItsOwnCalls(t *testing.T) {
	watch(t)
	g := newGate(t)
	w, other := up(t, child.Config{Concurrency: 3, Ahead: 10, Wait: child.NoWait}), up(t, child.Config{})
	running := []<-chan answer[string]{
		async(named("a"), w, hold, holding{Gate: g, Say: "a"}),
		async(named("b"), w, hold, holding{Gate: g, Say: "b"}),
	}
	w.log.wait(t, "holding a")
	w.log.wait(t, "holding b")
	elsewhere := async(named("x"), other, hold, holding{Gate: g, Say: "x"})
	other.log.wait(t, "holding x")
	third := async(named("c"), w, hold, holding{Gate: g, Say: "c"})
	w.log.wait(t, "holding c")
	var waiting []<-chan answer[int]
	for i := range 5 {
		waiting = append(waiting, async(named("w"), w, double, i))
	}
	expect(t, "eight calls on their way", func() bool { return w.Stats().InFlight == 8 })
	must(t, syscall.Kill(w.pid(), syscall.SIGKILL))

	keys := map[string]bool{}
	for _, ch := range append(running, third) {
		crash := as[*child.CrashError](t, receive(t, "a crashed call", ch).err)
		if len(crash.Calls) != 3 || keys[crash.Calls[0].Key] || crash.Exit.Cause != child.Killed {
			t.Errorf("%v: %v", crash, crash.Calls)
		}
		keys[crash.Calls[0].Key] = true
		if !strings.HasSuffix(crash.Error(), "while running hold ["+crash.Calls[0].Key+"] and 2 more") {
			t.Errorf("text %q", crash)
		}
	}
	if len(keys) != 3 {
		t.Errorf("the own call is not the first: %v", keys)
	}
	for _, ch := range waiting {
		err := receive(t, "a call on its way", ch).err
		not := as[*child.NotStartedError](t, err)
		if !errors.Is(err, child.ErrNotStarted) || not.Func != "double" || !strings.Contains(err.Error(), "may be sent again") {
			t.Errorf("%v", err)
		}
		if _, isCrash := errors.AsType[*child.CrashError](err); isCrash {
			t.Errorf("a call that was not started is a crashed one: %v", err)
		}
	}
	if n := len(as[*child.CrashError](t, w.end()).Calls); n != 3 {
		t.Errorf("Serve names %d calls", n)
	}
	g.open(t)
	if a := receive(t, "the other worker's call", elsewhere); a.value != "x" || a.err != nil {
		t.Error(a)
	}
}

// The one that panicked is told apart from those that ran beside it.
func TestPanicBesideOthers(t *testing.T) { child.EachTransport(t, testPanicBesideOthers) }

func testPanicBesideOthers(t *testing.T) {
	watch(t)
	w, g := up(t, child.Config{Concurrency: 2}), newGate(t)
	beside := async(named("innocent"), w, hold, holding{Gate: g, Say: "a"})
	w.log.wait(t, "holding a")
	_, err := perish.Call(named("culprit"), w, "panic")
	other := receive(t, "the call beside it", beside).err
	for _, err := range []error{err, other} {
		crash := as[*child.CrashError](t, err)
		if len(crash.Calls) != 2 || crash.Reported.Panic == nil || crash.Reported.Panic.Call.Key != "culprit" {
			t.Errorf("%v: %+v", crash, crash.Reported.Panic)
		}
	}
	if want := " crashed with a panic: no such colour, in child_test.init.func (workers_test.go), while running perish [culprit] and 1 more"; !strings.HasSuffix(plain(err.Error()), want) {
		t.Errorf("text %q, want %q", err, want)
	}
	if want := " crashed with a panic: no such colour, in child_test.init.func (workers_test.go), for perish [culprit], while running hold [innocent] and 1 more"; !strings.HasSuffix(plain(other.Error()), want) {
		t.Errorf("text %q, want %q", other, want)
	}
}

// A death of an idle worker is noticed without a call, and is told by Serve.
func TestIdleDeath(t *testing.T) {
	watch(t)
	w := up(t, child.Config{})
	must(t, syscall.Kill(w.pid(), syscall.SIGKILL))
	crash := as[*child.CrashError](t, w.end())
	if crash.Exit.Cause != child.Killed || len(crash.Calls) != 0 {
		t.Error(crash)
	}
}

// A kill from outside while calls are being written is not taken for anything else.
func TestKillUnderLoad(t *testing.T) { child.EachTransport(t, testKillUnderLoad) }

func testKillUnderLoad(t *testing.T) {
	watch(t)
	for range 10 {
		w := up(t, child.Config{Concurrency: 2, Wait: child.NoWait})
		var calls []<-chan answer[[]byte]
		for range 8 {
			calls = append(calls, repeat(w))
		}
		expect(t, "some answers", func() bool { return w.Stats().Served > 20 })
		must(t, syscall.Kill(w.pid(), syscall.SIGKILL))
		for _, ch := range calls {
			err := receive(t, "a call", ch).err
			crash, ok := errors.AsType[*child.CrashError](err)
			if !ok && !errors.Is(err, child.ErrNotStarted) || ok && crash.Exit.Cause != child.Killed {
				t.Errorf("%T %v", err, err)
			}
		}
		if crash := as[*child.CrashError](t, w.end()); crash.Exit.Cause != child.Killed {
			t.Error(crash)
		}
	}
}

// repeat calls until there is an error.
func repeat(c child.Caller) <-chan answer[[]byte] {
	ch := make(chan answer[[]byte], 1)
	go func() {
		in := make([]byte, 100<<10)
		for {
			if out, err := echo.Call(context.Background(), c, in); err != nil {
				ch <- answer[[]byte]{out, err}
				return
			}
		}
	}()
	return ch
}

// Descendants that keep the worker's output open hold up nothing for long. Only
// one that gets out of all that holds it can.
func TestDescendantsHoldNothingUp(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Name: "w", Env: []string{"PATH"}, Contain: child.ContainGroup})
	pid, err := flee.Call(named("a"), w, true)
	must(t, err)
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	began := time.Now()
	_, err = perish.Call(named("b"), w, "SIGKILL")
	as[*child.CrashError](t, err)
	_ = w.end()
	if took := time.Since(began); took > time.Second {
		t.Errorf("the end took %v", took)
	}
	if !exists(pid) {
		t.Error("it is dead: this test shows nothing")
	}
}

// No error text is longer or wilder than a line, whatever a worker prints.
func TestLastWordsAreOneTameLine(t *testing.T) {
	watch(t)
	w := up(t, child.Config{})
	_, err := shout.Call(named("a"), w, strings.Repeat("\x1b[31mred\a ", 10000))
	if text := err.Error(); len(text) > 1000 || regexp.MustCompile(`[[:cntrl:]]`).MatchString(text) {
		t.Errorf("%d bytes: %.200q", len(text), text)
	}
	as[*child.CrashError](t, err)
	_, err = child.Once(t.Context(), child.Config{}, panicWith, "first\x1b[2J line "+strings.Repeat("x", 20000)+"\nsecond")
	if text := err.Error(); len(text) > 1000 || regexp.MustCompile(`[[:cntrl:]]`).MatchString(text) {
		t.Errorf("%d bytes: %.200q", len(text), text)
	}
	if crash := as[*child.CrashError](t, err); len(crash.Reported.Panic.Value) < 20000 {
		t.Error("the value has been cut too")
	}
}

var (
	shout     = child.Define("shout", func(_ context.Context, s string) (int, error) { os.Stderr.WriteString(s); os.Exit(9); return 0, nil })
	panicWith = child.Define("panic.with", func(_ context.Context, s string) (int, error) { panic(s) })
)
