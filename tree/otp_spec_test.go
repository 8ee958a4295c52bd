package tree

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/verdigris-go/verdigris/strategy"
)

// inexpressible says why a scenario cannot be written in Go's types, or "".
func (sc *scenario) inexpressible() string {
	reason := sc.Tree.inexpressible()
	for _, st := range sc.Steps {
		for _, c := range st.Specs {
			reason = first(reason, c.inexpressible())
		}
		if st.Spec != nil {
			reason = first(reason, st.Spec.inexpressible())
		}
	}
	return reason
}

func (n *nodeJSON) inexpressible() string {
	reason := ""
	if p := string(n.Period); p == "0" {
		reason = "a Period of zero is the default in Go, not a mistake"
	} else if p != "" && !isNumber(n.Period) {
		reason = "a Period that is not a number does not compile"
	}
	if s := string(n.Intensity); s != "" && !isNumber(n.Intensity) {
		reason = "a number of Restarts that is not a number does not compile"
	}
	for _, c := range n.Children {
		reason = first(reason, c.inexpressible())
	}
	return reason
}

func (c *childJSON) inexpressible() string {
	reason := ""
	if s := string(c.Significant); s != "" && s != "true" && s != "false" {
		reason = "a Significant that is not a bool does not compile"
	}
	if c.Tree != nil {
		reason = first(reason, c.Tree.inexpressible())
	}
	return reason
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func isNumber(text json.RawMessage) bool {
	var n float64
	return json.Unmarshal(text, &n) == nil
}

func number(text json.RawMessage) int {
	var n int
	if err := json.Unmarshal(text, &n); err != nil {
		panic(err)
	}
	return n
}

// spec makes the Spec of a supervisor. Unknown words become values out of range.
func (w *world) spec(n *nodeJSON, path string) Spec {
	s := Spec{Strategy: word[strategy.Strategy](n.Strategy, "one_for_one", "one_for_all", "rest_for_one")}
	s.AutoShutdown = word[strategy.AutoShutdown](n.AutoShutdown, "never", "any_significant", "all_significant")
	s.Intensity = intensity(n)
	if n.Strategy != "simple_one_for_one" {
		for _, c := range n.Children {
			s.Children = append(s.Children, w.child(&c, path))
		}
		return s
	}
	s.Strategy = strategy.OneForOne
	s.Dynamic = &Dynamic{}
	for i, c := range n.Children {
		spec := w.child(&c, path)
		if i > 0 {
			s.Children = append(s.Children, spec)
			continue
		}
		spec.Service = nil
		s.Dynamic.Template = spec
	}
	return s
}

// intensity translates OTP's numbers: there 0 means none, and in Go the default.
func intensity(n *nodeJSON) (i strategy.Intensity) {
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
func (w *world) child(c *childJSON, sup string) Child {
	spec := Child{ID: c.ID, Restart: word[strategy.Restart](c.Restart, "permanent", "transient", "temporary")}
	spec.Significant = string(c.Significant) == "true"
	spec.Type = word[Type](c.Type, "worker", "", "supervisor")
	if c.Type == "" || c.Type == "worker" {
		spec.Type = TypeWorker
	} else if c.Type == "supervisor" {
		spec.Type = TypeSupervisor
	}
	spec.Shutdown = shutdownOf(c.Shutdown)
	switch c.Start {
	case "missing":
	case "bad":
		spec.Service = ServiceFunc(nil)
	default:
		spec.Service = w.service(c, sup+"/"+c.ID)
	}
	return spec
}

func shutdownOf(text json.RawMessage) Shutdown {
	switch string(text) {
	case "":
		return 0
	case `"brutal_kill"`:
		return BrutalKill
	case `"infinity"`:
		return Infinity
	}
	if !isNumber(text) {
		return Shutdown(-99)
	}
	return After(time.Duration(number(text)) * time.Millisecond)
}

// word returns the position of a word in the list, where "" is the first, or a value out of range.
func word[T ~uint8](s string, words ...string) T {
	if s == "" {
		return 0
	}
	for i, w := range words {
		if s == w {
			return T(i)
		}
	}
	return 99
}

// specResult is the answer to get_childspec.
func specResult(c Child) any {
	var shutdown any
	switch d, ok := c.Shutdown.Limit(); {
	case ok:
		shutdown = d.Milliseconds()
	case c.Shutdown == BrutalKill:
		shutdown = "brutal_kill"
	default:
		shutdown = "infinity"
	}
	return map[string]any{"ok": map[string]any{"restart": c.Restart.String(), "significant": c.Significant,
		"shutdown": shutdown, "type": c.Type.String()}}
}

func pathOf(path string, n int) string { return fmt.Sprintf("%s#%d", path, n) }
