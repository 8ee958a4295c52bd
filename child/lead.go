package child

import (
	"sync"
	"sync/atomic"
)

// lead decides who reads what a worker sends. No goroutine is there for that: of
// those who wait for an answer one reads for all, until its own has come, and then
// passes the lead on. To wake a goroutine that has read, and by that one the caller,
// was measured to cost a lone caller 10 to 25 us more than to read oneself.
//
// Who leads has been told so by take, choose or seize, and ends that by pass or end.
// All methods may be called from any goroutine.
type lead struct {
	mu      sync.Mutex
	freed   sync.Cond // the lead is free, or there is none any more
	taken   bool      // somebody reads
	over    bool      // nobody will read any more
	seizing int       // how many want to read what is left and end it
	latest  *waiter   // the line of those who would read
}

// waiter is somebody who waits for an answer. Others tell it that it should look
// again; why, it finds out by itself, and that there is no reason does no harm.
type waiter struct {
	wake chan struct{}
	over atomic.Bool // the answer is there

	// The lead's:
	standing     bool // in line
	chosen       bool // it leads, and may not know
	older, newer *waiter
}

func newLead() *lead {
	l := &lead{}
	l.freed.L = &l.mu
	return l
}

func newWaiter() waiter { return waiter{wake: make(chan struct{}, 1)} }

// settled reports whether the answer is there.
func (w *waiter) settled() bool { return w.over.Load() }

// end tells that the answer is there. Whoever waits may be gone when it returns.
func (w *waiter) end() {
	wake := w.wake
	w.over.Store(true)
	select {
	case wake <- struct{}{}:
	default:
	}
}

// look wakes the waiter.
func (w *waiter) look() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take reports whether w leads now. Else it stands in line, until it is chosen or
// quits; when nobody will read any more it only waits.
func (l *lead) take(w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.over:
		return false
	case l.taken || l.seizing > 0:
		l.join(w)
		return false
	}
	l.taken = true
	return true
}

// takeFree is take for somebody who does not wait.
func (l *lead) takeFree() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.taken || l.seizing > 0 {
		return false
	}
	l.taken = true
	return true
}

// leads reports whether a waiter that was in line has been chosen.
func (l *lead) leads(w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := w.chosen
	w.chosen = false
	return was
}

// quit takes w out of the line, and reports whether it has been chosen meanwhile:
// then it leads.
func (l *lead) quit(w *waiter) (leads bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.standing {
		l.remove(w)
	}
	leads, w.chosen = w.chosen, false
	return leads
}

// pass gives the lead away: to whoever wants to end the reading, or the one who has
// come to the line last, for its answer will come last. kept: there is nobody, and
// somebody is needed; so the one who passes still leads. With rather it goes on if it is
// needed, also if somebody stands in line.
func (l *lead) pass(needed, rather bool) (kept bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.over:
		return false
	case l.seizing > 0:
	case needed && (rather || l.latest == nil):
		return true
	case l.latest != nil:
		w := l.latest
		l.remove(w)
		w.chosen = true
		w.look()
		return false
	}
	l.taken = false
	l.freed.Broadcast()
	return false
}

// seize waits for the lead; who has it is to be interrupted by then. It reports false
// if nobody reads any more.
func (l *lead) seize(interrupt func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seizing++
	defer func() { l.seizing-- }()
	if l.taken {
		interrupt()
	}
	for l.taken && !l.over {
		l.freed.Wait()
	}
	if l.over {
		return false
	}
	l.taken = true
	return true
}

// end is the end of all reading.
func (l *lead) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over, l.taken = true, false
	for l.latest != nil {
		l.remove(l.latest)
	}
	l.freed.Broadcast()
}

func (l *lead) join(w *waiter) {
	w.standing, w.older = true, l.latest
	if l.latest != nil {
		l.latest.newer = w
	}
	l.latest = w
}

func (l *lead) remove(w *waiter) {
	if w.newer != nil {
		w.newer.older = w.older
	} else {
		l.latest = w.older
	}
	if w.older != nil {
		w.older.newer = w.newer
	}
	w.standing, w.older, w.newer = false, nil, nil
}
