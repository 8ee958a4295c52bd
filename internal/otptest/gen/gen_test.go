package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/verdigris-go/verdigris/internal/otptest"
)

// The same seed makes the same candidates, and another one others.
func TestSeed(t *testing.T) {
	a, b := candidates("s", 0, 50), candidates("s", 0, 50)
	if !reflect.DeepEqual(a, b) {
		t.Error("one seed, two lists")
	}
	if reflect.DeepEqual(a, candidates("t", 0, 50)) {
		t.Error("two seeds, one list")
	}
}

// Candidates reach what is hard.
func TestReach(t *testing.T) {
	list := candidates("reach", 0, 400)
	count := map[string]int{}
	for _, sc := range list {
		text := string(raw(sc))
		for _, sign := range []string{
			dynamic, "one_for_all", "rest_for_one", `"significant":true`, `"gate"`, `"exit_many"`, `"async"`, `"stop":"ignore"`,
			`"brutal_kill"`, `"ok","error"`, `"ignore"`, `"start_async"`,
		} {
			if strings.Contains(text, sign) {
				count[sign]++
			}
		}
		if levels(&sc.Tree) >= 4 {
			count["four levels"]++
		}
		if slices.ContainsFunc(sc.Steps, func(st step) bool { return len(st.Exits) >= 3 }) {
			count["three at once"]++
		}
	}
	for what, n := range count {
		if n < len(list)/40 {
			t.Errorf("%s: only %d of %d", what, n, len(list))
		}
	}
	if len(count) != 14 || count["four levels"] < len(list)/4 {
		t.Errorf("not everything is reached: %v", count)
	}
}

func levels(n *otptest.Node) int {
	below := 0
	for _, c := range n.Children {
		if c.Tree != nil {
			below = max(below, levels(c.Tree))
		}
	}
	return 1 + below
}

// Steps without effect go, and with them the recording.
func TestPrune(t *testing.T) {
	sc := &otptest.Scenario{
		Steps: []step{
			{Op: "exit", Child: "root/a"},
			{Op: "exit", Child: "root/b"},
			{Op: "exit_many", Exits: []otptest.Exit{{Child: "root/a"}, {Child: "root/b"}}},
			{Op: "release", Child: "root/a"},
			{Op: "restart_child", Sup: "root/m", Async: "r1"},
			{Op: "await", Ref: "r1"},
			{Op: "stop"},
		},
		Expect: &otptest.Expect{Steps: []otptest.Observation{
			{Result: "ok"},
			{Result: "no_process"},
			{Result: []any{"no_process", "ok"}},
			{Result: "no_gate"},
			{Result: "pending"},
			{Result: "noproc"},
			{Result: "ok"},
		}},
	}
	want := []step{
		{Op: "exit", Child: "root/a"},
		{Op: "exit_many", Exits: []otptest.Exit{{Child: "root/b"}}},
		{Op: "stop"},
	}
	if !prune(sc) || !reflect.DeepEqual(sc.Steps, want) || sc.Expect != nil {
		t.Errorf("%+v", sc.Steps)
	}
}

// What two supervisors do at the same time has no order.
func TestRacy(t *testing.T) {
	events := func(list ...any) otptest.Observation { return otptest.Observation{Result: "ok", Events: list} }
	start := events("started root/m/a#1", "started root/m#1", "started root#1")
	died := events("stopped root/m/a#1 exit error")
	late := events("stopped root/m#1 exit shutdown", "started root/m/a#2", "stopped root/m/a#2 exit error", "started root/m#2")
	asked := events("stopped root/m#1 asked shutdown", "stopped root/m/a#1 asked shutdown")
	for _, c := range []struct {
		name  string
		steps []step
		seen  []otptest.Observation
		racy  bool
	}{
		{"a worker dies", []step{{Op: "exit"}}, []otptest.Observation{died}, false},
		{"a worker dies while its supervisor is starting", []step{{Op: "exit"}}, []otptest.Observation{late}, true},
		{"a supervisor stops", []step{{Op: "stop"}}, []otptest.Observation{asked}, false},
		{"a request to one that is up", []step{{Op: "count_children", Sup: "root/m"}}, []otptest.Observation{events()}, false},
		{"a request to one that is not", []step{{Op: "stop"}, {Op: "count_children", Sup: "root/m"}}, []otptest.Observation{asked, events()}, true},
	} {
		sc := &otptest.Scenario{Steps: c.steps, Expect: &otptest.Expect{Start: start, Steps: c.seen}}
		if racy(sc) != c.racy {
			t.Errorf("%s: not %v", c.name, c.racy)
		}
	}
}
