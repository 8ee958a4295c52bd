package child_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/child/cfault"
	"github.com/verdigris-go/verdigris/internal/ccrash"
	"github.com/verdigris-go/verdigris/wire"
)

// What workers do that go down, or pretend to.
var (
	// pretend does what a dying worker does, says so, and lives on.
	pretend = child.Define("fall.pretend", func(ctx context.Context, p pretence) (string, error) {
		slog.InfoContext(ctx, "pretending "+p.As)
		if p.When != "" {
			p.When.wait()
		}
		pretences[p.As]()
		p.Gate.wait()
		return "alive", nil
	})
	// leaveTrace adds a line to a file.
	leaveTrace = child.Define("fall.trace", func(_ context.Context, file string) (int, error) {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		_, err = fmt.Fprintln(f, "here")
		return os.Getpid(), err
	})
	large = child.Define("fall.large", func(_ context.Context, size int) ([]byte, error) {
		return bytes.Repeat([]byte{7}, size), nil
	})
	fillAndPerish = child.Define("fall.heavy", func(_ context.Context, way string) (int, error) {
		ccrash.Leak(64 << 20)
		ways[way]()
		return 0, nil
	})
	chat = child.Define("fall.chat", func(context.Context, bool) (int, error) {
		for {
			slog.Info("all is well")
		}
	})
	survive = child.Define("fall.survive", func(context.Context, bool) (text string, err error) {
		defer func() { text = fmt.Sprint(recover()) }()
		var p *int
		*p = 1
		return "", nil
	})
)

type pretence struct {
	As   string
	Gate gate // after which it returns
	When gate // at which it does so; "": at once
}

// pretences are what the second call of a run does.
var pretences = map[string]func(){
	"closed":  func() { _ = unix.Shutdown(3, unix.SHUT_WR) },
	"SIGSEGV": func() { writeSignal(11); _ = unix.Shutdown(3, unix.SHUT_WR) },
	"SIGSEGV, and logs": func() {
		writeSignal(11)
		_ = unix.Shutdown(3, unix.SHUT_WR)
		for range 1000 {
			slog.Info("nobody hears this")
		}
	},
	"signal 99":    func() { writeSignal(99); _ = unix.Shutdown(3, unix.SHUT_WR) },
	"only a word":  func() { writeSignal(11) },
	"dying":        sayDying,
	"dying, twice": func() { sayDying(); sayDying() },
	"panic": func() {
		say(wire.AppendFrame(nil, wire.KindPanic, 2, wire.PanicBody{Value: "forged", Stack: "of lies"}.Append(nil)))
	},
}

func say(frame []byte) {
	if _, err := child.AnswerRaw(frame); err != nil {
		panic(err)
	}
}

func sayDying() { say(wire.AppendFrame(nil, wire.KindDying, 2, nil)) }

func writeSignal(n uint64) {
	_, err := unix.Pwrite(6, binary.LittleEndian.AppendUint64(nil, n), 32)
	if err != nil {
		panic(err)
	}
}

// inFront is a Caller who may know a better worker, as a pool is: its calls are not
// sent again to the next run.
type inFront struct{ child.Caller }

func (f inFront) Do(ctx context.Context, req *child.Request) error {
	req.Settled = func(error) {}
	return f.Caller.Do(ctx, req)
}

// A worker that pretends to be dying, and lives on, is killed in time. Until then its
// calls that had not begun are with somebody else, and it does not begin them any more.
func TestPretendedDeath(t *testing.T) {
	watch(t)
	for _, test := range []struct {
		as    string
		cause child.Cause
		text  string
	}{
		{"closed", child.Protocol, "it closed a channel to its parent and lived on"},
		{"SIGSEGV", child.Segfault, "it had said that it was dying of signal 11 (segmentation fault), and lived on"},
		{"SIGSEGV, and logs", child.Segfault, "it had said that it was dying of signal 11 (segmentation fault), and lived on"},
		{"signal 99", child.Protocol, "it said that it was dying of signal 99, which there is not"},
		{"dying", child.Protocol, "it said that a function had panicked, and then not how"},
		{"dying, twice", child.Protocol, "it said that a function had panicked, and then not how"},
		{"panic", child.Panicked, "forged"},
	} {
		t.Run(test.as, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			w := up(t, child.Config{Ahead: 4}.WithFaultGrace(500*time.Millisecond))
			first := async(named("a"), inFront{w}, hold, holding{Gate: g, Say: "begun"})
			w.log.wait(t, "holding begun")
			liar := async(named("b"), inFront{w}, pretend, pretence{As: test.as, Gate: newGate(t)})
			expect(t, "two calls", func() bool { return w.Stats().InFlight == 2 })
			file := t.TempDir() + "/trace"
			behind := async(named("c"), inFront{w}, leaveTrace, file)
			expect(t, "three calls", func() bool { return w.Stats().InFlight == 3 })
			g.open(t)
			if a := receive(t, "the call before", first); a.err != nil {
				t.Error(a.err)
			}
			err := receive(t, "the call behind it", behind).err
			as[*child.NotStartedError](t, err)

			crash := as[*child.CrashError](t, receive(t, "the liar", liar).err)
			served := as[*child.CrashError](t, w.end())
			for _, c := range []*child.CrashError{crash, served} {
				if c.Cause != test.cause || c.Detail != test.text || len(c.Calls) != 1 || c.Calls[0].Key != "b" {
					t.Errorf("%v, of %v", c, c.Calls)
				}
			}
			if o := served.Observed; o.Signal != syscall.SIGKILL || o.Unseen || o.CPU() <= 0 {
				t.Errorf("observed %+v", o)
			}
			if _, err := os.Stat(file); err == nil {
				t.Error("it has begun a call that it did not have any more")
			}
		})
	}
}

// A call that has been taken back is not begun, although the worker lives, has it and
// has nothing else to do.
func TestRecalledCallIsNotBegun(t *testing.T) { child.EachTransport(t, testRecalledCallIsNotBegun) }

func testRecalledCallIsNotBegun(t *testing.T) {
	watch(t)
	for _, concurrency := range []int{1, 2} {
		w, g, file := up(t, child.Config{Concurrency: concurrency, Ahead: 4}.WithFaultGrace(time.Minute)), newGate(t), t.TempDir()+"/trace"
		when := newGate(t)
		var busy []<-chan answer[string]
		for n := range concurrency - 1 {
			busy = append(busy, async(named("busy"), inFront{w}, hold, holding{Gate: g, Say: fmt.Sprint("busy ", n)}))
			w.log.wait(t, fmt.Sprint("holding busy ", n))
		}
		liar := async(named("b"), inFront{w}, pretend, pretence{As: "SIGSEGV", Gate: g, When: when})
		w.log.wait(t, "pretending SIGSEGV")
		var behind []<-chan answer[int]
		for range 3 {
			call := async(named("c"), inFront{w}, leaveTrace, file)
			behind = append(behind, call)
		}
		expect(t, "all calls to be on their way", func() bool { return w.Stats().InFlight == concurrency+len(behind) })
		when.open(t) // its control channel is shut from here on, but not the one for calls
		for _, call := range behind {
			if err := receive(t, "a call behind it", call).err; !errors.Is(err, child.ErrNotStarted) {
				t.Error(err)
			}
		}
		g.open(t) // those that run return, and the worker would take the next
		for _, call := range append(busy, liar) {
			if a := receive(t, "a call that ran", call); a.err != nil {
				t.Errorf("it was answered before the end, and is lost: %v", a.err)
			}
		}
		for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if _, err := os.Stat(file); err == nil {
				t.Fatal("it has begun a call that it did not have any more")
			}
		}
		w.Kill()
		as[*child.CrashError](t, w.end())
	}
}

// A caller whose call is taken back learns it also when it is the one that reads for all.
func TestReaderWhoseCallIsTakenBack(t *testing.T) {
	child.EachTransport(t, func(t *testing.T) {
		watch(t)
		w, g, when := up(t, child.Config{Ahead: 4}.WithFaultGrace(time.Minute)), newGate(t), newGate(t)
		first := async(named("a"), inFront{w}, hold, holding{Gate: g, Say: "begun"})
		w.log.wait(t, "holding begun")
		liar := async(named("b"), inFront{w}, pretend, pretence{As: "SIGSEGV", Gate: newGate(t), When: when})
		expect(t, "two calls", func() bool { return w.Stats().InFlight == 2 })
		behind := async(named("c"), inFront{w}, double, 1)
		expect(t, "three calls", func() bool { return w.Stats().InFlight == 3 })
		g.open(t) // the first caller has read until now; the one who came last does so now
		must(t, receive(t, "the first call", first).err)
		w.log.wait(t, "pretending SIGSEGV")
		when.open(t)
		as[*child.NotStartedError](t, receive(t, "the last call", behind).err)
		w.Kill()
		as[*child.CrashError](t, receive(t, "the liar", liar).err)
	})
}

// That a function has panicked is told before it is known how.
func TestPanicIsToldAtOnce(t *testing.T) {
	child.EachTransport(t, func(t *testing.T) {
		watch(t)
		w, g, when := up(t, child.Config{Ahead: 4}), newGate(t), newGate(t)
		guilty := async(named("a"), inFront{w}, panicSlowly, pretence{Gate: g, When: when})
		expect(t, "a call", func() bool { return w.Stats().InFlight == 1 })
		behind := async(named("b"), inFront{w}, double, 1)
		expect(t, "two calls", func() bool { return w.Stats().InFlight == 2 })
		when.open(t)
		as[*child.NotStartedError](t, receive(t, "the call behind", behind).err)
		g.open(t)
		err := receive(t, "the guilty", guilty).err
		if crash := as[*child.CrashError](t, err); crash.Cause == child.Panicked && crash.Detail != "slow but sure" {
			t.Error(err)
		} // or killed, if a second was not enough for it
		as[*child.CrashError](t, w.end())
	})
}

// slowly is the value of a panic that takes its time to be put into words.
type slowly struct{ gate gate }

func (s slowly) String() string { s.gate.wait(); return "slow but sure" }

var panicSlowly = child.Define("fall.slowly", func(_ context.Context, p pretence) (int, error) {
	p.When.wait()
	panic(slowly{p.Gate})
})

// What another function logs or answers while C code brings the worker down ends it in no
// other way.
func TestNoticeWhileOthersLog(t *testing.T) {
	if !ccrash.HasC || cfault.Check() != nil {
		t.Skip("needs cgo")
	}
	watch(t)
	for range 10 {
		w, g := up(t, child.Config{Concurrency: 2, Env: notice, Logger: slog.New(slog.DiscardHandler)}), newGate(t)
		chatting := async(named("chat"), w, chat, true)
		guilty := async(named("guilty"), w, waitAndPerish, later{Gate: g, Way: "C segfault"})
		expect(t, "two calls", func() bool { return w.Stats().InFlight == 2 })
		g.open(t)
		for _, err := range []error{receive(t, "the guilty", guilty).err, receive(t, "the other", chatting).err} {
			if crash := as[*child.CrashError](t, err); crash.Cause != child.Segfault || !strings.Contains(crash.Reported.Trace, "SIGSEGV") || crash.Observed.Code != 2 {
				t.Errorf("%v, %+v", crash, crash.Observed)
			}
		}
		as[*child.CrashError](t, w.end())
	}
}

// A word on the page alone is nothing.
func TestWordAloneIsNothing(t *testing.T) {
	watch(t)
	w, g := up(t, child.Config{}), newGate(t)
	call := async(context.Background(), w, pretend, pretence{As: "only a word", Gate: g})
	w.log.wait(t, "pretending only a word")
	g.open(t)
	if a := receive(t, "the call", call); a.err != nil || a.value != "alive" {
		t.Error(a)
	}
	wantDouble(t, w)
}

// hasMemory reports whether a process has not given back its memory yet.
func hasMemory(pid int) bool {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	return err == nil && !strings.HasPrefix(string(statm), "0 ")
}

// F82: a run goes down before its worker is dead, also when that takes its time. How soon
// depends on the machine: of some deaths one has to be noticed in time.
func TestDownBeforeTheEnd(t *testing.T) {
	watch(t)
	for _, way := range []string{"panic", "C segfault", "C abort", "C abort on a thread", "C stack overflow"} {
		t.Run(way, func(t *testing.T) {
			if strings.HasPrefix(way, "C ") && (!ccrash.HasC || cfault.Check() != nil) {
				t.Skip("needs cgo")
			}
			early := false
			for range 20 {
				if early = downBeforeTheEnd(t, way); early {
					break
				}
			}
			if !early {
				t.Error("of 20 workers each was dead before its run went down")
			}
		})
	}
}

func downBeforeTheEnd(t *testing.T, way string) (early bool) {
	p := child.New(child.Config{Env: notice, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	up, done, downs := make(chan int, 1), make(chan error, 1), 0
	worker := 0
	go func() {
		done <- p.ServeUpDown(ctx, func() { up <- p.Stats().PID }, func() { downs++; early = hasMemory(worker) && !p.Stats().Up })
	}()
	worker = receive(t, "the worker", up)
	_, err := fillAndPerish.Call(ctx, p, way)
	own := as[*child.CrashError](t, err)
	served := as[*child.CrashError](t, receive(t, "the end of Serve", done))
	if downs != 1 || own.Cause != served.Cause || served.Observed.Unseen || len(served.Calls) != 1 {
		t.Errorf("down %d times; %v; %v", downs, own, served)
	}
	return early
}

// Faults of Go code are Go's business: what can be recovered from still can.
func TestNoticeLeavesGoAlone(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Env: notice})
	for range 100 {
		if text, err := survive.Call(t.Context(), w, true); err != nil || !strings.Contains(text, "nil pointer dereference") {
			t.Fatalf("%q, %v", text, err)
		}
	}
	must(t, w.stop())
}

// A death in the middle of a large answer: that one is lost or whole, and each call
// has its own end.
func TestDeathBesideALargeAnswer(t *testing.T) { child.EachTransport(t, testDeathBesideALargeAnswer) }

func testDeathBesideALargeAnswer(t *testing.T) {
	watch(t)
	for _, way := range []string{"panic", "C segfault"} {
		if way[0] == 'C' && !ccrash.HasC {
			continue
		}
		for n := range 6 {
			w, g := up(t, child.Config{Concurrency: 2, Env: notice}), newGate(t)
			guilty := async(named("guilty"), w, waitAndPerish, later{Gate: g, Way: way})
			expect(t, "a call that runs", func() bool { return w.Stats().InFlight == 1 })
			const size = 8 << 20
			beside := async(named("large"), w, large, size)
			time.AfterFunc(time.Duration(n)*4*time.Millisecond, func() { g.open(t) })
			if a := receive(t, "the large answer", beside); a.err == nil && (len(a.value) != size || a.value[size-1] != 7) {
				t.Errorf("%d bytes", len(a.value))
			} else if a.err != nil && !errors.Is(a.err, child.ErrNotStarted) {
				if crash := as[*child.CrashError](t, a.err); crash.Calls[0].Key != "large" || crash.Cause == child.Protocol {
					t.Error(a.err)
				}
			}
			if crash := as[*child.CrashError](t, receive(t, "the guilty", guilty).err); crash.Calls[0].Key != "guilty" || crash.Cause == child.Protocol {
				t.Error(crash)
			}
			as[*child.CrashError](t, w.end())
		}
	}
}

// What came before a panic is there: in the call's error what was printed, in the log
// what was logged.
func TestPanicLosesNothing(t *testing.T) {
	watch(t)
	for range 20 {
		w := up(t, child.Config{})
		_, err := sayAndPanic.Call(t.Context(), w, 50)
		crash := as[*child.CrashError](t, err)
		if !strings.HasSuffix(crash.Reported.Stderr, "printed 49\n") {
			t.Errorf("stderr ends in %q", tail(crash.Reported.Stderr))
		}
		served := as[*child.CrashError](t, w.end())
		if served.Reported.Stderr != crash.Reported.Stderr || served.Reported.Panic == nil || served.Served != 0 {
			t.Errorf("%+v", served)
		}
		w.log.wait(t, "logged 49")
	}
}

func tail(s string) string { return s[max(0, len(s)-40):] }

var sayAndPanic = child.Define("fall.say", func(_ context.Context, n int) (int, error) {
	for range 10 { // more than a socket holds
		slog.Info(strings.Repeat("a long story ", 4000))
	}
	for i := range n {
		fmt.Fprintf(os.Stderr, "printed %d\n", i)
		slog.Info(fmt.Sprintf("logged %d", i))
	}
	panic("and that was it")
})
