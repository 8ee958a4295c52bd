package otptest

import (
	"encoding/json"
	"strings"
)

// Inexpressible says why a scenario cannot be written in Go's types, or "".
func (sc *Scenario) Inexpressible() string {
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

func (n *Node) inexpressible() string {
	reason := ""
	if p := string(n.Period); p == "0" {
		reason = "a Period of zero is the default in Go, not a mistake"
	} else if p != "" && !isInteger(n.Period) {
		reason = "a Period that is not a number does not compile"
	}
	if s := string(n.Intensity); s != "" && !isInteger(n.Intensity) {
		reason = "a number of Restarts that is not an integer does not compile"
	}
	for _, c := range n.Children {
		if n.dynamic() && (c.Start == "missing" || c.Start == "bad") {
			reason = first(reason, "a Template has no Service; StartService checks it")
		}
		reason = first(reason, c.inexpressible())
	}
	return reason
}

func (c *Child) inexpressible() string {
	if c.wrong {
		return "a Child that is none does not compile"
	}
	reason := ""
	if strings.HasPrefix(string(c.ID), foreign) {
		reason = "an ID that is not a string does not compile"
	}
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

func isInteger(text json.RawMessage) bool {
	var n int
	return string(text) != "null" && json.Unmarshal(text, &n) == nil
}
