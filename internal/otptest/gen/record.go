package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/verdigris-go/verdigris/internal/otptest"
)

// oracle runs scenarios on OTP.
type oracle struct {
	script string
	runs   int
}

// stable records candidates and returns those in which enough happens, always the same.
func (o oracle) stable(list []*otptest.Scenario, file string) ([]*otptest.Scenario, error) {
	defer func() { _ = os.Remove(file) }()
	for range 2 { // what a step does depends on those before it
		recorded, err := o.record(list, file, 1)
		if err != nil {
			return nil, err
		}
		list = list[:0]
		for _, sc := range recorded {
			if prune(sc) {
				list = append(list, sc)
			}
		}
	}
	list, err := o.record(list, file, o.runs)
	list = slices.DeleteFunc(list, func(sc *otptest.Scenario) bool { return sc.Expect == nil || ambiguous(sc) || racy(sc) })
	return list, err
}

// record has OTP run scenarios and returns them with what it did, if that was the same each time.
func (o oracle) record(list []*otptest.Scenario, file string, runs int) ([]*otptest.Scenario, error) {
	for i, sc := range list {
		sc.Name = strconv.Itoa(i)
	}
	if err := save(file, list); err != nil {
		return nil, err
	}
	cmd := exec.Command("escript", o.script, "record", "--jobs", "16", "--limit", "20000", "--runs", strconv.Itoa(runs), file)
	text, err := cmd.CombinedOutput() // its status is how many were unstable
	if !strings.Contains(string(text), " recorded, ") {
		return nil, fmt.Errorf("%v: %w\n%s", cmd, err, text)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	fmt.Println(lines[len(lines)-1])
	return otptest.ReadFile(file)
}

// prune removes the recording, and the steps that had no effect. It reports whether enough is left.
func prune(sc *otptest.Scenario) bool {
	e := sc.Expect
	sc.Expect = nil
	if e == nil {
		return false
	}
	state := maps.Clone(e.Start.State)
	if state == nil {
		state = map[string]any{}
	}
	gone := goneRefs(sc.Steps, e.Steps)
	var kept []otptest.Step
	for i, st := range sc.Steps {
		before := state[st.Sup]
		maps.Copy(state, e.Steps[i].State)
		if gone[st.Async] || gone[st.Ref] || st.Op == "start_child" && st.Instance != "" && lists(before, st.Instance) {
			continue
		}
		if st, ok := effective(st, e.Steps[i].Result); ok {
			kept = append(kept, st)
		}
	}
	sc.Steps = kept
	return len(kept) >= 3 && (e.Start.Result != "start_failed" || len(kept) > 4)
}

// goneRefs returns the requests whose supervisor was gone.
func goneRefs(steps []otptest.Step, seen []otptest.Observation) map[string]bool {
	gone := map[string]bool{}
	for i, st := range steps {
		if st.Op == "await" && seen[i].Result == "noproc" {
			gone[st.Ref] = true
		}
	}
	return gone
}

// effective returns a step without the parts that had no effect, and false if nothing is left.
func effective(st otptest.Step, result any) (otptest.Step, bool) {
	switch result {
	case "no_process", "noproc", "no_gate":
		return st, false
	}
	if st.Op != "exit_many" {
		return st, true
	}
	var exits []otptest.Exit
	for i, r := range result.([]any) {
		if r == "ok" {
			exits = append(exits, st.Exits[i])
		}
	}
	st.Exits = exits
	return st, len(exits) > 0
}

// lists reports whether the state of a dynamic supervisor lists an instance.
func lists(state any, instance string) bool { return slices.Contains(ids(state), instance) }

// ids returns the names in the state of a supervisor.
func ids(state any) (list []string) {
	entry, _ := state.(map[string]any)
	rows, _ := entry["which"].([]any)
	for _, row := range rows {
		list = append(list, strings.Fields(row.(string))[0])
	}
	return list
}

// ambiguous reports whether two instances of one name were alive at the same time.
func ambiguous(sc *otptest.Scenario) bool {
	for _, o := range append([]otptest.Observation{sc.Expect.Start}, sc.Expect.Steps...) {
		for _, state := range o.State {
			list := ids(state)
			slices.Sort(list)
			if len(slices.Compact(slices.Clone(list))) < len(list) {
				return true
			}
		}
	}
	return false
}
