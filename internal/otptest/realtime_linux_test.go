package otptest

import (
	"strings"
	"time"

	"github.com/thejerf/suture/v4"
)

// realTime waits for silence, as whoever cannot look inside has to.
type realTime struct {
	make func(script) suture.Service
}

const (
	silence  = 30 * time.Millisecond  // after the last event
	overdue  = 10 * time.Second       // an event that is expected and does not come
	reticent = 250 * time.Millisecond // a supervisor that may be busy does not answer
)

func (r realTime) worker(s script) suture.Service { return r.make(s) }

func (realTime) pause() { time.Sleep(time.Millisecond) }

func (realTime) patience() time.Duration { return 3 * overdue }

func (r realTime) settle(w *world, events int) (state map[string]any) {
	seen, last := -1, time.Now()
	for {
		if n := w.eventCount(); n != seen {
			seen, last = n, time.Now()
		}
		quiet := time.Since(last)
		switch {
		case !w.isMoving() && quiet >= silence && (seen >= events || quiet > overdue):
			state = w.observe(w.patient)
			if w.eventCount() == seen && !w.isMoving() {
				return state
			}
		case quiet > r.patience():
			w.t.Errorf("it does not become quiet")
			return state
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// patient cancels a question to a supervisor that does not answer in time, which is soon for one that may be busy.
func (w *world) patient(path string, cancel func()) {
	limit := overdue
	if w.blockedBelow(path) {
		limit = reticent
	}
	time.AfterFunc(limit, cancel)
}

// blockedBelow reports whether something below waits for outside help.
func (w *world) blockedBelow(path string) (yes bool) {
	w.locked(func() {
		for child := range w.blocked {
			yes = yes || strings.HasPrefix(child, path+"/")
		}
	})
	return yes
}

func (w *world) eventCount() (n int) {
	w.locked(func() { n = len(w.events) })
	return n
}
