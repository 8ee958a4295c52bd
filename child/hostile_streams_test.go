//go:build linux

package child_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/wire"
)

const hostileWindow = 4 << 10

// What a worker may not do in a stream, after how many good items, and what its
// caller is told. The items are of 256 bytes, which cost 323 with their head.
var streamCrimes = map[string]struct {
	commit func(w *fakeWorker, id uint64)
	marks  bool // it keeps the status page, on which nothing stands
	items  int
	text   string
}{
	"an answer": {commit: func(w *fakeWorker, id uint64) { w.send(itemFrame(id, 1, 256), answerFrame(id, 1)) }, items: 1, text: "a frame of kind answer for call 1, which is a stream"},
	"more than its window": {commit: func(w *fakeWorker, id uint64) {
		for n := range uint64(14) {
			w.send(itemFrame(id, n+1, 256))
		}
	}, items: -1, text: "more of a stream than its window of 4096 bytes"},
	"tiny items beyond its window": {commit: func(w *fakeWorker, id uint64) {
		w.send(bytes.Repeat(wire.AppendFrame(nil, wire.KindItem, id, []byte{0xf6}), 70))
	}, items: -1, text: "more of a stream than its window of 4096 bytes"},
	"an item after done": {commit: func(w *fakeWorker, id uint64) {
		w.send(itemFrame(id, 1, 256), wire.AppendFrame(nil, wire.KindDone, id, nil), itemFrame(id, 2, 256))
	}, items: 1, text: "a frame of kind item for call 1, which is not on its way"},
	"an item before it has begun":  {commit: func(w *fakeWorker, id uint64) { w.send(itemFrame(id, 1, 256)) }, marks: true, text: "a frame of kind item for call 1, which it has not begun"},
	"done before it has begun":     {commit: func(w *fakeWorker, id uint64) { w.send(wire.AppendFrame(nil, wire.KindDone, id, nil)) }, marks: true, text: "a frame of kind done for call 1, which it has not begun"},
	"a report before it has begun": {commit: func(w *fakeWorker, id uint64) { w.send(reportFrame(id)) }, marks: true, text: "a frame of kind progress for call 1, which it has not begun"},
	"a report that is none": {commit: func(w *fakeWorker, id uint64) {
		w.send(wire.AppendFrame(nil, wire.KindProgress, id, []byte{0x83, 1, 2, 3}))
	}, text: "decode progress"},
	"an item of no call":     {commit: func(w *fakeWorker, id uint64) { w.send(itemFrame(id+1, 1, 256)) }, text: "a frame of kind item for call 2, which is not on its way"},
	"a credit to its parent": {commit: func(w *fakeWorker, id uint64) { w.send(wire.AppendFrame(nil, wire.KindCredit, id, []byte{0xa1, 1, 1})) }, text: "credit frame does not belong"},
}

func (w *fakeWorker) send(frames ...[]byte) { w.answers.Write(bytes.Join(frames, nil)) }

func init() {
	for name, crime := range streamCrimes {
		play("in a stream: "+name, func(w *fakeWorker) {
			caps := []string{wire.CapStreams}
			if crime.marks {
				caps = append(caps, wire.CapStatusPage)
			}
			w.streams(caps...)
			crime.commit(w, w.call())
			select {}
		})
	}
	play("takes its mark back", func(w *fakeWorker) {
		w.streams(wire.CapStreams, wire.CapStatusPage)
		page, id := os.NewFile(6, ""), w.call()
		page.WriteAt(binary.LittleEndian.AppendUint64(nil, id), 0)
		for n := range uint64(8) {
			w.send(itemFrame(id, n+1, 256))
		}
		for f := (wire.Frame{}); f.Kind != wire.KindCredit; { // they have been used
			f, _ = w.in.Next()
		}
		page.WriteAt(make([]byte, 8), 0)
		os.Exit(3)
	})
	play("knows no streams", func(w *fakeWorker) { w.streams(); w.last() })
	play("streams to its end", func(w *fakeWorker) {
		w.streams(wire.CapStreams)
		id := w.call()
		w.send(itemFrame(id, 1, 256), reportFrame(id), itemFrame(id, 2, 256), wire.AppendFrame(nil, wire.KindItem, id, []byte{0x01}))
		w.send(itemFrame(id, 4, 256), wire.AppendFrame(nil, wire.KindDone, id, nil)) // nobody takes them any more
		w.reply(w.call(), 7)
		w.last()
	})
}

func TestStreamViolations(t *testing.T) {
	watch(t)
	for name, crime := range streamCrimes {
		t.Run(name, func(t *testing.T) {
			cfg := fake("fake: in a stream: " + name)
			cfg.Window, cfg.Wait = hostileWindow, child.NoWait
			w := up(t, cfg)
			var end error
			n := 0
			for _, err := range flows.Call(child.OnProgress(named("a"), func(child.Progress) {}), w, flow{}) {
				if err != nil {
					end = err
				} else if n++; crime.items < 0 && n == 1 {
					_ = w.end() // and meanwhile there is no credit
				}
			}
			if crime.items >= 0 && n != crime.items {
				t.Errorf("%d items", n)
			}
			if name == "an item after done" { // the call was over before
				if end == nil {
					end = w.end()
				}
			}
			if end == nil || !strings.Contains(end.Error(), crime.text) {
				t.Errorf("%v", end)
			}
			if _, crashed := errors.AsType[*child.CrashError](end); crashed == crime.marks || crashed && !errors.Is(end, child.Protocol) {
				t.Errorf("%T: %v", end, end)
			}
		})
	}
}

// A call that has brought something was started, whatever the worker says when it dies.
func TestMarkThatIsTakenBack(t *testing.T) {
	watch(t)
	cfg := fake("fake: takes its mark back")
	cfg.Window, cfg.Wait = hostileWindow, child.NoWait
	n, err := numbers(t, flows.Call(t.Context(), up(t, cfg), flow{}), 0)
	if _, crashed := errors.AsType[*child.CrashError](err); n != 8 || !crashed || errors.Is(err, child.ErrNotStarted) {
		t.Errorf("%d items, %T: %v", n, err, err)
	}
}

// A binary that knows no streams is never sent one.
func TestStreamsNeedTheCapability(t *testing.T) {
	watch(t)
	w := up(t, fake("fake: knows no streams"))
	n, err := numbers(t, flows.Call(t.Context(), w, flow{}), 0)
	if u := as[*child.UnknownFunctionError](t, err); n != 0 || u.Func != "flows" || !errors.Is(err, child.ErrNotStarted) || !strings.Contains(err.Error(), "its binary knows none") {
		t.Error(n, err)
	}
	w = up(t, fake("fake: well behaved"))
	if _, err = numbers(t, flows.Call(t.Context(), w, flow{}), 0); !strings.Contains(err.Error(), "does not define it") {
		t.Error(err)
	}
}

// An item of another type is the end of its stream, and nobody else's. What still
// comes for a caller that has gone is dropped.
func TestItemOfAnotherType(t *testing.T) {
	watch(t)
	w := up(t, fake("fake: streams to its end"))
	reports := 0
	n, err := numbers(t, flows.Call(child.OnProgress(t.Context(), func(child.Progress) { reports++ }), w, flow{}), 0)
	if n != 2 || err == nil || !strings.Contains(err.Error(), "flows: the item") || errors.Is(err, child.ErrNotStarted) || reports != 1 {
		t.Error(n, err, reports)
	}
	if v, err := double.Call(t.Context(), w, 1); v != 7 || err != nil {
		t.Error(v, err)
	}
}
