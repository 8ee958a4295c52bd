package otptest

import (
	"encoding/json"
	"testing"
)

// Events must be the same, in the same order; only within a group without an order, paths may be mixed.
func TestSameEvents(t *testing.T) {
	var trace []any
	if err := json.Unmarshal([]byte(`["started root#1",
		{"unordered": "root/p", "events": ["stop_asked root/p/a#1 shutdown", "stopped root/p/a#1 asked shutdown",
			"stop_asked root/p/b#1 shutdown", "stopped root/p/b#1 asked shutdown"]},
		"stopped root#1 asked shutdown"]`), &trace); err != nil {
		t.Fatal(err)
	}
	const (
		up, askA, askB = "started root#1", "stop_asked root/p/a#1 shutdown", "stop_asked root/p/b#1 shutdown"
		offA, offB     = "stopped root/p/a#1 asked shutdown", "stopped root/p/b#1 asked shutdown"
		down           = "stopped root#1 asked shutdown"
	)
	for _, c := range []struct {
		name string
		same bool
		got  []string
	}{
		{"as recorded", true, []string{up, askA, offA, askB, offB, down}},
		{"mixed paths", true, []string{up, askB, askA, offB, offA, down}},
		{"wrong order of one path", false, []string{up, offA, askA, askB, offB, down}},
		{"across the group", false, []string{askA, up, offA, askB, offB, down}},
		{"one is missing", false, []string{up, askA, offA, askB, down}},
		{"the last is missing", false, []string{up, askA, offA, askB, offB}},
		{"one too many", false, []string{up, askA, offA, askB, offB, down, down}},
		{"nothing", false, nil},
	} {
		if err := sameEvents(c.got, trace); (err == nil) != c.same {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Whatever a recorded scenario holds can be read; what Go cannot express is said so.
func TestInexpressible(t *testing.T) {
	for text, want := range map[string]bool{
		`{"children":[{"id":"a"}]}`:                                        false,
		`{"children":[{"id":"a","restart":7}]}`:                            false, // an unknown value
		`{"children":[{"id":["a"]}]}`:                                      true,
		`{"children":["a"]}`:                                               true,
		`{"children":[{"id":"a","significant":"maybe"}]}`:                  true,
		`{"children":[{"id":"a","tree":{"intensity":1.5,"children":[]}}]}`: true,
		`{"period_s":0,"children":[]}`:                                     true,
		`{"strategy":null,"intensity":-1,"children":[]}`:                   false,
	} {
		var n Node
		if err := json.Unmarshal([]byte(text), &n); err != nil {
			t.Fatal(err)
		}
		if got := (&Scenario{Tree: n}).Inexpressible(); (got != "") != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}
