package otptest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// compare waits until all is quiet, takes what has happened since the last time, and fails if it is not what was expected.
func (w *world) compare(what string, want Observation, result any) {
	w.t.Helper()
	state := w.stage.settle(w, len(Flat(want.Events)))
	events := w.takeEvents()
	if got := normal(result); !reflect.DeepEqual(got, want.Result) {
		w.t.Errorf("%s: result\n got  %v\n want %v", what, got, want.Result)
	}
	if err := sameEvents(events, want.Events); err != nil {
		w.t.Errorf("%s: %v", what, err)
	}
	if want.State == nil {
		want.State = map[string]any{}
	}
	if got := w.stateDiff(state); !reflect.DeepEqual(got, want.State) {
		w.t.Errorf("%s: state\n got  %v\n want %v", what, got, want.State)
	}
	if w.t.Failed() {
		w.abort()
	}
}

// stateDiff returns the supervisors whose entry has changed since the last time.
func (w *world) stateDiff(now map[string]any) map[string]any {
	diff := map[string]any{}
	for path, v := range now {
		if !reflect.DeepEqual(v, w.state[path]) {
			diff[path] = v
		}
	}
	for path := range w.state {
		if now[path] == nil {
			diff[path] = nil
		}
	}
	w.state = now
	return diff
}

// normal makes of a Go value what JSON makes of it.
func normal(v any) (out any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	mustUnmarshal(text, &out)
	return out
}

// group returns the events of one entry in a trace: one, or several without an order.
func group(entry any) (events []string) {
	if s, ok := entry.(string); ok {
		return []string{s}
	}
	for _, s := range entry.(map[string]any)["events"].([]any) {
		events = append(events, s.(string))
	}
	return events
}

// Flat returns all events of a trace, also those in groups without an order.
func Flat(trace []any) (events []string) {
	for _, entry := range trace {
		events = append(events, group(entry)...)
	}
	return events
}

// sameEvents compares two traces. A group without an order is compared after sorting by its path, stably.
func sameEvents(got []string, want []any) error {
	rest := got
	for _, entry := range want {
		theirs := group(entry)
		n := min(len(theirs), len(rest))
		mine := slices.Clone(rest[:n])
		rest = rest[n:]
		slices.SortStableFunc(mine, byPath)
		slices.SortStableFunc(theirs, byPath)
		if !slices.Equal(mine, theirs) {
			return fmt.Errorf("events\n got  %q\n want %v", got, want)
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("surplus events %q\n got  %q\n want %v", rest, got, want)
	}
	return nil
}

func byPath(a, b string) int {
	return strings.Compare(strings.Fields(a)[1], strings.Fields(b)[1])
}
