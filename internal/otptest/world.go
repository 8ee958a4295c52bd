package otptest

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/tree"
)

// world is one scenario being played: the scripted services, and what has been seen of them.
type world struct {
	t       *testing.T
	stage   stage
	root    *supervisor
	cancel  context.CancelFunc
	rootEnd chan struct{}       // closed when the root is gone
	scratch *tree.Supervisor    // has a child that is nobody's here
	over    chan struct{}       // closed when the scenario has failed: everything is to end
	refs    map[string]chan any // of async steps
	state   map[string]any      // as last observed

	mu       sync.Mutex
	events   []string
	lives    []life                   // all that have begun
	attempts map[string]int           // starts of a path so far
	up       map[string]int           // the attempt of a path that came up last
	alias    map[string]string        // the tree's path -> the scenario's
	gates    map[string]chan string   // who waits for a release
	blocked  map[string]bool          // who waits for help from outside
	bodies   map[string]*body         // running workers
	sups     map[string]*supervisor   // running supervisors
	moving   int                      // what will go on without help
	holds    map[string]chan struct{} // supervisors that do nothing until it is closed
}

// life is one attempt to start something.
type life struct {
	run  tree.Run
	path string
	n    int
}

func (l life) String() string { return fmt.Sprintf("%s#%d", l.path, l.n) }

func newWorld(t *testing.T, s stage) *world {
	return &world{
		t: t, stage: s, over: make(chan struct{}), refs: map[string]chan any{}, state: map[string]any{},
		attempts: map[string]int{}, up: map[string]int{}, alias: map[string]string{}, gates: map[string]chan string{},
		blocked: map[string]bool{}, bodies: map[string]*body{}, sups: map[string]*supervisor{}, holds: map[string]chan struct{}{},
	}
}

// locked runs a function under the lock.
func (w *world) locked(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) record(format string, args ...any) {
	w.locked(func() { w.note(format, args...) })
}

// note is record for those who have the lock.
func (w *world) note(format string, args ...any) {
	w.events = append(w.events, fmt.Sprintf(format, args...))
}

func (w *world) takeEvents() (events []string) {
	w.locked(func() { events, w.events = w.events, nil })
	return events
}

// running returns a copy of the running supervisors.
func (w *world) running() (sups map[string]*supervisor) {
	w.locked(func() { sups = maps.Clone(w.sups) })
	return sups
}

// move counts something that goes on by itself until the returned function is called.
func (w *world) move() func() {
	w.locked(func() { w.moving++ })
	return sync.OnceFunc(func() { w.locked(func() { w.moving-- }) })
}

func (w *world) isMoving() (yes bool) {
	w.locked(func() { yes = w.moving > 0 })
	return yes
}

// block notes that something waits for help from outside until the returned function is called.
func (w *world) block(path string) func() {
	w.locked(func() { w.blocked[path] = true })
	return func() { w.locked(func() { delete(w.blocked, path) }) }
}

// begin counts an attempt to start.
func (w *world) begin(ctx context.Context, path string) (l life) {
	run, where := tree.RunOf(ctx), tree.Path(ctx)
	w.locked(func() {
		w.attempts[path]++
		l = life{run, path, w.attempts[path]}
		w.lives = append(w.lives, l)
		if where != "" {
			w.alias[where] = path
		}
	})
	return l
}

// lifeOf finds the life to which a handle belongs.
func (w *world) lifeOf(r tree.Run) (found life) {
	w.locked(func() {
		for _, l := range w.lives {
			if l.run.Same(r) {
				found = l
			}
		}
	})
	return found
}

// handle returns the handle of attempt n of a path; 0: of the one that came up last.
func (w *world) handle(path string, n int) (r tree.Run) {
	w.locked(func() {
		if n == 0 {
			n = w.up[path]
		}
		for _, l := range w.lives {
			if l.path == path && l.n == n {
				r = l.run
			}
		}
	})
	return r
}

// known returns the scenario's name for a path of the tree; w.mu is held.
func (w *world) known(path string) string { return first(w.alias[path], path) }

// onEvent records what only the supervisor knows. It tells of everything it does, so it can be held here.
func (w *world) onEvent(e tree.Event) {
	var hold chan struct{}
	w.locked(func() { hold = w.holds[w.known(ownerOf(e))] })
	if hold != nil {
		<-hold
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	path := w.known(e.Path)
	who := life{path: path, n: w.up[path]}
	switch e.Kind {
	case tree.EventGaveUp:
		w.note("gave_up %v", who)
	case tree.EventAutoShutdown:
		w.note("auto_shutdown %v", who)
	case tree.EventStopping:
		w.note("stop_asked %v shutdown", who)
		w.ask(path)
	case tree.EventKilling:
		if b := w.bodies[path]; b != nil && !isClosed(b.asked) {
			w.note("stop_asked %v kill", who)
		}
	}
}

// ask notes that something is being asked to stop; w.mu is held.
func (w *world) ask(path string) {
	if b := w.bodies[path]; b != nil {
		close(b.asked)
	}
	if s := w.sups[path]; s != nil {
		s.asked = true
	}
}

// ownerOf returns the path of the supervisor that tells of an event.
func ownerOf(e tree.Event) string {
	if e.Kind >= tree.EventUp {
		return e.Path
	}
	return parent(e.Path)
}

func parent(path string) string { return path[:strings.LastIndex(path, "/")] }

func base(path string) string { return path[strings.LastIndex(path, "/")+1:] }

// service makes the scripted service of a child.
func (w *world) service(c *Child, path string) suture.Service {
	if c.Tree != nil {
		return w.supervisor(c.Tree, script{w, path, c.Behaviour, false})
	}
	return w.stage.worker(script{w, path, c.Behaviour, c.limited()})
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
