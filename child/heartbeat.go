package child

import "time"

// missedBeats is for how many periods in a row there may be no answer.
const missedBeats = 3

// verdict is what a tick of the heartbeat has found.
type verdict uint8

const (
	alive verdict = iota // or not known yet: ask again
	hung
)

// heartbeat judges whether a worker still runs. Once a period it is asked by a
// ping, numbered from 1, so that it has something to say; whatever comes on the
// control channel is a sign of life, because a pong may stand behind a flood of
// log records. It only counts: the timer, the pings and the kill are the run's.
//
// A tick that is late by more than a period shows that this process did not run
// itself: it was stopped, or starved. The answers may be here, unread. Such a
// tick does not count against the worker, unless the one before was late too.
// Times are monotonic, and Linux's monotonic clock stands still while a machine
// is suspended.
type heartbeat struct {
	period   time.Duration
	due      time.Time // when the next tick is to come
	asked    uint64    // the last ping
	heard    uint64    // signs of life up to the last tick
	missed   int       // ticks in a row that found no further one
	extended bool      // the last tick was late and did not count
}

func newHeartbeat(period time.Duration, now time.Time) heartbeat {
	return heartbeat{period: period, due: now.Add(period)}
}

// tick is called when a period is over; heard counts the signs of life so far.
// After alive, ping h.asked is to be sent.
func (h *heartbeat) tick(now time.Time, heard uint64) verdict {
	late := now.Sub(h.due) > h.period
	switch {
	case h.asked == 0, heard != h.heard:
		h.missed = 0
	case !late || h.extended:
		h.missed++
	}
	if h.missed >= missedBeats {
		return hung
	}
	h.due, h.heard, h.extended = now.Add(h.period), heard, late
	h.asked++
	return alive
}

// pulse is a heartbeat with its timer. Without one, C never fires.
type pulse struct {
	heartbeat
	C     <-chan time.Time
	timer *time.Timer
}

func newPulse(period time.Duration) *pulse {
	if period == NoHeartbeat {
		return &pulse{}
	}
	timer := time.NewTimer(period)
	return &pulse{newHeartbeat(period, time.Now()), timer.C, timer}
}

// tick judges, and sets the timer for the next one.
func (p *pulse) tick(heard uint64) verdict {
	v := p.heartbeat.tick(time.Now(), heard)
	p.timer.Reset(p.period)
	return v
}

func (p *pulse) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
