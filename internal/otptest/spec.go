package otptest

import (
	"encoding/json"
	"time"

	"github.com/verdigris-go/verdigris/strategy"
	"github.com/verdigris-go/verdigris/tree"
)

// spec makes the Spec of a supervisor. Unknown words become values out of range.
func (w *world) spec(n *Node, path string) tree.Spec {
	s := tree.Spec{Strategy: word[strategy.Strategy](n.Strategy, "one_for_one", "one_for_all", "rest_for_one")}
	s.AutoShutdown = autoShutdown(n.AutoShutdown)
	s.Intensity = intensity(n)
	for _, c := range n.Children {
		s.Children = append(s.Children, w.child(&c, path))
	}
	if n.dynamic() {
		s.Strategy, s.Dynamic = strategy.OneForOne, &tree.Dynamic{}
		if len(s.Children) > 0 {
			s.Dynamic.Template, s.Children = s.Children[0], s.Children[1:]
			s.Dynamic.Template.Service = nil
		}
	}
	return s
}

func autoShutdown(s Text) strategy.AutoShutdown {
	return word[strategy.AutoShutdown](s, "never", "any_significant", "all_significant")
}

// intensity translates OTP's numbers: there 0 means none, and in Go the default.
func intensity(n *Node) (i strategy.Intensity) {
	if len(n.Intensity) > 0 {
		i.Restarts = number(n.Intensity)
		if i.Restarts <= 0 {
			i.Restarts--
		}
	}
	if len(n.Period) > 0 {
		i.Period = time.Duration(number(n.Period)) * time.Second
	}
	return i
}

// child makes a Child with its scripted service.
func (w *world) child(c *Child, sup string) tree.Child {
	spec := tree.Child{ID: string(c.ID), Restart: word[strategy.Restart](c.Restart, "permanent", "transient", "temporary")}
	spec.Significant = string(c.Significant) == "true"
	spec.Type = typeOf(c.Type)
	spec.Shutdown = shutdownOf(c.Shutdown)
	switch c.Start {
	case "missing":
	case "bad":
		spec.Service = tree.ServiceFunc(nil)
	default:
		spec.Service = w.service(c, sup+"/"+string(c.ID))
	}
	return spec
}

func typeOf(s Text) tree.Type {
	switch s {
	case "", "worker":
		return tree.TypeWorker
	case "supervisor":
		return tree.TypeSupervisor
	}
	return 99
}

func shutdownOf(text json.RawMessage) tree.Shutdown {
	switch string(text) {
	case "":
		return 0
	case `"brutal_kill"`:
		return tree.BrutalKill
	case `"infinity"`:
		return tree.Infinity
	}
	if !isInteger(text) {
		return tree.Shutdown(-99)
	}
	return tree.After(time.Duration(number(text)) * time.Millisecond)
}

// limited reports whether there is a limit to the time in which a worker has to stop.
func (c *Child) limited() bool {
	if len(c.Shutdown) == 0 {
		return c.Type != "supervisor"
	}
	return string(c.Shutdown) != `"infinity"`
}

func number(text json.RawMessage) int {
	var n int
	mustUnmarshal(text, &n)
	return n
}

// word returns the position of a word in the list, where "" is the first, or a value out of range.
func word[T ~uint8](s Text, words ...string) T {
	if s == "" {
		return 0
	}
	for i, w := range words {
		if string(s) == w {
			return T(i)
		}
	}
	return 99
}
