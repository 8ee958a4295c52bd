package child

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// fall is how a run stops to take calls: at once when anybody sees that it ends, which
// may be long before the worker is dead. A process of 64 MiB needs some 6 ms to die.
type fall struct {
	mu       sync.Mutex
	up       atomic.Bool // the worker is, or was, in service
	down     func()      // to be called, once
	recalled atomic.Bool // calls have been taken from the worker
}

func (f *fall) watched() bool { return f.up.Load() }

// tell registers who is to be told.
func (f *fall) tell(down func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
	f.up.Store(true)
}

// begin tells it, the first time; it returns when that has been done.
func (f *fall) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		f.down()
		f.down = nil
	}
}

// goDown is called, by anybody, when a channel has ended, when the worker has said that
// it dies, and when it is to be stopped or has been killed. No more calls are taken,
// others are served elsewhere, and that is done when it returns. It never waits for the
// worker. A second call does nothing.
func (r *run) goDown() {
	r.calls.close()
	r.fall.begin()
	if !r.asked.Load() { // else it ends what it has, and the rest knows it by the end
		r.recall()
	}
}

var errGoingDown = errors.New("its worker goes down")

// recall takes from the worker what it has not begun, and surely will not: see package
// statuspage. It does so for those who may know a better worker (Request.Settled). All
// others wait for the next run, which does not start before this one has ended, and are
// told then, with the reason.
func (r *run) recall() {
	if !r.recalls.Load() {
		return
	}
	r.page.Recall()
	started := r.started()
	r.fall.recalled.Store(true)
	taken := r.calls.takeAll(func(k *call) bool { return k.id > started && k.told != nil })
	for _, k := range taken {
		r.notStarted(k, errGoingDown)
	}
	if len(taken) > 0 {
		r.transport.Nudge()
	}
}

// told are the calls that have been settled with the crash.
type told struct {
	calls  []CallInfo
	replay string // file of the first input that was kept
}

// foretell settles the calls of a worker that has panicked, with what it has said and
// what it had printed until then, and kills it. The kill comes last: six threads that
// end, and memory that is given back, take processors that the next call would like to
// have (measured: 0.2 ms less until it is answered).
func (r *run) foretell() {
	r.stderr.CatchUp(drainGrace)
	r.unsent() // a function that has forged the panic has left them there
	end := evidence{reported: Reported{Panic: r.panicked.Load(), Stderr: r.stderr.Tail()}}.exit()
	end.Observed = unseen
	r.fail(r.crash(end))
	r.transport.Nudge()
	r.kill(order{cause: Panicked})
}

// awaitReport waits for the end of a worker that has said that it is dying of a signal,
// see package cfault, and kills it when that does not come.
func (r *run) awaitReport(signal uint64) {
	end := time.Now().Add(coreGrace)
	for !r.deadWithin(r.cfg.tune.faultGrace) {
		if !dumpsCore(r.proc.PID()) || time.Now().After(end) {
			r.kill(livedOn(signal))
			return
		}
	}
}

// livedOn is why it is killed.
func livedOn(signal uint64) order {
	if signal > 64 {
		return order{cause: Protocol, detail: fmt.Sprintf("it said that it was dying of signal %d, which there is not", signal)}
	}
	sig := syscall.Signal(signal)
	return order{cause: signalCause(sig), detail: fmt.Sprintf("it had said that it was dying of signal %d (%v), and lived on", signal, sig)}
}
