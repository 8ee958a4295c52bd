package child_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/verdigris-go/verdigris/child"
)

// endAtOnce ends its process as the word says, before anybody else gets to run.
var endAtOnce = child.Define("end.at.once", func(_ context.Context, how string) (bool, error) {
	if how == "exit" {
		os.Exit(3)
	}
	return true, syscall.Kill(os.Getpid(), syscall.SIGKILL)
})

// behind lets calls stand in line behind one that holds their worker, and then begin
// one right after the other.
func behind(t *testing.T, w *worker, calls func(gone func())) {
	t.Helper()
	g := newGate(t)
	first := async(named("first"), w, hold, holding{Gate: g, Say: "first"})
	w.log.wait(t, "holding first")
	n := 1
	calls(func() {
		n++
		expect(t, "the call to be on its way", func() bool { return w.Stats().InFlight == n })
	})
	g.open(t)
	if a := receive(t, "the first call", first); a.err != nil {
		t.Error(a.err)
	}
}

// An answer does not wait for the function that runs after it.
func TestAnswersDoNotWaitForAFunction(t *testing.T) { child.EachTransport(t, testAnswersDoNotWait) }

func testAnswersDoNotWait(t *testing.T) {
	watch(t)
	w, g := up(t, child.Config{Ahead: 20}), newGate(t)
	var quick []<-chan answer[int]
	var long <-chan answer[string]
	behind(t, w, func(gone func()) {
		for i := range 10 {
			quick = append(quick, async(t.Context(), w, double, i))
			gone()
		}
		long = async(named("long"), w, hold, holding{Gate: g, Say: "long", Stubborn: true})
		gone()
		quick = append(quick, async(t.Context(), w, double, 10))
		gone()
	})
	for i, q := range quick[:10] {
		if a := receive(t, "the answer of a quick call", q); a.value != 2*i || a.err != nil {
			t.Errorf("call %d: %v", i, a)
		}
	}
	select {
	case a := <-long:
		t.Errorf("the long call is over already: %v", a)
	case a := <-quick[10]:
		t.Errorf("a call behind it is over already: %v", a)
	default:
	}
	g.open(t)
	if a := receive(t, "the long call", long); a.err != nil {
		t.Error(a.err)
	}
	if a := receive(t, "the call behind it", quick[10]); a.value != 20 || a.err != nil {
		t.Error(a)
	}
}

// Nor is it lost with the process that the next function kills: only that call is.
func TestAnswersOutliveTheirWorker(t *testing.T) { child.EachTransport(t, testAnswersOutlive) }

func testAnswersOutlive(t *testing.T) {
	watch(t)
	for _, how := range []string{"kill", "exit"} {
		for range 5 {
			w := up(t, child.Config{Ahead: 20, Wait: child.NoWait})
			var answers []<-chan answer[int]
			var refused <-chan answer[int]
			var death, after <-chan answer[bool]
			behind(t, w, func(gone func()) {
				for i := range 10 {
					answers = append(answers, async(t.Context(), w, double, i))
					gone()
				}
				refused = async(t.Context(), w, deny, "plain")
				gone()
				death = async(named("bad"), w, endAtOnce, how)
				gone()
				after = async(named("after"), w, endAtOnce, how)
				gone()
			})
			for i, q := range answers {
				if a := receive(t, "an answer", q); a.value != 2*i || a.err != nil {
					t.Errorf("%s: call %d: %v", how, i, a)
				}
			}
			as[*child.RemoteError](t, receive(t, "an error", refused).err)
			crash := as[*child.CrashError](t, receive(t, "the end", death).err)
			if len(crash.Calls) != 1 || crash.Calls[0].Key != "bad" || crash.Served != 12 {
				t.Errorf("%s: of %v, %d served", how, crash.Calls, crash.Served)
			}
			if err := receive(t, "the call behind it", after).err; !errors.Is(err, child.ErrNotStarted) {
				t.Error(err)
			}
			_ = w.end()
		}
	}
}

// A worker that is asked to stop answers first.
func TestAnswersBeforeTheEnd(t *testing.T) {
	watch(t)
	for range 20 {
		w := up(t, child.Config{Ahead: 20})
		var answers []<-chan answer[int]
		behind(t, w, func(gone func()) {
			for i := range 10 {
				answers = append(answers, async(t.Context(), w, double, i))
				gone()
			}
		})
		err := w.stop()
		for _, q := range answers {
			if a := receive(t, "an answer", q); a.err != nil && !errors.Is(a.err, child.ErrNotStarted) {
				t.Error(a.err)
			}
		}
		if err != nil {
			t.Error(err)
		}
	}
}
