package child

import "time"

// missedBeats is for how many periods in a row there may be no answer.
const missedBeats = 3

// verdict is what a tick of the heartbeat has found.
type verdict uint8

const (
	alive verdict = iota // or not known yet: ask again
	busy                 // it works: nothing to ask
	hung
)

// heartbeat judges whether a worker still runs. Once a period it is asked by a
// ping, numbered from 1, so that it has something to say; whatever comes on the
// control channel is a sign of life, because a pong may stand behind a flood of
// log records. A worker that has been seen at work since the last tick need not be
// asked. It only counts: the timer, the pings and the kill are the run's.
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
	open     bool      // it was sent at the last tick: there was something to answer
	heard    uint64    // signs of life up to the last tick
	missed   int       // ticks in a row that found no further one
	worked   uint64    // what was seen of its work up to the last tick
	extended bool      // the last tick was late and did not count
}

func newHeartbeat(period time.Duration, now time.Time) heartbeat {
	return heartbeat{period: period, due: now.Add(period)}
}

// tick is called when a period is over. heard changes with each sign of life, worked
// with those that can only have been made since: what stands in memory that both
// share is not read late, as what is in a pipe may be. After alive, ping h.asked is to
// be sent; after busy, none.
func (h *heartbeat) tick(now time.Time, heard, worked uint64) verdict {
	late := now.Sub(h.due) > h.period
	atWork := worked != h.worked
	switch {
	case !h.open, heard != h.heard, atWork:
		h.missed = 0
	case !late || h.extended:
		h.missed++
	}
	if h.missed >= missedBeats {
		return hung
	}
	h.due, h.heard, h.worked, h.extended = h.next(now), heard, worked, late
	if h.open = !atWork; atWork {
		return busy
	}
	h.asked++
	return alive
}

// next is when the tick after this one is due: a period after this one was, so that
// those who tick together go on to do so, or after it came, if it was late.
func (h *heartbeat) next(now time.Time) time.Time {
	if late := now.Sub(h.due); late < h.period/slots && late >= 0 {
		return h.due.Add(h.period)
	}
	return now.Add(h.period)
}

// slots is at how many moments of a period the ticks of all workers with that period
// come. One wake-up of this process then serves many of them; and not all workers of
// it wake up at once.
const slots = 8

// began is where the slots are counted from.
var began = time.Now()

// slot is when a heartbeat that begins now ticks first: at most a period later.
func slot(period time.Duration, now time.Time) time.Time {
	return now.Add(period - now.Sub(began)%(period/slots))
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
	now := time.Now()
	p := &pulse{heartbeat: newHeartbeat(period, now)}
	p.due = slot(period, now)
	p.timer = time.NewTimer(p.due.Sub(now))
	p.C = p.timer.C
	return p
}

// tick judges, and sets the timer for the next one, if there is to be one.
func (p *pulse) tick(heard, worked uint64) verdict {
	now := time.Now()
	v := p.heartbeat.tick(now, heard, worked)
	if v != hung {
		p.timer.Reset(p.due.Sub(now))
	}
	return v
}

func (p *pulse) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
