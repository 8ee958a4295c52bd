package child

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/verdigris-go/verdigris/wire"
)

// twins are a handler's context and what package context makes for the same call.
type twins struct {
	lazy   *handlerContext
	real   context.Context
	cancel context.CancelCauseFunc
	kids   [][2]context.Context // derived from both in the same way
	stops  [][2]func() bool
	ran    [2]int // AfterFuncs
	mu     sync.Mutex
}

func newTwins(timeout time.Duration) *twins {
	t := &twins{lazy: &handlerContext{}}
	t.lazy.begin(wire.Call{Timeout: timeout}, nil)
	t.real, t.cancel = context.WithCancelCause(context.Background())
	if timeout > 0 {
		var stop context.CancelFunc
		t.real, stop = context.WithTimeout(t.real, timeout)
		cancel := t.cancel
		t.cancel = func(cause error) { cancel(cause); stop() }
	}
	return t
}

// pair is the n-th pair of contexts: they themselves, or what is derived from them.
func (w *twins) pair(n int) [2]context.Context {
	if n = n % (len(w.kids) + 1); n > 0 {
		return w.kids[n-1]
	}
	return [2]context.Context{w.lazy, w.real}
}

// apart keeps things from happening in the same instant, in an order that nobody knows.
const apart = 3 * time.Microsecond

var errTwin = errors.New("a cause")

// A step does the same to both.
var twinSteps = []func(w *twins, n int){
	func(w *twins, n int) { time.Sleep(time.Duration(n%5) * time.Millisecond) },
	func(w *twins, n int) {
		causes := []error{context.DeadlineExceeded, context.Canceled, errTwin, nil}
		w.lazy.cancel(causes[n%4])
		w.cancel(causes[n%4])
	},
	func(w *twins, n int) {
		if w.real.Err() != nil {
			_ = w.lazy.Err() // a deadline that passes unseen before the end has not passed
		}
		w.lazy.end()
		w.cancel(nil)
	},
	func(w *twins, n int) {
		p := w.pair(n)
		var cancels [2]context.CancelCauseFunc
		var kid [2]context.Context
		for i, parent := range p {
			kid[i], cancels[i] = context.WithCancelCause(parent)
		}
		w.kids = append(w.kids, kid)
		if n%3 == 0 {
			cancels[0](errTwin)
			cancels[1](errTwin)
		}
	},
	func(w *twins, n int) {
		p, d := w.pair(n), time.Now().Add(time.Duration(n%9-1)*time.Millisecond+time.Duration(len(w.kids)+2)*apart)
		var kid [2]context.Context
		for i, parent := range p {
			var stop context.CancelFunc
			kid[i], stop = context.WithDeadlineCause(parent, d, errTwin)
			time.AfterFunc(time.Hour, stop)
		}
		w.kids = append(w.kids, kid)
	},
	func(w *twins, n int) {
		p := w.pair(n)
		w.kids = append(w.kids, [2]context.Context{context.WithoutCancel(p[0]), context.WithoutCancel(p[1])})
	},
	func(w *twins, n int) {
		p := w.pair(n)
		w.kids = append(w.kids, [2]context.Context{context.WithValue(p[0], "k", n), context.WithValue(p[1], "k", n)}) //nolint:staticcheck // a key like a user's
	},
	func(w *twins, n int) {
		p := w.pair(n)
		var stops [2]func() bool
		for i, c := range p {
			stops[i] = context.AfterFunc(c, func() {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.ran[i]++
			})
		}
		w.stops = append(w.stops, stops)
	},
	func(w *twins, n int) {
		if len(w.stops) > 0 {
			s := w.stops[n%len(w.stops)]
			s[0]()
			s[1]()
		}
	},
}

// glance is what can be seen of a context.
func glance(c context.Context) string {
	d, has := c.Deadline()
	return fmt.Sprint(isClosed(c.Done()), c.Err(), context.Cause(c), d, has, c.Value("k"))
}

func (w *twins) compare(t *testing.T, done string) {
	t.Helper()
	for n := range len(w.kids) + 1 {
		p := w.pair(n)
		if a, b := glance(p[0]), glance(p[1]); a != b {
			t.Fatalf("after %s: context %d is %s, and package context's %s", done, n, a, b)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ran[0] != w.ran[1] {
		t.Fatalf("after %s: %d functions have run, and %d", done, w.ran[0], w.ran[1])
	}
}

// playTwins does what a script says, and compares after each step, or only at the end:
// to compare makes a real context of it.
func playTwins(t *testing.T, script []byte) {
	synctest.Test(t, func(t *testing.T) {
		var timeout time.Duration
		often := false
		if len(script) > 0 {
			timeout, often = time.Duration(script[0]%16)*time.Millisecond, script[0]&16 != 0
			script = script[1:]
		}
		if timeout > 0 {
			timeout += apart
		}
		w := newTwins(timeout)
		defer func() { w.lazy.end(); w.cancel(nil) }()
		done := fmt.Sprint("timeout ", timeout)
		for _, b := range script {
			step := int(b) % len(twinSteps)
			twinSteps[step](w, int(b)/len(twinSteps))
			done += fmt.Sprintf(" %d/%d", step, int(b)/len(twinSteps))
			if often {
				synctest.Wait()
				w.compare(t, done)
			}
		}
		synctest.Wait()
		w.compare(t, done)
		w.lazy.end()
		w.cancel(nil)
		synctest.Wait()
		w.compare(t, done+" end")
		time.Sleep(time.Second)
		w.compare(t, done+" end, and later")
	})
}

// A handler's context cannot be told from one of package context's.
func FuzzHandlerContext(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3})
	f.Add([]byte{21, 3, 7, 0, 9 + 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 60 {
			script = script[:60]
		}
		playTwins(t, script)
	})
}

func TestHandlerContext(t *testing.T) {
	for seed := range uint64(3000) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		script := make([]byte, 1+rnd.IntN(12))
		for i := range script {
			script[i] = byte(rnd.Uint32())
		}
		playTwins(t, script)
	}
}

// Whoever asks first what only a real context can tell: all see the same one.
func TestHandlerContextFromManyGoroutines(t *testing.T) {
	for n := range 300 {
		c := &handlerContext{}
		c.begin(wire.Call{Timeout: time.Hour}, nil)
		var all sync.WaitGroup
		dones := make([]<-chan struct{}, 8)
		for i := range dones {
			all.Go(func() {
				switch {
				case i == 0 && n%2 == 0:
					c.end()
				case i == 1 && n%3 == 0:
					c.cancel(errTwin)
				}
				dones[i] = c.Done()
				kid, stop := context.WithCancel(c)
				defer stop()
				_, _ = kid.Err(), context.Cause(c)
			})
		}
		all.Wait()
		c.end()
		for _, d := range dones {
			if d != dones[0] || !isClosed(d) {
				t.Fatal("not one context, or it has not ended")
			}
		}
	}
}

// Until somebody needs more, it is neither a timer nor a goroutine nor an object.
func TestHandlerContextCostsNothing(t *testing.T) {
	c := &handlerContext{}
	call := wire.Call{Timeout: time.Hour, Meta: map[string]string{metaKey: "k"}}
	if n := testing.AllocsPerRun(100, func() {
		*c = handlerContext{}
		c.begin(call, nil)
		if c.Err() != nil || Key(c) != "k" || Meta(c, "other") != "" {
			t.Error("not what has come along")
		}
		Report(c, Progress{})
		c.end()
	}); n != 0 {
		t.Errorf("%v objects", n)
	}
	if c.real.Load() != nil {
		t.Error("it has become a real one")
	}
	if err := c.Err(); err != context.Canceled {
		t.Error(err)
	}
}
