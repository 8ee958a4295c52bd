package child

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/verdigris-go/verdigris/wire"
)

// calls are the calls of one run: those on their way, by their ids. Ids rise in
// the order in which the calls were sent, which is the order in which the
// worker starts them; no id is used twice, so that a late answer finds nobody.
type calls struct {
	window chan struct{} // a token for each call that is sent and not settled
	over   chan struct{} // closed when no call is taken any more

	mu     sync.Mutex
	last   uint64 // highest id given out
	closed bool
	open   map[uint64]*call

	count  atomic.Int64 // of open; written with mu held, as is
	lonely atomic.Int64 // how many of them have callers that do not read: who have left, or take what comes before the answer

	served atomic.Uint64 // calls answered, by a value or an error
	stale  atomic.Uint64 // of them, those whose caller had gone
}

// call is one call that has been sent.
type call struct {
	id      uint64
	info    CallInfo
	freight *freight                   // Blobs; nil if there can be none
	sent    *[]byte                    // a copy of the frame, if Config.Replay wants it
	loan    *loan                      // the part of the frame that lies in the caller's memory, until it has left; may be nil
	feed    *feed                      // what comes before the answer; nil if nothing may
	told    func(error)                // of its end; may be nil
	left    bool                       // its caller has gone; it stays as it is when the call is not open any more
	alarm   atomic.Pointer[time.Timer] // when to look at the call, if its caller has gone; may be nil
	body    *[]byte                    // the encoded answer; from buffers, if it is small
	err     error
	waiter  // its caller; when it is settled, body and err are final
}

// errOver is the internal word for: this run takes no more calls, try the next.
var errOver = errors.New("the run is over")

func newCalls(window int) *calls {
	return &calls{window: make(chan struct{}, window), over: make(chan struct{}), open: map[uint64]*call{}}
}

// enter waits for room in the window.
func (c *calls) enter(ctx context.Context) error {
	select {
	case c.window <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.window <- struct{}{}:
		return nil
	case <-c.over:
		return errOver
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// leave gives the room back.
func (c *calls) leave() { <-c.window }

// send gives the call its id and enqueues its frame, in one step, so that ids
// rise in the order of the frames. It reports whether others are on their way.
func (c *calls) send(k *call, frame []byte, t *transport) (crowd, reusable bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false, true, errOver
	}
	c.last++
	k.id = c.last
	wire.SetID(frame, k.id)
	if err := k.freight.post(k.id); err != nil {
		return false, true, errOver
	}
	reusable, err = t.Enqueue(frame, k.loan)
	if err != nil {
		return false, false, errOver // nothing of it was written
	}
	c.put(k)
	return len(c.open) > 1, reusable, nil
}

// take removes a call from the table: whoever gets it settles it, or puts it back.
// Nobody else who has not taken it may touch a call that is not his own: its memory
// may be that of another by then.
func (c *calls) take(id uint64) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.open[id]
	if k != nil {
		c.remove(k)
	}
	return k
}

func (c *calls) putBack(k *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(k)
}

func (c *calls) put(k *call) {
	c.open[k.id] = k
	c.count.Add(1)
	if k.lonely() {
		c.lonely.Add(1)
	}
}

func (c *calls) remove(k *call) {
	delete(c.open, k.id)
	c.count.Add(-1)
	if k.lonely() {
		c.lonely.Add(-1)
	}
}

// lonely reports whether the call's caller does not read.
func (k *call) lonely() bool { return k.feed != nil || k.left }

// abandon notes that the call's caller has gone, unless the answer was faster.
func (c *calls) abandon(k *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[k.id] != k || k.left {
		return false
	}
	if !k.lonely() {
		c.lonely.Add(1)
	}
	k.left = true
	return true
}

// traffic counts the calls on their way, and those of them whose callers do not read.
func (c *calls) traffic() (open, lonely int64) { return c.count.Load(), c.lonely.Load() }

// settle ends a call that was taken.
func (c *calls) settle(k *call, err error) {
	k.err = err
	k.freight.unload()
	c.leave()
	if k.told != nil {
		k.told(err)
	}
	feed, left := k.feed, k.left
	k.waiter.end() // from here on a call without these two is its caller's alone
	if feed != nil {
		close(feed.end)
	}
	if left {
		k.silence()
	}
}

// awaken sets the alarm. One that is of no use any more must not hold all that the
// call has held until it goes off.
func (k *call) awaken(alarm *time.Timer) {
	k.alarm.Store(alarm)
	if k.settled() {
		k.silence()
	}
}

func (k *call) silence() {
	if t := k.alarm.Load(); t != nil {
		t.Stop()
	}
}

// pooled are calls that have been answered, for reuse.
var pooled = sync.Pool{New: func() any { return &call{waiter: newWaiter()} }}

func newCall() *call { return pooled.Get().(*call) }

// forget gives the call's memory back. It is settled, and its caller is the last who
// knows it: that of a call with a feed, or one whose caller has left, is not known.
func (k *call) forget() {
	*k = call{waiter: waiter{wake: k.wake}}
	pooled.Put(k)
}

// has reports whether the call has not been settled yet.
func (c *calls) has(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open[id] != nil
}

// glimpse is what does not change about a call that has been sent.
type glimpse struct {
	open    bool
	info    CallInfo
	feed    *feed
	loan    *loan
	freight *freight
}

// peek looks at a call that stays in the table.
func (c *calls) peek(id uint64) glimpse {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.open[id]
	if k == nil {
		return glimpse{}
	}
	return glimpse{true, k.info, k.feed, k.loan, k.freight}
}

// room reports whether fewer calls run than may run, in a run that still takes
// calls; started is the id of the last one that the worker has begun with.
func (c *calls) room(started uint64, concurrency int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	running := 0
	for id := range c.open {
		if id <= started {
			running++
		}
	}
	return !c.closed && running < concurrency
}

// close refuses calls from now on.
func (c *calls) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		close(c.over)
	}
}

// takeAll removes all calls that are wanted, in the order in which they were sent.
func (c *calls) takeAll(wanted func(*call) bool) []*call {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*call, 0, len(c.open))
	for _, k := range c.open {
		if wanted(k) {
			all = append(all, k)
			c.remove(k)
		}
	}
	slices.SortFunc(all, func(a, b *call) int { return int(a.id) - int(b.id) })
	return all
}

// inFlight counts the calls that are sent and not answered.
func (c *calls) inFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}
