package statuspage

import (
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestRecall(t *testing.T) {
	p := newPage(t)
	m := reopen(t, p)
	if !m.Start(1) || !m.Start(2) || p.Started() != 2 {
		t.Errorf("not started before the recall: %d", p.Started())
	}
	p.Recall()
	if m.Start(3) {
		t.Error("started after the recall")
	}
	p.Close()
	p.Recall()
	if p.Signal() != 0 {
		t.Error("a signal after Close")
	}
}

// Whenever the recall comes, a call that the parent takes for one that was not started
// is not.
func TestRecallAtAnyMoment(t *testing.T) {
	for range 100 {
		p := newPage(t)
		m := reopen(t, p)
		var begun atomic.Uint64
		done := make(chan struct{})
		go func() {
			defer close(done)
			for id := uint64(1); m.Start(id); id++ {
				begun.Store(id)
			}
		}()
		for begun.Load() < 3 {
		}
		p.Recall()
		started := p.Started()
		<-done
		if last := begun.Load(); last > started {
			t.Fatalf("call %d was started, the parent had seen %d", last, started)
		}
		m.Close()
		p.Close()
	}
}

// The word is where docs/wire.md says, and the parent reads it.
func TestSignal(t *testing.T) {
	p := newPage(t)
	m := reopen(t, p)
	if m.Dying() || p.Signal() != 0 {
		t.Error("dying from the beginning")
	}
	*m.SignalWord() = littleEndian(uint64(unix.SIGSEGV))
	if !m.Dying() || p.Signal() != 11 || uintptr(unsafe.Pointer(m.SignalWord()))%4096 != 32 {
		t.Errorf("signal %d", p.Signal())
	}
}
