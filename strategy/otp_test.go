package strategy

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestRecordedScenarios plays recorded traces of OTP's supervisor with pure states: no goroutine, no time. Here
// supervisors are values with a queue, and children are names. Scenarios that need waiting are left to package tree.
func TestRecordedScenarios(t *testing.T) {
	files, _ := filepath.Glob("../tree/testdata/otp/*.json")
	played := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var list []json.RawMessage
		if err := json.Unmarshal(text, &list); err != nil {
			t.Fatal(err)
		}
		for _, text := range list {
			sc := new(scenario)
			err := json.Unmarshal(text, sc)
			if _, wrong := errors.AsType[*json.UnmarshalTypeError](err); wrong {
				continue // a value of a wrong kind, on purpose
			}
			if err != nil {
				t.Fatal(err)
			}
			if sc.pure() {
				played++
				t.Run(sc.Name, sc.play)
			}
		}
	}
	if played < 200 {
		t.Errorf("only %d scenarios played", played)
	}
}

type scenario struct {
	Name       string   `json:"name"`
	StartAsync string   `json:"start_async"`
	Needs      []string `json:"needs"`
	Tree       node     `json:"tree"`
	Steps      []op     `json:"steps"`
	Expect     struct {
		Start, Final trace
		Steps        []trace
	} `json:"expect"`
}

type node struct {
	Strategy  string `json:"strategy"`
	Intensity *int   `json:"intensity"`
	Period    any    `json:"period_s"`
	Auto      string `json:"auto_shutdown"`
	Children  []kid  `json:"children"`
	Behaviour script `json:"behaviour"`
}

type kid struct {
	ID          string `json:"id"`
	Restart     string `json:"restart"`
	Significant any    `json:"significant"`
	Shutdown    any    `json:"shutdown"`
	Tree        *node  `json:"tree"`
	Behaviour   script `json:"behaviour"`
}

type script struct {
	Start []any `json:"start"`
	Stop  any   `json:"stop"`
	Run   []any `json:"run"`
}

type op struct {
	Op        string
	Async     string
	Child     string
	Reason    string
	Exits     []struct{ Child, Reason string }
	Sup       string
	ID        string
	Instance  string
	N         int
	Spec      *kid
	Behaviour *script
}

type trace struct {
	Result any   `json:"result"`
	Events []any `json:"events"`
}

// pure reports whether nothing in the scenario waits, and nothing is wrong on purpose.
func (sc *scenario) pure() bool {
	if sc.StartAsync != "" || slices.Contains(sc.Needs, "gate") || slices.Contains(sc.Needs, "time") {
		return false
	}
	text, _ := json.Marshal(sc)
	for _, s := range []string{`bad_`, `"invalid_`, `"missing_`, `"exit_after_ms"`, `"start":[{`} {
		if strings.Contains(string(text), s) {
			return false
		}
	}
	for _, o := range sc.Steps {
		if o.Op == "sleep" || o.Op == "get_childspec" || o.Op == "check_childspecs" || o.Instance == "!not_a_child" || o.N != 0 {
			return false
		}
	}
	return true
}

// sim is the world of one scenario.
type sim struct {
	t        *testing.T
	events   []string
	attempts map[string]int
	started  map[string]int
	sups     map[string]*actor // running supervisors
	order    []*actor
	alive    map[string]uint64 // running children -> run
	died     map[string]string // died, and its supervisor has not looked: reason
	scripts  map[string]kid
}

// actor is one running supervisor.
type actor struct {
	path   string
	node   *node
	state  *State
	queue  []Event
	up     bool
	gone   bool
	asked  bool
	reason string // why its start failed
}

func (sc *scenario) play(t *testing.T) {
	s := &sim{t: t, attempts: map[string]int{}, started: map[string]int{}, sups: map[string]*actor{}, alive: map[string]uint64{}, died: map[string]string{}, scripts: map[string]kid{}}
	root := kid{Tree: &sc.Tree, Behaviour: sc.Tree.Behaviour}
	s.startTree("root", root)
	s.settle()
	s.compare("start", sc.Expect.Start)
	for i, o := range sc.Steps {
		s.do(o)
		s.settle()
		s.compare(fmt.Sprintf("step %d %+v", i, o), sc.Expect.Steps[i])
		if t.Failed() {
			return
		}
	}
	s.stopTree("root")
	s.compare("final", sc.Expect.Final)
}

func (s *sim) event(format string, args ...any) {
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

func (s *sim) name(path string) string { return fmt.Sprintf("%s#%d", path, s.started[path]) }

func (s *sim) compare(what string, want trace) {
	var expect []string
	for _, e := range want.Events {
		if line, ok := e.(string); ok {
			expect = append(expect, line)
			continue
		}
		for _, line := range e.(map[string]any)["events"].([]any) {
			expect = append(expect, line.(string))
		}
	}
	got := s.events
	s.events = nil
	unordered := len(expect) != len(want.Events) || strings.Contains(fmt.Sprint(want.Events...), "unordered")
	if unordered { // children of a dynamic supervisor stop in any order
		slices.Sort(got)
		slices.Sort(expect)
	}
	if !slices.Equal(got, expect) {
		s.t.Errorf("%s\n got  %q\n want %q", what, got, expect)
	}
}

// outcome is what the start of a child answers this time.
func (s *sim) outcome(path string, k kid) (n int, how string) {
	s.attempts[path]++
	n = s.attempts[path]
	list := k.Behaviour.Start
	if len(list) == 0 {
		return n, "ok"
	}
	how, _ = list[min(n, len(list))-1].(string)
	return n, how
}

// start starts a child and returns the event about it, and the reason of a failure.
func (s *sim) start(a *actor, id string, run uint64) (Event, string) {
	path := a.path + "/" + id
	k := s.scripts[path]
	if k.Tree != nil {
		how, reason := s.startTree(path, k)
		if how == "ok" {
			s.alive[path] = run
		}
		return answer(how, id, run), reason
	}
	n, how := s.outcome(path, k)
	switch how {
	case "ok":
		s.started[path] = n
		s.alive[path] = run
		s.event("started %s", s.name(path))
		return Started{ID: id, Run: run}, ""
	case "ignore":
		s.event("start_ignored %s#%d", path, n)
	default:
		if how == "error" {
			how = "start_error"
		}
		s.event("start_failed %s#%d %s", path, n, how)
	}
	return answer(how, id, run), how
}

func answer(how, id string, run uint64) Event {
	switch how {
	case "ok":
		return Started{ID: id, Run: run}
	case "ignore":
		return Ignored{ID: id, Run: run}
	}
	return StartFailed{ID: id, Run: run, How: Failed}
}

// startTree starts a supervisor with all its children.
func (s *sim) startTree(path string, k kid) (how, reason string) {
	n, how := s.outcome(path, k)
	switch how {
	case "ignore":
		s.event("start_ignored %s#%d", path, n)
		return how, ""
	case "error", "crash":
		reason = strings.Replace(how, "error", "start_error", 1)
		s.event("start_failed %s#%d %s", path, n, reason)
		return how, reason
	}
	a := &actor{path: path, node: k.Tree, state: newState(k.Tree)}
	for _, c := range k.Tree.Children {
		s.scripts[path+"/"+c.ID] = c
	}
	s.sups[path] = a
	s.step(a, Begin{})
	if a.gone {
		s.event("start_failed %s#%d %s", path, n, a.reason)
		return "failed", a.reason
	}
	a.up, s.started[path] = true, n
	s.order = append(s.order, a)
	s.event("started %s", s.name(path))
	return "ok", ""
}

func newState(n *node) *State {
	spec := Spec{Strategy: word[Strategy](n.Strategy, "one_for_one", "one_for_all", "rest_for_one")}
	spec.AutoShutdown = word[AutoShutdown](n.Auto, "never", "any_significant", "all_significant")
	if n.Intensity != nil {
		if spec.Intensity.Restarts = *n.Intensity; *n.Intensity == 0 {
			spec.Intensity.Restarts = NoRestarts
		}
	}
	var children []Child
	if n.Strategy == "simple_one_for_one" {
		spec.Strategy, spec.Dynamic = OneForOne, true
	} else {
		for _, c := range n.Children {
			children = append(children, c.child())
		}
	}
	return New(spec, children)
}

func (k kid) child() Child {
	return Child{ID: k.ID, Restart: word[Restart](k.Restart, "permanent", "transient", "temporary"), Significant: k.Significant == true}
}

func word[T ~uint8](s string, words ...string) T { return T(max(0, slices.Index(words, s))) }

// step gives an event to a supervisor and does its plan.
func (s *sim) step(a *actor, e Event) {
	plan := a.state.Step(t0, e)
	for len(plan) > 0 {
		action := plan[0]
		plan = plan[1:]
		switch action := action.(type) {
		case Start:
			e, reason := s.start(a, action.ID, action.Run)
			next := a.state.Step(t0, e)
			switch e.(type) {
			case Ignored:
				plan = append(next, plan...)
			case StartFailed:
				a.reason = action.ID + ">" + reason
				plan = next
			}
		case Stop:
			s.stop(a.path + "/" + action.ID)
		case StopAll:
			for _, id := range action.IDs {
				s.stop(a.path + "/" + id)
			}
		case Retry:
			a.queue = append(a.queue, Retried{action.ID, action.Run})
		case End:
			switch action.Reason {
			case TooManyRestarts:
				s.event("gave_up %s", s.name(a.path))
			case SignificantEnded:
				s.event("auto_shutdown %s", s.name(a.path))
			}
		case Quit:
			s.quit(a)
		}
	}
}

func (s *sim) quit(a *actor) {
	a.gone = true
	delete(s.sups, a.path)
	s.order = slices.DeleteFunc(s.order, func(b *actor) bool { return a == b })
	if !a.up {
		return
	}
	if a.asked {
		s.event("stopped %s asked shutdown", s.name(a.path))
	} else {
		s.event("stopped %s exit shutdown", s.name(a.path))
		s.report(a.path, Orderly)
	}
	delete(s.alive, a.path)
}

// report tells the supervisor of a child that it has ended.
func (s *sim) report(path string, how How) {
	i := strings.LastIndex(path, "/")
	if i < 0 {
		return
	}
	if a := s.sups[path[:i]]; a != nil {
		a.queue = append(a.queue, Exited{ID: path[i+1:], Run: s.alive[path], How: how})
	}
}

func (s *sim) exit(path, reason string) {
	if _, ok := s.alive[path]; !ok || s.sups[path] != nil {
		return
	}
	s.event("stopped %s exit %s", s.name(path), reason)
	how := Failed
	if reason == "normal" {
		how = Normal
	} else if strings.HasPrefix(reason, "shutdown") {
		how = Orderly
	}
	s.report(path, how)
	delete(s.alive, path)
}

// stop stops a worker or a supervisor, if it runs.
func (s *sim) stop(path string) {
	if s.sups[path] != nil {
		s.stopTree(path)
		return
	}
	if _, ok := s.alive[path]; !ok {
		return
	}
	delete(s.alive, path)
	k := s.scripts[path]
	if k.Shutdown == "brutal_kill" {
		s.event("stop_asked %s kill", s.name(path))
		s.event("stopped %s brutal_kill killed", s.name(path))
		return
	}
	s.event("stop_asked %s shutdown", s.name(path))
	s.event("stopped %s %s", s.name(path), ending(k.Behaviour.Stop))
}

func ending(stop any) string {
	if stop == "ignore" {
		return "timeout_kill killed"
	}
	if m, ok := stop.(map[string]any); ok && m["reason"] != nil {
		return fmt.Sprint("asked ", m["reason"])
	}
	return "asked shutdown"
}

func (s *sim) stopTree(path string) {
	a := s.sups[path]
	if a == nil {
		return
	}
	s.event("stop_asked %s shutdown", s.name(path))
	a.asked = true
	s.step(a, Shutdown{})
}

// settle lets all supervisors empty their queues.
func (s *sim) settle() {
	for again := true; again; {
		again = false
		for _, a := range slices.Clone(s.order) {
			for len(a.queue) > 0 && !a.gone {
				e := a.queue[0]
				a.queue = a.queue[1:]
				s.step(a, e)
				again = true
			}
		}
	}
}

func (s *sim) do(o op) {
	a := s.sups[o.Sup]
	switch {
	case o.Op == "exit":
		s.exit(o.Child, o.Reason)
	case o.Op == "exit_many":
		for _, e := range o.Exits {
			s.exit(e.Child, e.Reason)
		}
	case o.Op == "stop":
		s.stopTree("root")
	case a == nil:
	case o.Op == "start_child" && o.Instance != "":
		s.startInstance(a, o)
	case o.Op == "start_child":
		path := a.path + "/" + o.Spec.ID
		if _, known := a.state.Status(o.Spec.ID); !known {
			s.scripts[path] = *o.Spec
		}
		s.step(a, StartChild{o.Spec.child()})
	case o.Op == "restart_child":
		s.step(a, RestartChild{o.ID})
	case o.Op == "delete_child":
		s.step(a, DeleteChild{o.ID})
	case o.Op == "terminate_child" && o.Instance != "":
		if run, ok := s.alive[a.path+"/"+o.Instance]; ok {
			s.step(a, TerminateRun{ID: o.Instance, Run: run})
		}
	case o.Op == "terminate_child":
		s.step(a, TerminateChild{o.ID})
	}
}

func (s *sim) startInstance(a *actor, o op) {
	k := a.node.Children[0]
	if o.Behaviour != nil {
		k.Behaviour = *o.Behaviour
	}
	s.scripts[a.path+"/"+o.Instance] = k
	c := k.child()
	c.ID = o.Instance
	s.step(a, StartChild{c})
}
