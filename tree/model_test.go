package tree

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestModel plays random trials with the real tree, in fake time, and compares all that can be seen with what the
// model says. It runs longer with -rapid.checks=100000. No goroutine may be left: the bubble says so.
//
// The delays of restarts are really random, so it can happen that rapid cannot repeat a failure when it looks
// for the smallest trial that fails; what it has found last is printed in any case.
func TestModel(t *testing.T) {
	checkAtLeast(t, 1500)
	failure, spread := "", [4]int{}
	defer func() {
		if failure != "" {
			t.Log(failure)
		}
	}()
	rapid.Check(t, func(t *rapid.T) {
		trial := trials.Draw(t, "trial")
		var real *record
		rapid.SyncTest(t, func(*rapid.T) { real = playTrial(trial) })
		want, certain := expect(trial, real)
		if !certain {
			return
		}
		if wrong := compare(want, real); len(wrong) > 0 {
			failure = report(trial, real, wrong)
			t.Fatalf("the tree and the model differ")
		}
		for i, n := range want.spread {
			spread[i] += n
		}
	})
	// Delays are drawn evenly: with full jitter, no quarter can be without its share by chance.
	for i, n := range spread {
		if total := spread[0] + spread[1] + spread[2] + spread[3]; total > 200 && n < total/8 {
			t.Errorf("of %d delays only %d are in quarter %d of what is allowed", total, n, i+1)
		}
	}
	t.Logf("delays by quarter of what is allowed: %v", spread)
}

// checkAtLeast lets rapid check more often than it does by default, unless a flag says how often.
func checkAtLeast(t *testing.T, n int) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		f.Value.Set(strconv.Itoa(n))
		t.Cleanup(func() { f.Value.Set(f.DefValue) })
	}
}

func report(tr trial, real *record, wrong []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n", tr)
	for _, e := range real.events {
		fmt.Fprintf(&b, "%v\n", e)
	}
	fmt.Fprintf(&b, "\n%s", strings.Join(wrong, "\n"))
	return b.String()
}

var trials = rapid.Custom(drawTrial)

// compare returns what differs.
func compare(want, got *record) (wrong []string) {
	wrong = slices.Clone(got.wrong)
	differ := func(what string, want, got any) {
		if w, g := fmt.Sprint(want), fmt.Sprint(got); w != g {
			wrong = append(wrong, fmt.Sprintf("%s\n    tree  %s\n    model %s", what, g, w))
		}
	}
	for i := range max(len(want.events), len(got.events)) {
		var w, g any = "nothing", "nothing"
		if i < len(want.events) {
			w = want.events[i]
		}
		if i < len(got.events) {
			g = got.events[i]
		}
		if differ(fmt.Sprintf("event %d", i+1), w, g); w != g {
			break
		}
	}
	for _, name := range slices.Sorted(maps.Keys(union(want.retired, got.retired))) {
		differ("retired: "+name, want.retired[name], got.retired[name])
	}
	for _, i := range slices.Sorted(maps.Keys(union(want.answers, got.answers))) {
		differ(fmt.Sprintf("answer of step %d", i+1), want.answers[i], got.answers[i])
	}
	differ("result", want.result, got.result)
	return wrong
}

func union[K comparable, V any](a, b map[K]V) map[K]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
