package pool

import (
	"context"
	"iter"
	"runtime"
	"sync"

	"github.com/verdigris-go/verdigris/child"
)

// mapping is one loop over a Map. The loop's goroutine takes results, one
// goroutine runs the sequence and starts a goroutine for each call. They meet under
// one lock.
type mapping[In, Out any] struct {
	caller child.Caller
	fn     child.Func[In, Out]
	how    MapConfig
	user   context.Context // of whoever ranges
	ctx    context.Context // of the calls
	cancel context.CancelFunc
	live   sync.WaitGroup // all goroutines
	unhook func() bool    // from the user's context

	mu      sync.Mutex
	room    *sync.Cond         // there may be room for another call
	news    *sync.Cond         // there may be a result
	taken   int                // inputs
	running int                // calls on their way
	held    int                // inputs taken and not yielded
	line    []*mapped[In, Out] // results to come, in the order in which they are yielded
	fed     bool               // the sequence has come to its end by itself
	short   bool               // a call has lost its answer because the user's context ended
	over    bool               // no more inputs are taken
	told    bool               // the loop has been told that it was cut off
	broken  func()             // goes on with a panic, or Goexit, of another goroutine
}

// mapped is one input on its way.
type mapped[In, Out any] struct {
	index int
	in    In
	out   Out
	err   error
	done  bool
}

func newMapping[In, Out any](ctx context.Context, c child.Caller, fn child.Func[In, Out], how MapConfig) *mapping[In, Out] {
	m := &mapping[In, Out]{caller: c, fn: fn, how: how, user: ctx}
	m.room, m.news = sync.NewCond(&m.mu), sync.NewCond(&m.mu)
	m.ctx, m.cancel = context.WithCancel(context.WithValue(ctx, patience{}, true))
	m.live.Add(1)
	m.unhook = context.AfterFunc(ctx, func() {
		defer m.live.Done()
		m.mu.Lock()
		defer m.mu.Unlock()
		m.stop()
	})
	return m
}

// stop lets no more inputs be taken; m.mu is held.
func (m *mapping[In, Out]) stop() {
	m.over = true
	m.room.Broadcast()
	m.news.Broadcast()
}

// leave ends everything, waits for it, and goes on with what went wrong elsewhere.
func (m *mapping[In, Out]) leave() {
	m.mu.Lock()
	m.stop()
	m.mu.Unlock()
	m.cancel()
	if m.unhook() {
		m.live.Done()
	}
	m.live.Wait()
	if m.broken != nil {
		m.broken()
	}
}

// spawn runs f in a goroutine. If f does not return, neither does the loop.
func (m *mapping[In, Out]) spawn(f func()) {
	m.live.Go(func() {
		returned := false
		defer func() {
			if v := recover(); !returned {
				m.fail(v)
			}
		}()
		f()
		returned = true
	})
}

// fail notes how a goroutine has ended: by a panic, or by Goexit.
func (m *mapping[In, Out]) fail(v any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = runtime.Goexit
	if v != nil {
		m.broken = func() { panic(v) }
	}
	m.stop()
}

// feed takes the inputs.
func (m *mapping[In, Out]) feed(inputs iter.Seq[In]) {
	whole := m.await()
	if whole {
		for in := range inputs {
			if whole = m.begin(in) && m.await(); !whole {
				break
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fed = whole && m.user.Err() == nil // else the sequence may have ended because of that
	m.stop()
}

// await waits until there is room for another call, and reports whether there will be one.
func (m *mapping[In, Out]) await() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for !m.over && m.user.Err() == nil {
		width, window := m.limits()
		if m.running < width && m.held < window {
			return true
		}
		m.room.Wait()
	}
	return false
}

// limits are Width and Window as they are at present.
func (m *mapping[In, Out]) limits() (width, window int) {
	width = m.how.Width
	if width == 0 {
		width = widthOf(m.caller)
	}
	return width, or(m.how.Window, windowPerWidth*width)
}

func widthOf(c child.Caller) int {
	if c, ok := c.(interface{ Width() int }); ok {
		return max(c.Width(), 1)
	}
	return runtime.GOMAXPROCS(0)
}

// begin starts the call for an input, unless it is too late.
func (m *mapping[In, Out]) begin(in In) bool {
	ctx := m.ctx
	if m.how.Key != nil {
		if key := m.how.Key(in); key != "" {
			ctx = child.WithKey(ctx, key)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over || m.user.Err() != nil {
		return false
	}
	r := &mapped[In, Out]{index: m.taken, in: in}
	m.taken++
	m.running++
	m.held++
	if !m.how.AsCompleted {
		m.line = append(m.line, r)
	}
	m.spawn(func() {
		r.out, r.err = m.fn.Call(ctx, m.caller, r.in)
		m.end(r)
	})
	return true
}

// end takes the result of a call.
func (m *mapping[In, Out]) end(r *mapped[In, Out]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.err != nil {
		m.short = m.short || isCutOff(m.user, r.err)
		r.err = &MapError{Index: r.index, Input: r.in, Err: r.err}
	}
	var none In
	r.in, r.done = none, true // only an error tells it
	m.running--
	if m.how.AsCompleted {
		m.line = append(m.line, r)
	}
	m.room.Signal()
	m.news.Signal()
}

// next waits for the next result; false: there is none any more.
func (m *mapping[In, Out]) next() (*mapped[In, Out], bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.broken == nil {
		switch {
		case len(m.line) > 0 && m.line[0].done:
			r := m.line[0]
			m.line[0] = nil
			m.line = m.line[1:]
			m.held--
			m.room.Signal()
			return r, true
		case m.over && m.held == 0:
			return m.cutOff()
		}
		m.news.Wait()
	}
	return nil, false
}

// cutOff is the last result, if the user's context has cost any; m.mu is held.
func (m *mapping[In, Out]) cutOff() (*mapped[In, Out], bool) {
	if m.told || m.fed && !m.short {
		return nil, false
	}
	m.told = true
	return &mapped[In, Out]{err: &CutOffError{Taken: m.taken, Err: context.Cause(m.user), ended: m.user.Err()}}, true
}
