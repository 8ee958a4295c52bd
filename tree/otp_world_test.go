package tree

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thejerf/suture/v4"
)

// world is one scenario being played: the scripted services, and what has been seen of them.
type world struct {
	t       *testing.T
	root    *scriptedTree
	cancel  context.CancelFunc
	rootEnd chan struct{} // closed when the root is gone
	scratch *Supervisor   // has a child that is nobody's here
	over    chan struct{} // closed when the scenario has failed: everything is to end

	mu       sync.Mutex
	events   []string
	attempts map[string]int           // starts of a path so far
	started  map[string]int           // the attempt of a path that came up last
	alias    map[string]string        // the tree's path -> the scenario's
	gates    map[string]chan string   // who waits for a release
	bodies   map[string]*body         // running workers
	sups     map[string]*scriptedTree // running supervisors
	handles  map[string]*run          // "path#n" -> run
	ns       map[*run]int             // run -> n
	moving   int                      // delays that will end without help
	refs     map[string]chan any      // of async steps
	holds    map[string]chan struct{} // supervisors, by the tree's path, that do nothing until it is closed
	state    map[string]any           // as last observed
}

func newWorld(t *testing.T) *world {
	return &world{t: t, over: make(chan struct{}), attempts: map[string]int{}, started: map[string]int{}, alias: map[string]string{},
		gates: map[string]chan string{}, bodies: map[string]*body{}, sups: map[string]*scriptedTree{},
		handles: map[string]*run{}, ns: map[*run]int{}, refs: map[string]chan any{}, holds: map[string]chan struct{}{}, state: map[string]any{}}
}

// locked runs a function under the lock.
func (w *world) locked(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) record(format string, args ...any) {
	w.locked(func() { w.events = append(w.events, fmt.Sprintf(format, args...)) })
}

func (w *world) takeEvents() (events []string) {
	w.locked(func() { events, w.events = w.events, nil })
	return events
}

// quiet waits until nothing moves any more without outside help.
func (w *world) quiet() {
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(time.Millisecond) {
		synctest.Wait()
		moving := 0
		w.locked(func() { moving = w.moving })
		if moving == 0 {
			return
		}
	}
	w.t.Error("no quiet within a minute of fake time")
}

// move counts something that goes on by itself until the returned function is called.
func (w *world) move() func() {
	w.locked(func() { w.moving++ })
	return func() { w.locked(func() { w.moving-- }) }
}

// onEvent records what only the supervisor knows. It tells of everything it does, so it can be held here.
func (w *world) onEvent(e Event) {
	var hold chan struct{}
	w.locked(func() { hold = w.holds[ownerOf(e)] })
	if hold != nil {
		<-hold
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	path, ok := w.alias[e.Path]
	if !ok {
		path = e.Path
	}
	p := pathOf(path, w.started[path])
	b := w.bodies[path]
	switch e.Kind {
	case EventGaveUp:
		w.events = append(w.events, "gave_up "+p)
	case EventAutoShutdown:
		w.events = append(w.events, "auto_shutdown "+p)
	case EventStopping:
		w.events = append(w.events, "stop_asked "+p+" shutdown")
		if b != nil {
			close(b.asked)
		}
		if s := w.sups[path]; s != nil {
			s.asked = true
		}
	case EventKilling:
		if b != nil && !isClosed(b.asked) {
			w.events = append(w.events, "stop_asked "+p+" kill")
		}
	}
}

// ownerOf returns the path of the supervisor that tells of an event.
func ownerOf(e Event) string {
	if e.Kind >= EventUp {
		return e.Path
	}
	return e.Path[:strings.LastIndex(e.Path, "/")]
}

// begin counts an attempt to start.
func (w *world) begin(ctx context.Context, path string) (n int) {
	w.locked(func() {
		w.attempts[path]++
		n = w.attempts[path]
		if r := runOf(ctx); r != nil {
			w.alias[r.path()] = path
			w.handles[pathOf(path, n)] = r
			w.ns[r] = n
		}
	})
	return n
}

// pick returns the entry for attempt n: the last one is for all further attempts.
func pick(list []json.RawMessage, n int, def string) string {
	if len(list) == 0 {
		return def
	}
	return string(list[min(n, len(list))-1])
}

var errStart = errors.New("start_error")

// outcome plays the start function: "ok", "error", "crash" or "ignore".
func (w *world) outcome(b *behaviour, path string, n int) string {
	text := pick(b.Start, n, `"ok"`)
	for {
		var delay struct {
			MS   int             `json:"delay_ms"`
			Then json.RawMessage `json:"then"`
		}
		switch {
		case text == `"gate"`:
			text = fmt.Sprintf("%q", w.gate(path, func() { w.events = append(w.events, "start_blocked "+pathOf(path, n)) }))
		case json.Unmarshal([]byte(text), &delay) == nil:
			done := w.move()
			time.Sleep(time.Duration(delay.MS) * time.Millisecond)
			done()
			if text = string(delay.Then); text == "" {
				text = `"ok"`
			}
		default:
			return strings.Trim(text, `"`)
		}
	}
}

// gate waits for a release and returns its result.
func (w *world) gate(path string, before func()) string {
	c := make(chan string)
	w.locked(func() {
		w.gates[path] = c
		before()
	})
	select {
	case result := <-c:
		w.locked(func() { delete(w.gates, path) })
		return result
	case <-w.over:
		return "error"
	}
}

// service makes the scripted service of a child.
func (w *world) service(c *childJSON, path string) suture.Service {
	if c.Tree != nil {
		return &scriptedTree{w: w, path: path, node: c.Tree, script: c.Behaviour}
	}
	var limited bool
	if string(c.Shutdown) != `"infinity"` {
		limited = c.Type != "supervisor" || len(c.Shutdown) > 0
	}
	return &scripted{w: w, path: path, script: c.Behaviour, limited: limited}
}

// scripted is a worker that does what its script says. It can be killed, as only a process can.
type scripted struct {
	w       *world
	path    string
	script  behaviour
	limited bool // its Shutdown is finite
	body    *body
}

// body is one running scripted worker.
type body struct {
	exit  chan string // reason
	asked chan struct{}
	kill  chan struct{}
	gone  chan struct{}
}

func (s *scripted) Serve(ctx context.Context) error { return s.ServeReady(ctx, func() {}) }

func (s *scripted) Kill() { close(s.body.kill) }

func (s *scripted) ServeReady(ctx context.Context, ready func()) error {
	w, n := s.w, s.w.begin(ctx, s.path)
	switch w.outcome(&s.script, s.path, n) {
	case "error":
		w.record("start_failed %s start_error", pathOf(s.path, n))
		return errStart
	case "crash":
		w.record("start_failed %s crash", pathOf(s.path, n))
		panic("start_crash")
	case "ignore":
		w.record("start_ignored %s", pathOf(s.path, n))
		return ErrIgnore
	}
	if s.script.Info != nil {
		SetInfo(ctx, *s.script.Info)
	}
	b := &body{exit: make(chan string), asked: make(chan struct{}), kill: make(chan struct{}), gone: make(chan struct{})}
	w.locked(func() {
		s.body, w.bodies[s.path], w.started[s.path] = b, b, n
		w.events = append(w.events, "started "+pathOf(s.path, n))
	})
	defer close(b.gone)
	ready()
	how, reason := s.live(ctx, b, n)
	w.locked(func() {
		w.events = append(w.events, fmt.Sprintf("stopped %s %s %s", pathOf(s.path, n), how, reason))
		delete(w.bodies, s.path)
	})
	return reasonError(reason)
}

// reasonError is how a service ends with that reason.
func reasonError(reason string) error {
	switch {
	case reason == "normal":
		return nil
	case reason == "shutdown":
		return ErrShutdown
	case strings.HasPrefix(reason, "shutdown:"):
		return fmt.Errorf("%s: %w", reason, ErrShutdown)
	}
	return errors.New(reason)
}

// live is the time from ready to the end; it returns how and with what reason it ended.
func (s *scripted) live(ctx context.Context, b *body, n int) (how, reason string) {
	var timed struct {
		MS     int    `json:"exit_after_ms"`
		Reason string `json:"reason"`
	}
	var after <-chan time.Time
	moved := func() {}
	if text := pick(s.script.Run, n, "null"); text != "null" {
		if err := json.Unmarshal([]byte(text), &timed); err != nil {
			panic(err)
		}
		after = time.After(time.Duration(timed.MS) * time.Millisecond)
		moved = s.w.move()
	}
	how, reason, asked := s.untilAsked(b, after, timed.Reason)
	moved()
	if asked {
		<-ctx.Done()
		return s.stop(b, n)
	}
	return how, reason
}

// untilAsked waits for the end, or until the supervisor asks for it.
func (s *scripted) untilAsked(b *body, after <-chan time.Time, then string) (how, reason string, asked bool) {
	select {
	case <-after:
		return "exit", then, false
	case reason = <-b.exit:
		return "exit", reason, false
	case <-b.kill:
		return "brutal_kill", "killed", false
	case <-s.w.over:
		return "exit", "over", false
	case <-b.asked:
		return "", "", true
	}
}

// stop is what it does when it is asked to stop.
func (s *scripted) stop(b *body, n int) (how, reason string) {
	var after <-chan time.Time
	var gate chan string
	script, reason := s.stopScript(n)
	switch script {
	case "comply":
		return "asked", reason
	case "gate":
		gate = make(chan string)
	case "ignore":
		if s.limited {
			defer s.w.move()()
		}
	default:
		d, _ := time.ParseDuration(script)
		after = time.After(d)
		defer s.w.move()()
	}
	if gate != nil {
		s.w.locked(func() { s.w.gates[s.path] = gate })
	}
	select {
	case <-after:
	case <-gate:
	case reason = <-b.exit:
	case <-b.kill:
		reason = "killed"
	case <-s.w.over:
	}
	if reason == "killed" { // the gate stays, with nobody behind it
		return "timeout_kill", reason
	}
	if gate != nil {
		s.w.locked(func() { delete(s.w.gates, s.path) })
	}
	return "asked", reason
}

// stopScript returns "comply", "gate", "ignore" or a duration, and the reason.
func (s *scripted) stopScript(n int) (script, reason string) {
	text := s.script.Stop
	var list []json.RawMessage
	if json.Unmarshal(text, &list) == nil && len(list) > 0 {
		text = json.RawMessage(pick(list, n, ""))
	}
	var word string
	if len(text) == 0 {
		return "comply", "shutdown"
	}
	if json.Unmarshal(text, &word) == nil {
		return word, "shutdown"
	}
	timed := struct {
		MS     int    `json:"delay_ms"`
		Reason string `json:"reason"`
	}{Reason: "shutdown"}
	if err := json.Unmarshal(text, &timed); err != nil {
		panic(err)
	}
	if timed.MS == 0 {
		return "comply", timed.Reason
	}
	return fmt.Sprintf("%dms", timed.MS), timed.Reason
}

// scriptedTree is a real supervisor whose starts and ends are recorded. The same Supervisor is served each time.
type scriptedTree struct {
	w      *world
	path   string
	node   *nodeJSON
	script behaviour
	sup    *Supervisor
	asked  bool // under w.mu
}

func (s *scriptedTree) Serve(ctx context.Context) error { return s.ServeReady(ctx, func() {}) }

func (s *scriptedTree) Kill() { s.sup.Kill() }

func (*scriptedTree) onlyLooksOn() {}

func (s *scriptedTree) Retire(cause error) {
	if s.sup != nil {
		s.sup.Retire(cause)
	}
}

func (s *scriptedTree) ServeReady(ctx context.Context, ready func()) error {
	w, n := s.w, s.w.begin(ctx, s.path)
	fail := func(err error) error {
		w.record("start_failed %s %s", pathOf(s.path, n), reasonOf(err))
		return err
	}
	switch w.outcome(&s.script, s.path, n) {
	case "error":
		return fail(errStart)
	case "crash":
		w.record("start_failed %s crash", pathOf(s.path, n))
		panic("start_crash")
	case "ignore":
		w.record("start_ignored %s", pathOf(s.path, n))
		return ErrIgnore
	}
	if s.sup == nil {
		spec := w.spec(s.node, s.path)
		if s.path == "root" {
			spec.OnEvent = w.onEvent
		}
		sup, err := New(spec)
		if err != nil {
			return fail(err)
		}
		s.sup = sup
	}
	w.locked(func() { w.sups[s.path], s.asked = s, false })
	up := false
	err := s.sup.ServeReady(ctx, func() {
		w.locked(func() {
			up, w.started[s.path] = true, n
			w.events = append(w.events, "started "+pathOf(s.path, n))
		})
		ready()
	})
	w.locked(func() { delete(w.sups, s.path) })
	if !up {
		return fail(err)
	}
	how := "exit"
	w.locked(func() {
		if s.asked {
			how = "asked"
		}
	})
	w.record("stopped %s %s shutdown", pathOf(s.path, n), how)
	return err
}
