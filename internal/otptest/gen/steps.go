package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/verdigris-go/verdigris/internal/otptest"
)

type (
	step       = otptest.Step
	rawMessage = json.RawMessage
)

// scenario makes the whole.
func (g *gen) scenario() *otptest.Scenario {
	root := g.node(0, false)
	root.ID = "root"
	g.enlist("root", root)
	sc := &otptest.Scenario{About: "random", Rules: []string{}}
	g.placeGates()
	if g.flavour.lateGate && len(g.workers) > 0 {
		g.delayStart(sc)
	}
	for _, s := range slices.Clone(g.sups) {
		if s.node.Strategy == dynamic {
			for range 1 + g.IntN(3) {
				sc.Steps = append(sc.Steps, g.startInstance(s))
			}
		}
	}
	for range 6 + g.IntN(8) {
		if len(g.gated) > 0 {
			sc.Steps = append(sc.Steps, g.episode()...)
		} else {
			sc.Steps = append(sc.Steps, g.step())
		}
	}
	sc.Tree = *root
	sc.Needs = needs(sc)
	return sc
}

// needs says what an adapter must be able to do.
func needs(sc *otptest.Scenario) (list []string) {
	text := string(raw(sc))
	for _, n := range []struct{ word, sign string }{
		{"kill", `kill`}, {"kill", `"stop":"ignore"`}, {"gate", `"gate"`}, {"gate", `"async"`}, {"exit_many", `"exit_many"`},
	} {
		if strings.Contains(text, n.sign) && !slices.Contains(list, n.word) {
			list = append(list, n.word)
		}
	}
	return list
}

// placeGates lets some workers wait at a gate, once: when they are started again, or when they are to stop.
func (g *gen) placeGates() {
	for range g.flavour.gates {
		s := oneOf(g, g.sups...)
		if s.node.Strategy == dynamic {
			continue
		}
		c := &s.node.Children[g.IntN(len(s.node.Children))]
		if path := s.path + "/" + string(c.ID); c.Tree == nil && !slices.Contains(g.gated, path) {
			g.gated = append(g.gated, path)
			if g.chance(0.7) {
				gateStart(c, raws("ok", "gate", oneOf(g, "ok", "ok", "error"), "ok"))
			} else {
				c.Behaviour.Stop, c.Shutdown = raw([]string{"gate", "comply"}), raw("infinity")
			}
		}
	}
}

// gateStart gives a worker starts with a gate. When it is to stop while it waits there, OTP's supervisor waits for it
// for ever; ours waits no longer than its limit for stopping, so that has to be long.
func gateStart(c *otptest.Child, start []rawMessage) {
	c.Behaviour.Start, c.Shutdown = start, raw("infinity")
	if string(c.Behaviour.Stop) == `"ignore"` {
		c.Behaviour.Stop = nil
	}
}

// delayStart lets the start of the tree wait at a gate.
func (g *gen) delayStart(sc *otptest.Scenario) {
	s := oneOf(g, g.sups...)
	if s.node.Strategy == dynamic {
		return
	}
	c := &s.node.Children[g.IntN(len(s.node.Children))]
	if c.Tree != nil || len(c.Behaviour.Start) > 0 {
		return
	}
	gateStart(c, raws("gate", "ok"))
	sc.StartAsync = "start"
	path := s.path + "/" + string(c.ID)
	if g.chance(0.3) {
		sc.Steps = append(sc.Steps, step{Op: "stop", Async: "stop"})
	}
	sc.Steps = append(sc.Steps, g.release(path), step{Op: "await", Ref: "start"})
}

func (g *gen) release(path string) step {
	return step{Op: "release", Child: path, Result: oneOf(g, "ok", "ok", "ok", "error", "crash", "ignore")}
}

// episode is several things at once around a supervisor that may be waiting at a gate: nothing here waits for an
// answer before all gates have been opened twice, since behind one gate there may be another.
func (g *gen) episode() (steps []step) {
	var refs []string
	for range 1 + g.IntN(4) {
		st := g.step()
		if st.Sup != "" {
			g.serial++
			st.Async = fmt.Sprint("r", g.serial)
			refs = append(refs, st.Async)
		}
		steps = append(steps, st)
	}
	if g.chance(0.03) {
		steps = append(steps, step{Op: "stop", Async: "stop"})
	}
	for range 2 {
		for _, i := range g.Perm(len(g.gated)) {
			steps = append(steps, g.release(g.gated[i]))
		}
	}
	for _, ref := range refs {
		steps = append(steps, step{Op: "await", Ref: ref})
	}
	return steps
}

// step is one thing that happens.
func (g *gen) step() step {
	x := g.Float64()
	switch {
	case len(g.workers) == 0 || x > 0.65:
		return g.request()
	case x > 0.4:
		return g.exits()
	}
	return step{Op: "exit", Child: oneOf(g, g.workers...), Reason: g.reason()}
}

// exits lets several workers of one supervisor exit at once.
func (g *gen) exits() step {
	sup := parent(oneOf(g, g.workers...))
	var exits []otptest.Exit
	for _, i := range g.Perm(len(g.workers)) {
		if w := g.workers[i]; parent(w) == sup && len(exits) < 5 {
			exits = append(exits, otptest.Exit{Child: w, Reason: g.reason()})
		}
	}
	return step{Op: "exit_many", Exits: exits[:1+g.IntN(len(exits))]}
}

func parent(path string) string { return path[:strings.LastIndex(path, "/")] }

// request asks a supervisor for something.
func (g *gen) request() step {
	s := oneOf(g, g.sups...)
	if s.node.Strategy == dynamic {
		return g.dynamicRequest(s)
	}
	op := oneOf(g, "terminate_child", "terminate_child", "terminate_child", "restart_child", "restart_child", "restart_child",
		"delete_child", "delete_child", "start_child", "start_child", "which_children", "count_children", "get_childspec")
	st := step{Op: op, Sup: s.path, ID: g.id(s)}
	switch op {
	case "start_child":
		c := g.newChild(s, otptest.Text(st.ID))
		st.ID, st.Spec = "", &c
		g.enlistNew(s.path+"/"+string(c.ID), &c)
	case "which_children", "count_children":
		st.ID = ""
	}
	return st
}

// id names a child that a supervisor has, or that may have been added.
func (g *gen) id(s sup) string {
	if len(s.node.Children) == 0 || g.chance(0.2) {
		return oneOf(g, "n1", "n2")
	}
	return string(oneOf(g, s.node.Children...).ID)
}

// newChild makes a child to be added, now and then with children of its own.
func (g *gen) newChild(s sup, id otptest.Text) otptest.Child {
	if len(g.gated) == 0 && g.chance(0.2) {
		return g.subtree(id, s.node, g.flavour.depth-2, true)
	}
	return g.worker(id, s.node.AutoShutdown, false)
}

// enlistNew notes a child that may be added now.
func (g *gen) enlistNew(path string, c *otptest.Child) {
	for _, s := range g.sups {
		if s.path == path {
			return
		}
	}
	if !slices.Contains(g.workers, path) {
		g.enlistChild(path, c)
	}
}

// dynamicRequest asks a dynamic supervisor for something.
func (g *gen) dynamicRequest(s sup) step {
	switch x := g.Float64(); {
	case x < 0.4:
		return g.startInstance(s)
	case x < 0.8:
		if mine := g.instances(s); len(mine) > 0 {
			return step{Op: "terminate_child", Sup: s.path, Instance: oneOf(g, mine...)}
		}
	}
	return step{Op: oneOf(g, "delete_child", "restart_child", "terminate_child", "get_childspec"), Sup: s.path, ID: "t"}
}

// instances returns the names of the children that a dynamic supervisor may have.
func (g *gen) instances(s sup) (names []string) {
	for i := range maxInstances {
		name := fmt.Sprint("w", i+1)
		path := s.path + "/" + name
		if slices.Contains(g.workers, path) || slices.ContainsFunc(g.sups, func(o sup) bool { return o.path == path }) {
			names = append(names, name)
		}
	}
	return names
}

const maxInstances = 5

// startInstance starts a child of a dynamic supervisor.
func (g *gen) startInstance(s sup) step {
	st := step{Op: "start_child", Sup: s.path, Instance: fmt.Sprint("w", 1+g.IntN(maxInstances))}
	template := &s.node.Children[0]
	if b := g.behaviour(true); template.Tree == nil && (b.Start != nil || b.Stop != nil) && string(b.Stop) != `"ignore"` {
		st.Behaviour = &b
	}
	g.enlistNew(s.path+"/"+st.Instance, template)
	return st
}
