//go:build linux

package main

import (
	"bufio"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/verdigris-go/verdigris/bench/measure"
)

// orderedVariable makes the test program the other build; its value is the folder
// of the other programs.
const orderedVariable = "VERDIGRIS_BENCH_ORDERED"

func newRival(t *testing.T) *rival {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(cmd.Environ(), orderedVariable+"="+once.programs)
	r, err := startRival(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.end)
	return r
}

// Both builds take the same turns, and what is compared is ours with theirs.
func TestAgainst(t *testing.T) {
	r := newRival(t)
	for _, id := range []string{"M", "C2", "A1"} {
		chosen, _ := choose([]string{id})
		lines, err := r.measure(chosen[0], once)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			if l.Baseline != "other" || l.Ours.Median < 0 || l.Base.Median < 0 || l.Verdict != untargeted {
				t.Errorf("%+v", l)
			}
		}
		if len(lines) == 0 {
			t.Error("no lines of", id)
		}
	}
}

// talk is a conversation whose other end says what it is told to, whatever it is
// asked.
func talk(answers ...string) conversation {
	return conversation{bufio.NewReader(strings.NewReader(strings.Join(answers, "\n") + "\n")), io.Discard}
}

func TestOrders(t *testing.T) {
	two := row{"X", "", func(e effort) ([]line, error) {
		scores, err := e.contest(side{"a", func() (measure.Sample, error) { return measure.Sample{Done: 1}, nil }}, side{"b", func() (measure.Sample, error) { return measure.Sample{Done: 2}, nil }})
		if err != nil {
			return nil, err
		}
		return []line{alone("w", count, scores[0].of(each), target{})}, nil
	}}
	for _, x := range []struct {
		answers []string
		want    string // of the error
	}{
		{[]string{saidDone, saidDone, saidDone, saidDone, `[]`}, ""},
		{[]string{saidNone, saidNone, saidNone, saidNone, `[]`}, ""},
		{[]string{saidDone, saidError + "it is tired"}, "the other build: it is tired"},
		{[]string{saidDone, saidDone, saidDone, saidDone, `x`}, "the lines of the other build"},
	} {
		r := &rival{conversation: talk(x.answers...)}
		lines, err := r.measure(two, once)
		if x.want == "" && (err != nil || len(lines) != 1 || lines[0].Verdict != notThere) || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%q: %+v, %v", x.answers, lines, err)
		}
	}
	e := once
	e.other = ordered{talk(orderTurn+"a", orderTurn+"b", orderTurn+"c")}
	if _, err := two.lines(e); err == nil || !strings.Contains(err.Error(), `"turn c"`) {
		t.Error("another turn than it has to take:", err)
	}
}

func TestBesideEachOther(t *testing.T) {
	ours := []line{
		alone("quicker", nanoseconds, []float64{5, 6}, atMost(1)),
		alone("fewer a second", perSecond, []float64{50, 60}, target{}),
		alone("the same", count, []float64{9.9, 9.8}, target{}),
		alone("now so, now so", count, []float64{5, 20}, target{}),
		compare("quicker, beside something else", nanoseconds, []float64{5, 6}, baseline{"x", []float64{1, 1}}, target{}),
		alone("as quick", count, []float64{5, 6}, target{}),
		alone("new", count, []float64{1, 1}, target{}),
		absent("not there", "why"),
	}
	var theirs []line
	for _, work := range []string{"quicker", "fewer a second", "the same", "now so, now so", "quicker, beside something else", "as quick"} {
		theirs = append(theirs, alone(work, count, []float64{10, 10}, target{}))
	}
	theirs[1].Rounds = []float64{100, 100}
	var got []string
	for _, l := range besideEachOther(ours, theirs) {
		got = append(got, l.Work+": "+l.end())
	}
	want := "quicker: better in all rounds|fewer a second: worse in all rounds|the same: |now so, now so: |as quick: better in all rounds|new: not there, in the other build|not there: not there, why"
	if strings.Join(got, "|") != want {
		t.Error(strings.Join(got, "|"))
	}
}
