package main

import (
	"strings"

	"github.com/verdigris-go/verdigris/internal/otptest"
)

// racy reports whether a supervisor has found something in its queue when it came up. It then goes to work while its
// parent, which was waiting for it, goes on too, and nothing orders what the two do, even if OTP's scheduler does
// it the same way each time. The root has no such parent.
func racy(sc *otptest.Scenario) bool {
	r := race{up: map[string]bool{"root": true}}
	r.see(sc.Expect.Start)
	for i, st := range sc.Steps {
		if st.Sup != "" && !r.up[st.Sup] && sc.Expect.Steps[i].Result != "noproc" {
			return true
		}
		r.see(sc.Expect.Steps[i])
	}
	return r.found
}

// race looks for an end in a supervisor that is not up yet.
type race struct {
	up    map[string]bool // paths that have been started and have not ended
	found bool
}

func (r *race) see(o otptest.Observation) {
	for _, event := range otptest.Flat(o.Events) {
		words := strings.Fields(event)
		path, _, _ := strings.Cut(words[1], "#")
		switch words[0] {
		case "started":
			r.up[path] = true
		case "stopped":
			r.found = r.found || words[2] == "exit" && path != "root" && !r.up[parent(path)]
			r.up[path] = false
		}
	}
	r.up["root"] = true
}
