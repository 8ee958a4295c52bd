package pool

import (
	"container/list"
	"time"
)

// claim is what the roster knows of a call that wants a worker.
type claim struct {
	hash     uint64    // of its key
	keyed    bool      // it has a key, and calls are chosen by key
	inside   bool      // it comes from a call that the pool runs: it must not wait
	deadline time.Time // after which it must not be sent; zero: none
	since    time.Time // when it came into the queue; zero: it has not been there
	turn     uint64    // its place among all that have waited, in the order of arrival
	patient  bool      // no limit of the queue is for it, nor does it count for others
}

// dead reports whether it is too late to begin with the call.
func (c *claim) dead(now time.Time) bool { return !c.deadline.IsZero() && !now.Before(c.deadline) }

// waiter is a claim in the queue.
type waiter struct {
	claim
	got  chan verdict // takes one
	line *line        // it stands in; nil when it has its verdict
	at   *list.Element
}

func newWaiter(c claim) *waiter { return &waiter{claim: c, got: make(chan verdict, 1)} }

// verdict is how the time in the queue ends.
type verdict struct {
	place
	end ending
}

type ending uint8

const (
	placed  ending = iota // the call has a worker's place
	expired               // its deadline has passed
	sent                  // away: nobody serves the pool any more
)

// line is a queue of waiters in the order of arrival.
type line struct{ list.List }

// join puts a waiter at its place: at the end, unless it has waited before.
func (l *line) join(w *waiter) {
	w.line = l
	for e := l.Back(); e != nil; e = e.Prev() {
		if e.Value.(*waiter).turn <= w.turn {
			w.at = l.InsertAfter(w, e)
			return
		}
	}
	w.at = l.PushFront(w)
}

func (w *waiter) leave() {
	w.line.Remove(w.at)
	w.line, w.at = nil, nil
}

func (l *line) first() *waiter {
	if e := l.Front(); e != nil {
		return e.Value.(*waiter)
	}
	return nil
}

// all lists the waiters, the oldest first.
func (l *line) all() []*waiter {
	list := make([]*waiter, 0, l.Len())
	for e := l.Front(); e != nil; e = e.Next() {
		list = append(list, e.Value.(*waiter))
	}
	return list
}
