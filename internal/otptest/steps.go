package otptest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/verdigris-go/verdigris/tree"
)

// startRoot starts the tree as its parent would, and returns the result of the start.
func (w *world) startRoot(n *Node, async string) any {
	w.root = w.supervisor(n, script{w, "root", n.Behaviour, false})
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
	return w.within(func() any { return <-result })
}

// within does something that must not take for ever, so that a tree that hangs fails its scenario and no other.
func (w *world) within(do func() any) any {
	c := make(chan any, 1)
	go func() { c <- do() }()
	timer := time.NewTimer(w.stage.patience())
	defer timer.Stop()
	select {
	case result := <-c:
		return result
	case <-timer.C:
		return fmt.Sprintf("no answer within %v", w.stage.patience())
	}
}

// stop stops the root and waits.
func (w *world) stop() any {
	if isClosed(w.rootEnd) {
		return "noproc"
	}
	w.locked(func() {
		w.note("stop_asked root#%d shutdown", w.up["root"])
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
	begun := time.Now()
	for !isClosed(w.rootEnd) && time.Since(begun) < 2*w.stage.patience() {
		time.Sleep(100 * time.Millisecond)
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
func (w *world) step(st Step) (result any) {
	begun := time.Now()
	if st.Async != "" {
		c := make(chan any, 1)
		w.refs[st.Async] = c
		do := w.prepare(st)
		go func() { c <- do() }()
		w.stage.pause()
		return "pending"
	}
	result = w.within(w.prepare(st))
	took := time.Since(begun)
	if st.MinMS != nil && took < milliseconds(*st.MinMS) || st.MaxMS != nil && took > milliseconds(*st.MaxMS) {
		w.t.Errorf("%s took %v", st.Op, took)
	}
	return result
}

// prepare returns what is to be done for a step.
func (w *world) prepare(st Step) func() any {
	switch st.Op {
	case "stop":
		return w.stop
	case "sleep":
		return func() any { time.Sleep(milliseconds(st.MS)); return "ok" }
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
	s := w.running()[st.Sup]
	if s == nil {
		return func() any { return "noproc" }
	}
	do := w.request(s, st)
	return func() any {
		result, err := do(context.Background())
		if errors.Is(err, tree.ErrNotRunning) {
			return "noproc"
		}
		if err != nil {
			return w.refused(err)
		}
		return result
	}
}

// exit lets a worker exit, and returns when that is in the queue of its supervisor.
func (w *world) exit(path, reason string) any {
	var b *body
	w.locked(func() { b = w.bodies[path] })
	if b == nil {
		return "no_process"
	}
	run := w.handle(path, 0)
	select {
	case b.exit <- reason:
	case <-b.gone:
		return "no_process"
	}
	<-b.gone
	for run.Alive() {
		w.stage.pause()
	}
	w.stage.pause()
	return "ok"
}

// exitMany ends several workers before their supervisor looks at any of them.
func (w *world) exitMany(exits []Exit) any {
	hold := make(chan struct{})
	w.locked(func() {
		for _, e := range exits {
			w.holds[parent(e.Child)] = hold
		}
	})
	results := []any{}
	for _, e := range exits {
		results = append(results, w.exit(e.Child, e.Reason))
	}
	w.locked(func() { clear(w.holds) })
	close(hold)
	return results
}

func (w *world) release(st Step) any {
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

func (w *world) check(st Step) any {
	list := []tree.Child{}
	for _, c := range st.Specs {
		list = append(list, w.child(&c, "x"))
	}
	err := tree.CheckChildren(list...)
	if st.Auto != "" {
		err = tree.CheckChildrenFor(autoShutdown(st.Auto), list...)
	}
	if err == nil {
		return "ok"
	}
	return w.refused(err)
}
