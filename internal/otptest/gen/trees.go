package main

import (
	"fmt"

	"github.com/verdigris-go/verdigris/internal/otptest"
)

const dynamic = "simple_one_for_one"

// node makes a supervisor with everything below it. inPool: it is, or is below, a child of a dynamic supervisor.
func (g *gen) node(level int, inPool bool) *otptest.Node {
	n := &otptest.Node{Intensity: raw(oneOf(g, 0, 1, 1, 2, 2, 3, 4)), Period: raw(60)}
	if level == 0 {
		n.Intensity = raw(2 + g.IntN(6)) // or the scenario is soon over
	}
	if g.chance(g.flavour.ending) {
		n.AutoShutdown = oneOf[otptest.Text](g, "any_significant", "all_significant")
	}
	if level > 0 && !inPool && g.chance(g.flavour.dynamic) {
		n.Strategy = dynamic
		n.Children = []otptest.Child{g.template(level, n)}
		return n
	}
	n.Strategy = "one_for_one"
	if g.chance(g.flavour.groups) {
		n.Strategy = oneOf[otptest.Text](g, "one_for_all", "rest_for_one")
	}
	g.fill(n, level, inPool)
	return n
}

// fill gives a supervisor its children.
func (g *gen) fill(n *otptest.Node, level int, inPool bool) {
	count := 1 + g.IntN(4)
	if level == 0 {
		count++
	}
	heir := -1 // the child that carries on a long branch
	if g.flavour.spine {
		heir = g.IntN(count)
	}
	for i := range count {
		id := otptest.Text("abcdefg"[i : i+1])
		deeper := i == heir || g.chance(0.4) && !g.flavour.spine
		if level+1 < g.flavour.depth && deeper {
			n.Children = append(n.Children, g.subtree(id, n, level, inPool))
		} else {
			n.Children = append(n.Children, g.worker(id, n.AutoShutdown, inPool))
		}
	}
}

// subtree makes a child that is a supervisor. Nothing limits how long it may take to stop: whether that is
// enough would be a race.
func (g *gen) subtree(id otptest.Text, in *otptest.Node, level int, inPool bool) otptest.Child {
	c := otptest.Child{ID: id, Type: "supervisor", Tree: g.node(level+1, inPool)}
	g.restart(&c, in.AutoShutdown)
	if g.chance(g.flavour.failing / 4) {
		c.Behaviour.Start = oneOf(g, raws("ok", "error", "ok"), raws("ok", "crash", "ok"), raws("ok", "ignore", "ok"))
		if inPool {
			c.Behaviour.Start = raws("ok", "error", "ok")
		}
	}
	return c
}

// template makes the description of the children of a dynamic supervisor.
func (g *gen) template(level int, in *otptest.Node) otptest.Child {
	if level+1 < g.flavour.depth && g.chance(0.3) {
		c := g.subtree("t", in, level, true)
		c.Behaviour = otptest.Behaviour{}
		return c
	}
	c := g.worker("t", in.AutoShutdown, true)
	c.Behaviour.Start = nil
	return c
}

// restart chooses when a child is started again.
func (g *gen) restart(c *otptest.Child, auto otptest.Text) {
	c.Restart = oneOf[otptest.Text](g, "", "", "permanent", "permanent", "transient", "transient", "temporary")
	end := auto != "" && auto != "never"
	if end && (c.Restart == "transient" || c.Restart == "temporary") && g.chance(0.6) {
		c.Significant = raw(true)
	}
}

// worker makes a child that is no supervisor.
func (g *gen) worker(id, auto otptest.Text, inPool bool) otptest.Child {
	c := otptest.Child{ID: id, Behaviour: g.behaviour(inPool)}
	g.restart(&c, auto)
	switch string(c.Behaviour.Stop) {
	case `"ignore"`:
		c.Shutdown = raw(oneOf(g, 30, 60))
	case `"gate"`:
		c.Shutdown = raw("infinity")
	default:
		if g.chance(0.25) {
			c.Shutdown = oneOf(g, raw("brutal_kill"), raw("infinity"), raw(3000))
		}
	}
	return c
}

// behaviour makes a script. In a pool nothing is ignored and nothing waits at a gate: OTP itself miscounts then.
func (g *gen) behaviour(inPool bool) (b otptest.Behaviour) {
	if g.chance(g.flavour.failing) {
		b.Start = g.failing(inPool)
	}
	if g.chance(g.flavour.slow) {
		b.Stop = oneOf(g, raw("ignore"), raw(map[string]any{"delay_ms": 10 * (1 + g.IntN(3))}),
			raw(map[string]any{"reason": oneOf(g, "error", "normal", "shutdown:x")}))
	}
	return b
}

// failing makes starts some of which fail.
func (g *gen) failing(inPool bool) (list []rawMessage) {
	list = raws("ok")
	if g.chance(0.03) {
		list = nil
	}
	for range 1 + g.IntN(4) {
		outcome := oneOf(g, "ok", "error", "error", "crash", "ignore")
		if inPool && outcome == "ignore" {
			outcome = "error"
		}
		list = append(list, raw(outcome))
	}
	if g.chance(0.8) {
		list = append(list, raw("ok"))
	}
	return list
}

// enlist notes what there is below a supervisor.
func (g *gen) enlist(path string, n *otptest.Node) {
	g.sups = append(g.sups, sup{path, n})
	if n.Strategy == dynamic {
		return
	}
	for i := range n.Children {
		g.enlistChild(fmt.Sprintf("%s/%s", path, n.Children[i].ID), &n.Children[i])
	}
}

func (g *gen) enlistChild(path string, c *otptest.Child) {
	if c.Tree != nil {
		g.enlist(path, c.Tree)
	} else {
		g.workers = append(g.workers, path)
	}
}
