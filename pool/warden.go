package pool

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// warden recognises inputs, and keeps the suspects under a lock of its own, which is
// held for a look at a table.
type warden struct {
	pool   string
	seed   maphash.Seed
	events *teller

	known atomic.Int64 // how many suspects there are, held or not

	mu       sync.Mutex
	suspects suspects
}

// newWarden returns nil if there is no quarantine.
func newWarden(cfg *Config, seed maphash.Seed, events *teller) *warden {
	if cfg.Quarantine.Deaths == 0 {
		return nil
	}
	return &warden{pool: cfg.Name, seed: seed, events: events, suspects: newSuspects(cfg.Quarantine)}
}

// change looks at the suspects, or changes them.
func (w *warden) change(f func(t *suspects, now time.Time)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.suspects, time.Now())
	w.known.Store(int64(len(w.suspects.free) + len(w.suspects.held)))
}

// check says why a call must not be sent. While there are no suspects it does nothing.
func (w *warden) check(ctx context.Context, e *errand) (err error) {
	if w == nil || w.known.Load() == 0 || !e.recognised(ctx, w) {
		return nil
	}
	w.change(func(t *suspects, now time.Time) {
		w.tellReleased(t.served(e.input, now), now, hasServed)
		if s := t.asks(e.input, now); s != nil {
			facts := s.facts()
			err = &QuarantinedError{w.pool, facts}
		}
	})
	return err
}

// died notes that a call with this input has died with its worker.
func (w *warden) died(id identity, crash *child.CrashError) {
	d := death{charge{shared: isShared(crash)}, crash.Calls[0], crash.Cause, crash.Exit.String()}
	w.change(func(t *suspects, now time.Time) {
		d.at = now
		w.tellReleased(t.served(id, now), now, hasServed)
		caught, ousted := t.died(id, d)
		w.tellReleased(ousted, now, "there are more than Quarantine.Max")
		if caught != nil {
			w.events.tell(EventQuarantined{w.events.head(now), id.String(), d.call, caught.deaths(), caught.until, crash})
		}
	})
}

// answered notes that a worker has answered a call with this input.
func (w *warden) answered(id identity) {
	w.change(func(t *suspects, _ time.Time) { t.answered(id) })
}

// tick notes that time has passed.
func (w *warden) tick() {
	if w == nil || w.known.Load() == 0 {
		return
	}
	w.change(func(t *suspects, now time.Time) {
		for _, s := range t.tick(now) {
			w.tellReleased(s, now, hasServed)
		}
	})
}

func (w *warden) release(id identity) (was bool) {
	w.change(func(t *suspects, now time.Time) {
		w.tellReleased(t.served(id, now), now, hasServed)
		s := t.release(id)
		w.tellReleased(s, now, "somebody has released it")
		was = s != nil
	})
	return was
}

const hasServed = "its time is over"

func (w *warden) tellReleased(s *suspect, now time.Time, why string) {
	if s != nil {
		w.events.tell(EventReleased{w.events.head(now), s.id.String(), s.last.call, s.refused, why})
	}
}

// heldNow lists copies of those in quarantine.
func (w *warden) heldNow() (list []suspect) {
	w.tick()
	w.change(func(t *suspects, _ time.Time) {
		for _, s := range t.held {
			list = append(list, *s)
		}
	})
	slices.SortFunc(list, func(a, b suspect) int { return cmp.Or(a.until.Compare(b.until), cmp.Compare(a.id, b.id)) })
	return list
}

// recognise gives a call its identity; false: it has none.
func (w *warden) recognise(ctx context.Context, req *child.Request) (identity, bool) {
	buf := inputs.Get().(*[]byte)
	text := append(append((*buf)[:0], req.Func()...), 0)
	var err error
	known := true
	if w.suspects.By == ByUserKey {
		key := child.Key(ctx)
		text, known = append(text, key...), key != ""
	} else if text, err = req.AppendIdentity(text); err != nil {
		known = false // it is not sent either
	}
	id := identity(maphash.Bytes(w.seed, text))
	if cap(text) <= largestKept {
		*buf = text
	}
	inputs.Put(buf)
	return id, known
}

// inputs holds memory for encoded inputs.
var inputs = sync.Pool{New: func() any { return new([]byte) }}

const largestKept = 4 << 20 // bytes

// suspectable returns the crash if a call's end may have been its input's doing.
func suspectable(end error) *child.CrashError {
	crash, ok := errors.AsType[*child.CrashError](end)
	if !ok || crash.Innocent {
		return nil
	}
	switch crash.Cause {
	case child.KillCalled, child.Canceled, child.StopTimeout:
		return nil
	}
	return crash
}

// isShared reports whether it may have been another call's doing as well.
func isShared(crash *child.CrashError) bool {
	return len(crash.Calls) > 1 && crash.Reported.Panic == nil && crash.Cause != child.Deadline
}
