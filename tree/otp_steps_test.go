package tree

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing/synctest"
	"time"

	"github.com/verdigris-go/verdigris/strategy"
)

// startRoot starts the tree as its parent would, and returns the result of the start.
func (w *world) startRoot(n nodeJSON, async string) any {
	w.root = &scriptedTree{w: w, path: "root", node: &n, script: n.Behaviour}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel, w.rootEnd = cancel, make(chan struct{})
	result := make(chan any, 2)
	go func() {
		defer close(w.rootEnd)
		defer func() {
			if recover() != nil {
				result <- map[string]any{"error": "start_failed", "reason": "crash"}
			}
		}()
		err := w.root.ServeReady(ctx, func() { result <- "ok" })
		result <- rootResult(err)
	}()
	if async != "" {
		w.refs[async] = result
		return "pending"
	}
	return within(func() any { return <-result })
}

// within does something that must not take for ever, so that a tree that hangs fails its scenario and no other.
func within(do func() any) any {
	c := make(chan any, 1)
	go func() { c <- do() }()
	select {
	case result := <-c:
		return result
	case <-time.After(time.Hour):
		return "no answer within an hour of fake time"
	}
}

func rootResult(err error) any {
	if err == nil {
		return "ok"
	}
	if isIgnore(err) {
		return "ignored"
	}
	if reason := reasonOf(err); strings.HasPrefix(reason, "bad_") {
		return map[string]any{"error": reason}
	} else {
		return map[string]any{"error": "start_failed", "reason": reason}
	}
}

// stop stops the root and waits.
func (w *world) stop() any {
	if isClosed(w.rootEnd) {
		return "noproc"
	}
	w.locked(func() {
		w.events = append(w.events, "stop_asked "+pathOf("root", w.started["root"])+" shutdown")
		w.root.asked = true
	})
	w.cancel()
	<-w.rootEnd
	return "ok"
}

// abort ends a scenario that has failed, without leaving goroutines behind.
func (w *world) abort() {
	close(w.over)
	w.cancel()
	for !isClosed(w.rootEnd) {
		time.Sleep(time.Second)
	}
	w.stopScratch()
	w.t.FailNow()
}

func (w *world) stopScratch() {
	if w.scratch != nil {
		_ = w.scratch.Stop(context.Background())
	}
}

// step does one step and returns its result.
func (w *world) step(st step) (result any) {
	begun := time.Now()
	if st.Async != "" {
		c := make(chan any, 1)
		w.refs[st.Async] = c
		do := w.prepare(st)
		go func() { c <- do() }()
		synctest.Wait()
		return "pending"
	}
	result = within(w.prepare(st))
	took := time.Since(begun)
	if st.MinMS != nil && took < time.Duration(*st.MinMS)*time.Millisecond ||
		st.MaxMS != nil && took > time.Duration(*st.MaxMS)*time.Millisecond {
		w.t.Errorf("%s took %v", st.Op, took)
	}
	return result
}

// prepare returns what is to be done for a step.
func (w *world) prepare(st step) func() any {
	switch st.Op {
	case "stop":
		return w.stop
	case "sleep":
		return func() any { time.Sleep(time.Duration(st.MS) * time.Millisecond); return "ok" }
	case "exit":
		return func() any { return w.exit(st.Child, st.Reason) }
	case "exit_many":
		return func() any { return w.exitMany(st.Exits) }
	case "release":
		return func() any { return w.release(st) }
	case "await":
		return func() any { return <-w.refs[st.Ref] }
	case "check_childspecs":
		return func() any { return w.check(st) }
	}
	s := w.sups[st.Sup]
	if s == nil {
		return func() any { return "noproc" }
	}
	do := w.request(s, st)
	return func() any {
		result, err := do(context.Background())
		if errors.Is(err, ErrNotRunning) {
			return "noproc"
		}
		if err != nil {
			return w.refused(err)
		}
		return result
	}
}

func (w *world) exit(path, reason string) any {
	var b *body
	w.locked(func() { b = w.bodies[path] })
	if b == nil {
		return "no_process"
	}
	b.exit <- reason
	<-b.gone
	synctest.Wait() // until the end of the run is in the queue
	return "ok"
}

// exitMany ends several workers before their supervisor looks at any of them.
func (w *world) exitMany(exits []exitJSON) any {
	hold := make(chan struct{})
	for _, e := range exits {
		if s := w.sups[e.Child[:strings.LastIndex(e.Child, "/")]]; s != nil {
			w.locked(func() { w.holds[s.sup.running().path] = hold })
		}
	}
	results := []any{}
	for _, e := range exits {
		results = append(results, w.exit(e.Child, e.Reason))
	}
	w.locked(func() { clear(w.holds) })
	close(hold)
	return results
}

func (w *world) release(st step) any {
	var c chan string
	w.locked(func() { c = w.gates[st.Child] })
	if c == nil {
		return "no_gate"
	}
	select {
	case c <- first(st.Result, "ok"):
	default: // who waited there was killed
	}
	return "ok"
}

func (w *world) check(st step) any {
	list := []Child{}
	for _, c := range st.Specs {
		list = append(list, w.child(&c, "x"))
	}
	err := CheckChildren(list...)
	if st.Auto != "" {
		err = CheckChildrenFor(word[strategy.AutoShutdown](st.Auto, "never", "any_significant", "all_significant"), list...)
	}
	if err == nil {
		return "ok"
	}
	return w.refused(err)
}

// request returns a call of the public API.
func (w *world) request(s *scriptedTree, st step) func(context.Context) (any, error) {
	sup := s.sup
	switch st.Op {
	case "start_child":
		if st.Instance != "" {
			return func(ctx context.Context) (any, error) {
				template := s.node.Children[0]
				if st.Behaviour != nil {
					template.Behaviour = *st.Behaviour
				}
				return w.ran(sup.StartService(ctx, w.service(&template, s.path+"/"+st.Instance)))
			}
		}
		child := w.child(st.Spec, s.path)
		return func(ctx context.Context) (any, error) { return w.ran(sup.StartChild(ctx, child)) }
	case "restart_child":
		return func(ctx context.Context) (any, error) { return w.ran(sup.RestartChild(ctx, st.ID)) }
	case "terminate_child":
		if st.Instance != "" {
			h := w.handle(s, st)
			return func(ctx context.Context) (any, error) { return "ok", sup.TerminateRun(ctx, h) }
		}
		return func(ctx context.Context) (any, error) { return "ok", sup.TerminateChild(ctx, st.ID) }
	case "delete_child":
		return func(ctx context.Context) (any, error) { return "ok", sup.DeleteChild(ctx, st.ID) }
	case "which_children":
		return func(ctx context.Context) (any, error) { return w.which(ctx, s) }
	case "count_children":
		return func(ctx context.Context) (any, error) { return count(ctx, s) }
	case "get_childspec":
		return w.getSpec(s, st)
	}
	panic("unknown op " + st.Op)
}

func (w *world) getSpec(s *scriptedTree, st step) func(context.Context) (any, error) {
	h := Run{}
	if st.Instance != "" {
		h = w.handle(s, st)
	}
	return func(ctx context.Context) (any, error) {
		var c Child
		var err error
		if st.Instance != "" {
			c, err = s.sup.RunSpec(ctx, h)
		} else {
			c, err = s.sup.ChildSpec(ctx, st.ID)
		}
		if err != nil {
			return nil, err
		}
		return specResult(c), nil
	}
}

// handle returns the handle of an instance: of run n, or of the one that ran last.
func (w *world) handle(s *scriptedTree, st step) Run {
	if st.Instance == "!not_a_child" {
		return w.stranger()
	}
	path := s.path + "/" + st.Instance
	if st.N == 0 {
		st.N = w.started[path]
	}
	return handleOf(w.handles[pathOf(path, st.N)])
}

// stranger returns the handle of a living run that belongs to another supervisor.
func (w *world) stranger() Run {
	if w.scratch == nil {
		w.scratch, _ = New(Spec{Dynamic: &Dynamic{Template: Child{ID: "t"}}})
		_ = w.scratch.Start(context.Background())
		_ = w.scratch.WaitReady(context.Background())
	}
	h, err := w.scratch.StartService(context.Background(), ServiceFunc(func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	}))
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// ran is the result of something that starts a child.
func (w *world) ran(r Run, err error) (any, error) {
	switch {
	case err != nil:
		return nil, err
	case r.N == 0:
		return "ignored", nil
	}
	out := map[string]any{"ok": w.numberOf(r)}
	if r.Info != nil {
		out["info"] = r.Info
	}
	return out, nil
}

func (w *world) numberOf(r Run) (n int) {
	w.locked(func() { n = w.ns[r.run] })
	return n
}

// refused translates an error of the API into OTP's answer.
func (w *world) refused(err error) any {
	if e, ok := errors.AsType[*SpecError](err); ok {
		return map[string]any{"error": faultWord(e.Fault)}
	}
	if e, ok := errors.AsType[*StartError](err); ok {
		return map[string]any{"error": "start_failed", "reason": reasonOf(e.Err)}
	}
	words := map[error]string{ErrAlreadyStarted: "already_started", ErrAlreadyPresent: "already_present", ErrRunning: "running",
		ErrRestarting: "restarting", ErrNotFound: "not_found", ErrDynamic: "simple_one_for_one"}
	e, _ := errors.AsType[*RequestError](err)
	if e == nil || words[e.Err] == "" {
		return err.Error()
	}
	out := map[string]any{"error": words[e.Err]}
	if e.Err == ErrAlreadyStarted {
		out["n"] = w.numberOf(e.Run)
	}
	return out
}

func (w *world) which(ctx context.Context, s *scriptedTree) (any, error) {
	list, err := s.sup.Children(ctx)
	if err != nil {
		return nil, err
	}
	dynamic := s.sup.spec.Dynamic != nil
	rows := []string{}
	for _, c := range list {
		id, state := c.ID, c.State.String()
		if c.State == Running {
			state = strconv.Itoa(w.numberOf(c.Run))
		}
		if dynamic && c.State == Running {
			w.locked(func() { id = w.alias[c.Run.run.path()] })
			id = id[strings.LastIndex(id, "/")+1:]
		} else if dynamic {
			id = "?"
		}
		rows = append(rows, id+" "+c.Type.String()+" "+state)
	}
	if dynamic {
		slices.Sort(rows)
	} else {
		slices.Reverse(rows)
	}
	return rows, nil
}

func count(ctx context.Context, s *scriptedTree) (any, error) {
	c, err := s.sup.Count(ctx)
	return []int{c.Specs, c.Active, c.Supervisors, c.Workers}, err
}

// stateDiff returns the supervisors whose entry has changed since the last time.
func (w *world) stateDiff() map[string]any {
	now := map[string]any{}
	for path, s := range w.sups {
		now[path] = w.observe(s)
	}
	diff := map[string]any{}
	for path, v := range now {
		if normal(v) != nil && !equal(normal(v), w.state[path]) {
			diff[path] = normal(v)
		}
	}
	for path := range w.state {
		if now[path] == nil {
			diff[path] = nil
		}
	}
	w.state = map[string]any{}
	for path, v := range now {
		w.state[path] = normal(v)
	}
	return diff
}

// observe asks a supervisor for its children. One that does not answer while all is quiet is busy.
func (w *world) observe(s *scriptedTree) any {
	ctx, cancel := context.WithCancel(context.Background())
	answer := make(chan any, 1)
	go func() {
		which, err := w.which(ctx, s)
		if err != nil {
			answer <- "busy"
			return
		}
		counts, _ := count(ctx, s)
		answer <- map[string]any{"which": which, "count": counts}
	}()
	synctest.Wait()
	cancel()
	return <-answer
}
