package output

import (
	"sync"
	"time"
)

// maxQueued bounds the lines that wait, in bytes; each line costs its length
// and something for its keeping. It must hold a burst of lines, such as the
// trace of a crash.
const (
	maxQueued = 256 << 10
	lineCost  = 64
)

// reportAfter is how long losses are gathered before they are reported.
const reportAfter = time.Second

// queue stands between the reading goroutine, which must never wait, and the
// goroutine that calls Line, which may.
type queue struct {
	limit *limiter // used by put only

	mu      sync.Mutex
	waiting []queued
	cost    int
	dropped uint64
	closed  bool
	wake    chan struct{} // one token: something has changed
}

type queued struct {
	text      []byte
	truncated bool
}

func newQueue(limit *limiter) *queue {
	return &queue{limit: limit, wake: make(chan struct{}, 1)}
}

// put copies a line into the queue, or counts it as dropped. It never waits.
func (q *queue) put(line []byte, truncated bool) {
	allowed := q.limit.allow(time.Now())
	q.mu.Lock()
	defer q.mu.Unlock()
	if !allowed || q.cost+len(line)+lineCost > maxQueued {
		q.dropped++
		if q.dropped > 1 {
			return // the other side knows
		}
	} else {
		q.cost += len(line) + lineCost
		q.waiting = append(q.waiting, queued{append([]byte(nil), line...), truncated})
	}
	q.signal()
}

// close says that no line will follow.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// deliver calls Line and Dropped until the queue is closed and empty.
func (q *queue) deliver(o Options) {
	var report <-chan time.Time // set while losses wait to be reported
	for {
		select {
		case <-q.wake:
		case <-report:
			report = nil
			q.report(o)
		}
		lines, dropped, closed := q.take()
		for _, l := range lines {
			o.Line(clean(l.text), l.truncated)
		}
		if closed {
			q.report(o)
			return
		}
		if dropped && report == nil {
			report = time.After(reportAfter)
		}
	}
}

// take empties the queue.
func (q *queue) take() (lines []queued, dropped, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines, q.waiting, q.cost = q.waiting, nil, 0
	return lines, q.dropped > 0, q.closed
}

func (q *queue) report(o Options) {
	q.mu.Lock()
	n := q.dropped
	q.dropped = 0
	q.mu.Unlock()
	if n > 0 && o.Dropped != nil {
		o.Dropped(n)
	}
}

// limiter is a token bucket. It belongs to one goroutine.
type limiter struct {
	rate   float64 // tokens per second; negative means no limit
	burst  float64
	tokens float64
	last   time.Time
}

func newLimiter(perSecond, burst int) *limiter {
	return &limiter{rate: float64(perSecond), burst: float64(burst), tokens: float64(burst)}
}

// allow takes a token, if there is one.
func (l *limiter) allow(now time.Time) bool {
	if l.rate < 0 {
		return true
	}
	if !l.last.IsZero() {
		l.tokens = min(l.burst, l.tokens+l.rate*now.Sub(l.last).Seconds())
	}
	l.last = now
	if l.tokens < 1 {
		return false
	}
	l.tokens--
	return true
}
