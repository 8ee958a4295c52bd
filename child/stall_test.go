//go:build linux

package child_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/wire"
)

// stall begins a frame of n bytes in all, and sends so much of it every 20 ms.
func (w *fakeWorker) stall(to *os.File, k wire.Kind, id uint64, n, first, step int) {
	frame := wire.AppendFrame(nil, k, id, make([]byte, n-wire.HeaderSize))
	to.Write(frame[:first])
	for at := first; step > 0 && at < n; at += step {
		time.Sleep(20 * time.Millisecond)
		to.Write(frame[at : at+step])
	}
	select {}
}

func init() {
	stall := func(name string, f func(w *fakeWorker, id uint64)) {
		play(name, func(w *fakeWorker) { w.greet(); f(w, w.call()) })
	}
	stall("half a header", func(w *fakeWorker, id uint64) { w.stall(w.answers, wire.KindAnswer, id, 100, 8, 0) })
	stall("a header", func(w *fakeWorker, id uint64) { w.stall(w.answers, wire.KindAnswer, id, 100, 16, 0) })
	stall("all but a byte", func(w *fakeWorker, id uint64) { w.stall(w.answers, wire.KindAnswer, id, 1<<20, 1<<20-1, 0) })
	stall("a byte at a time", func(w *fakeWorker, id uint64) { w.stall(w.answers, wire.KindAnswer, id, 1000, 16, 1) })
	stall("a kilobyte at a time", func(w *fakeWorker, id uint64) { w.stall(w.answers, wire.KindAnswer, id, 1<<20, 16, 1<<10) })
	stall("a header on the control channel", func(w *fakeWorker, id uint64) { w.stall(w.control, wire.KindLog, 0, 100, 16, 0) })
	play("a header before ready", func(w *fakeWorker) { w.hello(); w.stall(w.control, wire.KindReady, 0, 17, 16, 0) })

	// slow, but it goes on: 64 KiB in each half of the parent's patience
	play("slow", func(w *fakeWorker) {
		w.greet()
		id := w.call()
		codec, _ := wire.CodecFor[[]byte]()
		body, _ := codec.Append(nil, make([]byte, 1<<20))
		frame := wire.AppendFrame(nil, wire.KindAnswer, id, body)
		for len(frame) > 0 {
			n := min(len(frame), 70<<10)
			w.answers.Write(frame[:n])
			frame = frame[n:]
			time.Sleep(100 * time.Millisecond)
		}
		w.last()
	})
	// half an answer, and the rest when the gate opens
	play("half an answer", func(w *fakeWorker) {
		w.greet()
		frame := answerFrame(w.call(), 7)
		w.answers.Write(frame[:10])
		w.control.Write(wire.AppendFrame(nil, wire.KindLog, 0, wire.Log{Message: "half"}.Append(nil)))
		gate(os.Getenv("GATE")).wait()
		w.answers.Write(frame[10:])
		w.last()
	})
	roles["parent: with little patience"] = func() {
		child.Init()
		cfg := fake("fake: half an answer").WithPatience(2 * time.Second)
		cfg.Env, cfg.Logger = append(cfg.Env, "GATE"), slog.New(slog.NewTextHandler(os.Stdout, nil))
		fmt.Println(child.Once(context.Background(), cfg, double, 1))
	}
}

// A frame that has been begun has to go on; between two frames there is all the
// time in the world.
func TestFrameThatStops(t *testing.T) {
	watch(t)
	const patience = 300 * time.Millisecond
	t.Run("ways", func(t *testing.T) {
		for _, role := range []string{
			"half a header", "a header", "all but a byte", "a byte at a time", "a kilobyte at a time", "a header on the control channel",
		} {
			t.Run(role, func(t *testing.T) {
				t.Parallel()
				w := up(t, fake("fake: "+role).WithPatience(patience))
				select {
				case err := <-w.done:
					t.Fatalf("it has not even begun: %v", err)
				case <-time.After(2 * patience):
				}
				began := time.Now()
				err := receive(t, "the call", async(t.Context(), w, double, 1)).err
				if crash := as[*child.CrashError](t, err); crash.Cause != child.Protocol || !strings.Contains(err.Error(), "a part of a frame and then, for 300ms, not the rest") {
					t.Error(err)
				}
				if took := time.Since(began); took < patience || took > patience+2*soon {
					t.Errorf("it took %v", took)
				}
				as[*child.CrashError](t, w.end())
			})
		}
	})
	w, _ := begin(t, fake("fake: a header before ready").WithPatience(patience))
	if err := w.end(); as[*child.StartError](t, err).Step != "open" || !strings.Contains(err.Error(), "a part of a frame") {
		t.Error(err)
	}
}

// A frame may take much longer than that, as long as it goes on.
func TestSlowFrame(t *testing.T) {
	watch(t)
	w := up(t, fake("fake: slow").WithPatience(time.Second))
	if out, err := echo.Call(t.Context(), w, nil); len(out) != 1<<20 || err != nil {
		t.Error(len(out), err)
	}
}

// A parent that was stopped in the middle of a frame for longer than its
// patience looks first at what has come meanwhile.
func TestStoppedParentHasPatience(t *testing.T) {
	watch(t)
	g := newGate(t)
	a := start(t, os.Args[0], "parent: with little patience", "GATE="+string(g))
	a.line("half")
	freeze(t, a.cmd.Process.Pid)
	g.open(t)
	time.Sleep(2500 * time.Millisecond) // the fault itself
	must(t, a.cmd.Process.Signal(syscall.SIGCONT))
	if got := a.line("nil"); got != "7 <nil>" {
		t.Error(got)
	}
}

// A death in the middle of a frame is a death, however patient the parent is.
func TestDeathInTheMiddleOfAFrame(t *testing.T) {
	watch(t)
	g := newGate(t)
	cfg := fake("fake: half an answer").WithPatience(time.Hour)
	cfg.Env = append(cfg.Env, "GATE="+string(g))
	w := up(t, cfg)
	call := async(t.Context(), w, double, 1)
	w.log.wait(t, "half")
	w.Kill()
	if err := receive(t, "the call", call).err; !errors.Is(err, child.KillCalled) {
		t.Error(err)
	}
	_ = w.end()
	g.open(t)
}
