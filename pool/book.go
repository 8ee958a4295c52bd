package pool

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/histogram"
)

// fate is how a call of the pool ended.
type fate uint8

const (
	fateAnswered fate = iota
	fateRefused
	fateCrashed
	fateInterrupted
	fateOverloaded
	fateQueueTimeout
	fateQuarantined
	fateReentered
	fateUnavailable
	fateFailed
	fates
)

// fateOf tells how a call ended by what Do returns.
func fateOf(err error) fate {
	if again, ok := errors.AsType[*RetryError](err); ok {
		err = again.last()
	}
	switch {
	case err == nil:
		return fateAnswered
	case is[*child.RemoteError](err):
		return fateRefused
	case is[*QuarantinedError](err): // it has a crash in it
		return fateQuarantined
	case is[*child.CrashError](err):
		return fateCrashed
	case is[*OverloadedError](err):
		return fateOverloaded
	case is[*QueueTimeoutError](err):
		return fateQueueTimeout
	case is[*ReentryError](err):
		return fateReentered
	case is[*child.InterruptedError](err):
		return fateInterrupted
	case is[*child.UnavailableError](err), is[*child.NotStartedError](err):
		return fateUnavailable
	}
	return fateFailed
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// tally counts calls by their fates. It needs no lock.
type tally [fates]atomic.Uint64

func (t *tally) count(err error) { t[fateOf(err)].Add(1) }

// times are how long calls waited for a worker, and how long they took there.
type times struct{ waits, runs histogram.Recent }

// began notes that a call has got its place, after so long a wait.
func (r *roster) began(at *place, waited time.Duration, now time.Time) {
	at.since = now
	r.times.waits.Add(now, waited)
	at.slot.times.waits.Add(now, waited)
}

// ran notes that a call that was sent is settled.
func (r *roster) ran(at place, now time.Time) {
	r.times.runs.Add(now, now.Sub(at.since))
	at.slot.times.runs.Add(now, now.Sub(at.since))
}

// past is what has become of the workers of one slot number so far.
type past struct {
	runs    uint64 // lives
	crashes uint64
	last    *End // how the latest has ended
}

// book is what happened to workers since the pool was made; guarded by Pool.mu.
type book struct {
	slots    map[int]*past // by number
	starts   uint64        // attempts
	unable   uint64        // of them, those that failed
	deaths   map[child.Cause]uint64
	recycled map[Reason]uint64

	epoch   time.Time // when the pool was made
	recent  window    // of deaths and failed starts, by the seconds since then
	lastBad error     // of them
}

func newBook() *book {
	return &book{slots: map[int]*past{}, deaths: map[child.Cause]uint64{}, recycled: map[Reason]uint64{}, epoch: time.Now()}
}

// slot is the page of a slot number.
func (b *book) slot(n int) *past {
	if b.slots[n] == nil {
		b.slots[n] = &past{}
	}
	return b.slots[n]
}

// bad notes a death or a failed start.
func (b *book) bad(err error, now time.Time) {
	b.recent.add(b.second(now))
	b.lastBad = err
}

func (b *book) second(now time.Time) int64 { return int64(now.Sub(b.epoch) / time.Second) }

// window counts what has happened in the last flapWindow, second by second.
type window struct {
	counts [flapWindow / time.Second]int
	at     int64 // the second of the last look
}

func (w *window) add(second int64) {
	w.turn(second)
	w.counts[second%int64(len(w.counts))]++
}

func (w *window) sum(second int64) (n int) {
	w.turn(second)
	for _, c := range w.counts {
		n += c
	}
	return n
}

// turn forgets the seconds that are too long ago.
func (w *window) turn(second int64) {
	for ; w.at < second && second-w.at <= int64(len(w.counts)); w.at++ {
		w.counts[(w.at+1)%int64(len(w.counts))] = 0
	}
	if w.at < second {
		*w = window{at: second}
	}
}
