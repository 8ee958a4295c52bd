package pool

import (
	"log/slog"
	"sync"
	"time"
)

// maxUntold is how many events may wait to be told. Each may hold the crash report
// of a worker.
const maxUntold = 256

// teller tells events to whoever wants them, one after the other and in order, in a
// goroutine that exists only while there is something to tell. Nobody ever waits for
// it: what finds no room is dropped and counted.
type teller struct {
	pool   string
	handle func(Event)
	log    *slog.Logger // for what goes wrong in handle

	mu     sync.Mutex
	queue  []Event
	missed uint64        // dropped since the last that found room
	quiet  chan struct{} // closed when all has been told; nil: it has
}

func newTeller(cfg *Config) *teller {
	t := &teller{pool: cfg.Name, handle: cfg.Events, log: or(cfg.Worker.Logger, slog.Default())}
	if t.handle == nil {
		t.handle = LogEvents(t.log)
	}
	return t
}

// head begins an event.
func (t *teller) head(now time.Time) Head { return Head{now, t.pool} }

// tell puts an event in the queue. It may be called under any lock.
func (t *teller) tell(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) >= maxUntold {
		t.missed++
		return
	}
	t.confess(e.When())
	t.queue = append(t.queue, e)
	if t.quiet == nil {
		t.quiet = make(chan struct{})
		go t.run()
	}
}

// confess queues how many events were dropped; t.mu is held.
func (t *teller) confess(now time.Time) {
	if t.missed > 0 {
		t.queue = append(t.queue, EventMissed{Head{now, t.pool}, t.missed})
		t.missed = 0
	}
}

func (t *teller) run() {
	over := false
	defer func() {
		if !over { // somebody has called runtime.Goexit
			go t.run()
		}
	}()
	for e := t.next(); e != nil; e = t.next() {
		if v := panicOf(func() { t.handle(e) }); v != nil {
			_ = panicOf(func() {
				t.log.Error("Config.Events of a pool has panicked", "pool", t.pool, "panic", v, "event", e.String())
			})
		}
	}
	over = true
}

func panicOf(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

// next takes the next event out of the queue; nil: there is none.
func (t *teller) next() Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		t.confess(time.Now())
	}
	if len(t.queue) == 0 {
		close(t.quiet)
		t.queue, t.quiet = nil, nil
		return nil
	}
	e := t.queue[0]
	t.queue[0], t.queue = nil, t.queue[1:]
	return e
}

// wait waits until all has been told, no longer than limit.
func (t *teller) wait(limit time.Duration) {
	t.mu.Lock()
	quiet := t.quiet
	t.mu.Unlock()
	if quiet == nil {
		return
	}
	patience := time.NewTimer(limit)
	defer patience.Stop()
	select {
	case <-quiet:
	case <-patience.C:
	}
}
