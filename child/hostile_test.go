//go:build linux

package child_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/early"
	"github.com/verdigris-go/verdigris/wire"
)

// A fake is a worker that is not ours: it speaks raw frames, and does with them
// what no worker may do, or what other languages do.
type fakeWorker struct {
	control, answers *os.File
	in, calls        *wire.Reader
}

// fake is the configuration of a worker that plays a role.
func fake(role string) child.Config {
	return child.Config{Name: "fake", Exe: os.Args[0], Env: []string{roleVar + "=" + role}}
}

func play(name string, f func(w *fakeWorker)) {
	roles["fake: "+name] = func() {
		f(&fakeWorker{
			control: os.NewFile(3, ""), answers: os.NewFile(5, ""),
			in: wire.NewReader(os.NewFile(3, ""), wire.ControlLimit), calls: wire.NewReader(os.NewFile(4, ""), wire.MaxLimit),
		})
	}
}

func (w *fakeWorker) tell(k wire.Kind, body interface{ Append([]byte) ([]byte, error) }) {
	b, err := body.Append(nil)
	if err != nil {
		panic(err)
	}
	w.control.Write(wire.AppendFrame(nil, k, 0, b))
}

func (w *fakeWorker) hello(caps ...string) {
	w.tell(wire.KindHello, wire.Hello{Language: "fake", Capabilities: caps, Functions: []wire.Function{{Name: "double"}, {Name: "bench.echo"}}})
}

// streams is a hello with a stream.
func (w *fakeWorker) streams(caps ...string) {
	w.tell(wire.KindHello, wire.Hello{Language: "fake", Capabilities: caps, Functions: []wire.Function{{Name: "flows", Stream: true}, {Name: "double"}}})
	w.ready()
}

// itemFrame is an item of the stream flows.
func itemFrame(id, n uint64, size int) []byte {
	body := append([]byte{0x59, byte(size >> 8), byte(size)}, make([]byte, size)...)
	binary.BigEndian.PutUint64(body[3:], n)
	return wire.AppendFrame(nil, wire.KindItem, id, body)
}

func reportFrame(id uint64) []byte {
	return wire.AppendFrame(nil, wire.KindProgress, id, wire.ProgressBody{Done: 1}.Append(nil))
}

func (w *fakeWorker) ready() { w.tell(wire.KindReady, wire.Ready{}) }

// greet is what a good worker does.
func (w *fakeWorker) greet() {
	w.hello()
	if _, err := w.in.Next(); err != nil {
		panic(err)
	}
	w.ready()
}

// call waits for a call.
func (w *fakeWorker) call() uint64 {
	f, err := w.calls.Next()
	if err != nil {
		os.Exit(1)
	}
	return f.ID
}

// answer is an answer frame with a small number in it.
func answerFrame(id uint64, n byte) []byte {
	return wire.AppendFrame(nil, wire.KindAnswer, id, []byte{n})
}

func (w *fakeWorker) reply(id uint64, n byte) { w.answers.Write(answerFrame(id, n)) }

// last waits for the end, as a worker does that has said its piece.
func (w *fakeWorker) last() {
	for {
		if f, err := w.in.Next(); err != nil || f.Kind == wire.KindShutdown {
			os.Exit(0)
		}
	}
}

func init() {
	play("well behaved", func(w *fakeWorker) {
		w.greet()
		go func() {
			for {
				w.reply(w.call(), 7)
			}
		}()
		w.last()
	})
	play("answers before ready", func(w *fakeWorker) { w.reply(1, 9); w.hello(); select {} })
	violate := func(name string, f func(w *fakeWorker, id uint64)) {
		play(name, func(w *fakeWorker) { w.greet(); f(w, w.call()); select {} })
	}
	violate("garbage on the answers", func(w *fakeWorker, id uint64) { w.answers.WriteString("HTTP/1.1 200 OK\r\n\r\n") })
	play("answers twice", func(w *fakeWorker) {
		w.greet()
		id := w.call()
		w.answers.Write(append(answerFrame(id, 7), answerFrame(id, 8)...))
		select {}
	})
	play("answers what it has not begun", func(w *fakeWorker) {
		w.hello(wire.CapStatusPage)
		w.ready()
		w.answers.Write(wire.AppendFrame(nil, wire.KindError, w.call(), wire.ErrorBody{Message: "not today"}.Append(nil)))
		w.reply(w.call(), 7)
		select {}
	})
	violate("an answer to an unknown call", func(w *fakeWorker, id uint64) { w.reply(id+1, 7) })
	violate("an answer to a call far away", func(w *fakeWorker, id uint64) { w.reply(1<<63, 7) })
	violate("an error to an unknown call", func(w *fakeWorker, id uint64) {
		w.answers.Write(wire.AppendFrame(nil, wire.KindError, id+1, wire.ErrorBody{Message: "whose?"}.Append(nil)))
	})
	violate("a panic in an unknown call", func(w *fakeWorker, id uint64) {
		w.answers.Write(wire.AppendFrame(nil, wire.KindPanic, id+1, wire.PanicBody{Value: "whose?"}.Append(nil)))
	})
	violate("garbage on the control channel", func(w *fakeWorker, id uint64) { w.control.WriteString("HTTP/1.1 200 OK\r\n\r\n") })
	violate("a huge length", func(w *fakeWorker, id uint64) {
		frame := wire.Begin(nil, wire.KindAnswer, id)
		binary.BigEndian.PutUint32(frame[4:], 1<<32-1)
		w.answers.Write(frame)
	})
	violate("a huge length on control", func(w *fakeWorker, id uint64) {
		frame := wire.Begin(nil, wire.KindLog, 0)
		binary.BigEndian.PutUint32(frame[4:], 2<<20)
		w.control.Write(frame)
	})
	violate("a second hello", func(w *fakeWorker, id uint64) { w.hello() })
	violate("a pong to no ping", func(w *fakeWorker, id uint64) { w.control.Write(wire.AppendFrame(nil, wire.KindPong, 1, nil)) })
	violate("a second ready", func(w *fakeWorker, id uint64) { w.ready() })
	violate("two goodbyes", func(w *fakeWorker, id uint64) {
		w.tell(wire.KindGoodbye, wire.Goodbye{})
		w.tell(wire.KindGoodbye, wire.Goodbye{})
	})
	violate("an item", func(w *fakeWorker, id uint64) { w.answers.Write(wire.AppendFrame(nil, wire.KindItem, id, []byte{1})) })
	violate("a done", func(w *fakeWorker, id uint64) { w.answers.Write(wire.AppendFrame(nil, wire.KindDone, id, nil)) })
	violate("a report nobody has asked for", func(w *fakeWorker, id uint64) { w.answers.Write(reportFrame(id)) })
	violate("a report on an unknown call", func(w *fakeWorker, id uint64) { w.answers.Write(reportFrame(id + 1)) })
	violate("a call to the parent", func(w *fakeWorker, id uint64) { w.answers.Write(wire.AppendFrame(nil, wire.KindCall, id, []byte{1})) })
	violate("an answer on control", func(w *fakeWorker, id uint64) { w.control.Write(answerFrame(id, 1)) })
	violate("an error that is none", func(w *fakeWorker, id uint64) { w.answers.Write(wire.AppendFrame(nil, wire.KindError, id, []byte{1})) })
	violate("a log record that is none", func(w *fakeWorker, id uint64) { w.control.Write(wire.AppendFrame(nil, wire.KindLog, 0, []byte{1})) })
	violate("closes its answers and lives on", func(w *fakeWorker, id uint64) { w.answers.Close() })
	violate("closes its control channel and lives on", func(w *fakeWorker, id uint64) {
		syscall.Shutdown(3, syscall.SHUT_RDWR)
		syscall.Close(3)
	})
	play("ready before hello", func(w *fakeWorker) { w.ready(); w.hello(); select {} })
	play("says nothing", func(w *fakeWorker) { select {} })
	play("another version", func(w *fakeWorker) {
		w.tell(wire.KindHello, wire.Hello{Version: 9, MinVersion: 8})
		select {}
	})
	play("newer frames", func(w *fakeWorker) {
		frame := wire.AppendFrame(nil, wire.KindLog, 0, wire.Log{Message: "hello"}.Append(nil))
		frame[3] = 2
		w.control.Write(frame)
		select {}
	})
	play("an unknown frame", func(w *fakeWorker) { w.control.Write(wire.AppendFrame(nil, 14, 0, nil)); select {} })
	play("an unknown frame that may be skipped", func(w *fakeWorker) {
		frame := wire.AppendFrame(nil, 14, 0, []byte{1, 2, 3})
		frame[2] = 1
		w.control.Write(frame)
		w.greet()
		w.reply(w.call(), 7)
		w.last()
	})
	play("wrong type in the answer", func(w *fakeWorker) {
		w.greet()
		w.answers.Write(wire.AppendFrame(nil, wire.KindAnswer, w.call(), []byte{0x61, 'x'}))
		w.reply(w.call(), 7)
		w.last()
	})
	play("keeps no status page", func(w *fakeWorker) { w.greet(); w.call(); os.Exit(3) })
	play("keeps a status page", func(w *fakeWorker) {
		w.hello(wire.CapStatusPage)
		w.ready()
		w.call()
		os.Exit(3)
	})
	play("lies on the status page", func(w *fakeWorker) {
		w.hello(wire.CapStatusPage)
		w.ready()
		w.call()
		os.NewFile(6, "").WriteAt([]byte(strings.Repeat("\xff", 64<<10)), 0)
		os.Exit(2)
	})
	play("deaf to shutdown", func(w *fakeWorker) {
		early.Catch() // as Init does, or a reset does not reach what has been done before
		signal.Reset(syscall.SIGTERM)
		w.greet()
		select {}
	})
	play("deaf to everything", func(w *fakeWorker) {
		signal.Ignore(syscall.SIGTERM)
		w.greet()
		select {}
	})
	play("random bytes", func(w *fakeWorker) {
		seed := uint64(os.Getpid())
		rnd := rand.New(rand.NewPCG(seed, seed))
		w.greet()
		w.call()
		noise := make([]byte, 1+rnd.IntN(200))
		for i := range noise {
			noise[i] = byte(rnd.Uint32())
		}
		to := w.answers
		if rnd.IntN(2) == 0 {
			to = w.control
		}
		if rnd.IntN(2) == 0 { // a good header at least
			noise = wire.AppendFrame(nil, wire.Kind(rnd.IntN(24)), uint64(rnd.IntN(3)), noise)
		}
		to.Write(noise)
		os.Exit(0)
	})
	play("a large answer and death", func(w *fakeWorker) {
		w.greet()
		id := w.call()
		codec, err := wire.CodecFor[[]byte]()
		if err != nil {
			panic(err)
		}
		body, _ := codec.Append(nil, make([]byte, 900<<10)) // less than the pipe holds
		w.answers.Write(wire.AppendFrame(nil, wire.KindAnswer, id, body))
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	})
	play("part of an answer", func(w *fakeWorker) {
		w.greet()
		frame := answerFrame(w.call(), 7)
		cut := int(os.Getenv("CUT")[0] - 'a')
		w.answers.Write(frame[:cut])
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	})
}

func TestWorkerInAnotherLanguage(t *testing.T) {
	watch(t)
	w := up(t, fake("fake: well behaved"))
	for range 3 {
		if v, err := double.Call(t.Context(), w, 1); v != 7 || err != nil {
			t.Error(v, err)
		}
	}
	_, err := pid.Call(t.Context(), w, true)
	if u := as[*child.UnknownFunctionError](t, err); u.Func != "pid" || !errors.Is(err, child.ErrNotStarted) {
		t.Error(err)
	}
	if err := w.stop(); err != nil {
		t.Error(err)
	}
}

// A second answer to a call is no answer to another one, and the end.
func TestDuplicateAnswers(t *testing.T) {
	watch(t)
	for range 5 {
		w := up(t, fake("fake: answers twice"))
		if v, err := double.Call(t.Context(), w, 1); v != 7 || err != nil {
			t.Error(v, err)
		}
		if err := w.end(); !errors.Is(err, child.Protocol) || !strings.Contains(err.Error(), "a frame of kind answer for call 1, which is not on its way") {
			t.Error(err)
		}
	}
}

// By its own account a worker has not begun with a call that it answers: the
// answer is another one's. That it refuses one is fine.
func TestAnswerToACallThatHasNotBegun(t *testing.T) {
	watch(t)
	cfg := fake("fake: answers what it has not begun")
	cfg.Wait = child.NoWait
	w := up(t, cfg)
	if _, err := double.Call(t.Context(), w, 1); as[*child.RemoteError](t, err).Message != "not today" {
		t.Error(err)
	}
	_, err := double.Call(t.Context(), w, 1)
	if as[*child.NotStartedError](t, err); !strings.Contains(err.Error(), "a frame of kind answer for call 2, which it has not begun") {
		t.Error(err)
	}
	if err := w.end(); !errors.Is(err, child.Protocol) {
		t.Error(err)
	}
}

func TestProtocolViolations(t *testing.T) {
	watch(t)
	for role, text := range map[string]string{
		"an answer to an unknown call":            "a frame of kind answer for call 2, which is not on its way",
		"an answer to a call far away":            "a frame of kind answer for call 9223372036854775808, which is not on its way",
		"an error to an unknown call":             "a frame of kind error for call 2, which is not on its way",
		"a panic in an unknown call":              "a frame of kind panic for call 2, which is not on its way",
		"garbage on the answers":                  "first byte is 0x48",
		"garbage on the control channel":          "first byte is 0x48",
		"a huge length":                           "size 4294967295, the limit is",
		"a huge length on control":                "size 2097152, the limit is",
		"a second hello":                          "a second hello",
		"a pong to no ping":                       "a pong to ping 1, which waits for none",
		"a second ready":                          "a second ready",
		"two goodbyes":                            "a second goodbye",
		"an item":                                 "a frame of kind item for call 1, which is no stream",
		"a done":                                  "a frame of kind done for call 1, which is no stream",
		"a report nobody has asked for":           "a report on call 1, which nobody has asked for",
		"a report on an unknown call":             "a frame of kind progress for call 2, which is not on its way",
		"a call to the parent":                    "call frame does not belong",
		"an answer on control":                    "answer frame does not belong",
		"an error that is none":                   "decode error",
		"a log record that is none":               "decode log",
		"closes its answers and lives on":         "closed a channel to its parent and lived on",
		"closes its control channel and lives on": "closed a channel to its parent and lived on",
	} {
		t.Run(role, func(t *testing.T) {
			w := up(t, fake("fake: "+role))
			began := time.Now()
			err := receive(t, "the call", async(named("a"), w, double, 1)).err
			crash := as[*child.CrashError](t, err)
			if crash.Exit.Cause != child.Protocol || crash.Observed.Signal != syscall.SIGKILL || !strings.Contains(err.Error(), text) {
				t.Errorf("%v", err)
			}
			if took := time.Since(began); took > 2*soon {
				t.Errorf("it took %v", took)
			}
			if e := as[*child.CrashError](t, w.end()); !reflect.DeepEqual(e.Exit, crash.Exit) {
				t.Errorf("Serve returned %v", e)
			}
		})
	}
}

func TestBadHandshake(t *testing.T) {
	watch(t)
	for role, text := range map[string]string{
		"ready before hello":   "ready before hello",
		"says nothing":         "not ready within the StartTimeout",
		"answers before ready": "a frame of kind answer for call 1, which is not on its way",
		"another version":      "worker speaks protocol versions 8 to 9, this side speaks 1",
		"newer frames":         "peer speaks protocol version 2, this side speaks 1; build both from versions that agree",
		"an unknown frame":     "unknown frame kind 14; the peer may be newer than this side",
	} {
		cfg := fake("fake: " + role)
		if role == "says nothing" {
			cfg.StartTimeout = 500 * time.Millisecond
		}
		w, _ := begin(t, cfg)
		if err := w.end(); !strings.Contains(as[*child.StartError](t, err).Error(), text) {
			t.Errorf("%s: %v", role, err)
		}
	}
}

// A newer worker may send what an older parent does not know, if it says so.
func TestUnknownFrameThatMayBeSkipped(t *testing.T) {
	watch(t)
	w := up(t, fake("fake: an unknown frame that may be skipped"))
	if v, err := double.Call(t.Context(), w, 1); v != 7 || err != nil {
		t.Error(v, err)
	}
}

// Without Config.Exe a worker is this very program, and nothing else.
func TestAnotherBuild(t *testing.T) {
	watch(t)
	cfg := fake("fake: well behaved")
	cfg.Exe = ""
	w, _ := begin(t, cfg)
	if s := as[*child.StartError](t, w.end()); s.Step != "handshake" || !strings.Contains(s.Error(), "the worker is another build () than this program (") {
		t.Error(s)
	}
}

// An answer of another type is the call's error, and nobody else's.
func TestAnswerOfAnotherType(t *testing.T) {
	watch(t)
	w := up(t, fake("fake: wrong type in the answer"))
	if _, err := double.Call(t.Context(), w, 1); err == nil || !strings.Contains(err.Error(), "double: the output") || errors.Is(err, child.ErrNotStarted) {
		t.Error(err)
	}
	if v, err := double.Call(t.Context(), w, 1); v != 7 || err != nil {
		t.Error(v, err)
	}
}

// Only a worker that says which calls it has started can have not started one.
func TestNotStartedNeedsTheStatusPage(t *testing.T) {
	watch(t)
	for role, started := range map[string]bool{"keeps no status page": true, "keeps a status page": false, "lies on the status page": true} {
		cfg := fake("fake: " + role)
		cfg.Wait = child.NoWait
		w := up(t, cfg)
		_, err := double.Call(t.Context(), w, 1)
		if _, crashed := errors.AsType[*child.CrashError](err); crashed != started || errors.Is(err, child.ErrNotStarted) == started {
			t.Errorf("%s: %v", role, err)
		}
	}
}

// A death within the answer, at each byte, is a crash; after it, it is not the call's.
func TestCutAnswer(t *testing.T) {
	watch(t)
	const whole = wire.HeaderSize + 1
	for cut := range whole + 1 {
		cfg := fake("fake: part of an answer")
		cfg.Env = append(cfg.Env, "CUT="+string(rune('a'+cut)))
		v, err := child.Once(context.Background(), cfg, double, 1)
		if cut == whole {
			if v != 7 || err != nil {
				t.Errorf("a whole answer: %v, %v", v, err)
			}
			continue
		}
		if crash := as[*child.CrashError](t, err); crash.Exit.Cause != child.Killed {
			t.Errorf("after %d bytes: %v", cut, err)
		}
	}
}

// An answer that had been written counts, though its worker was dead before it was read.
func TestAnswerOfTheDead(t *testing.T) {
	watch(t)
	for range 10 {
		w := up(t, fake("fake: a large answer and death"))
		if out, err := echo.Call(t.Context(), w, nil); len(out) != 900<<10 || err != nil {
			t.Fatalf("%d bytes, %v", len(out), err)
		}
		if crash := as[*child.CrashError](t, w.end()); len(crash.Calls) != 0 {
			t.Error(crash)
		}
	}
}

func TestRandomBytes(t *testing.T) {
	watch(t)
	t.Run("many", func(t *testing.T) {
		for range 4 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for range 20 {
					w := up(t, fake("fake: random bytes"))
					a := receive(t, "a call", async(t.Context(), w, double, 1))
					if a.err == nil {
						t.Logf("noise was an answer: %v", a.value)
					}
					_ = w.end()
				}
			})
		}
	})
}
