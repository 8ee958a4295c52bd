//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/bench/measure"
)

func TestPoint(t *testing.T) {
	s := measure.Sample{Wall: 2 * time.Second, CPU: 400 * time.Millisecond, Facts: measure.Facts{"f": 7}}
	for n := range 100 {
		s.Took = append(s.Took, time.Duration(100-n)*time.Microsecond) // not in order
	}
	got := scored(s)
	want := point{p50: 50e3, p99: 99e3, each: 20e6, rate: 50, cpu: 4e6, facts: measure.Facts{"f": 7}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, not %+v", got, want)
	}
	counted := scored(measure.Sample{Done: 10, Wall: time.Second})
	if counted.rate != 10 || counted.each != 1e8 || counted.p50 != 0 {
		t.Errorf("of operations that were only counted: %+v", counted)
	}
	if empty := scored(measure.Sample{}); !reflect.DeepEqual(empty, point{}) {
		t.Errorf("of nothing: %+v", empty)
	}
}

func TestRank(t *testing.T) {
	for _, x := range []struct {
		n    int
		q    float64
		want int
	}{{1, 0.5, 1}, {1, 0.99, 1}, {2, 0.5, 1}, {3, 0.5, 2}, {4, 0.5, 2}, {100, 0.99, 99}, {101, 0.99, 100}, {10, 1, 10}} {
		var v []int
		for n := range x.n {
			v = append(v, n+1)
		}
		if got := rank(v, x.q); got != x.want {
			t.Errorf("rank %v of 1..%d: %d, not %d", x.q, x.n, got, x.want)
		}
	}
}

func TestSummary(t *testing.T) {
	values := []float64{5, 1, 3}
	if got := summarise(values); got != (summary{3, 1, 5}) || values[0] != 5 {
		t.Error(got, values)
	}
	if got := summarise([]float64{4, 1, 2, 8}); got != (summary{3, 1, 8}) {
		t.Error(got)
	}
	if got := summarise(nil); got != (summary{}) {
		t.Error(got)
	}
	if (summary{3, 2, 4.1}).steady() || !(summary{3, 2, 4}).steady() {
		t.Error("rounds that differ more than twofold, and those that do not, are taken for each other")
	}
}

// A round that was bad for both sides does not show in the ratio.
func TestRatiosAreOfTheSameRound(t *testing.T) {
	l := compare("w", nanoseconds, []float64{10, 100, 10}, baseline{"b", []float64{5, 50, 5}}, atMostTimes(2))
	if l.Ratio != (summary{2, 2, 2}) || l.Verdict != met || !l.steady() {
		t.Errorf("%+v", l)
	}
	if got := ratios([]float64{1, 2}, []float64{0, 4}); !slices.Equal(got, []float64{0.5}) {
		t.Error("with a baseline of nothing:", got)
	}
}

func TestContest(t *testing.T) {
	var order strings.Builder
	turn := func(name string, took time.Duration) side {
		return side{name, func() (measure.Sample, error) {
			order.WriteString(name)
			return measure.Sample{Took: []time.Duration{took}, Done: 1, Wall: took}, nil
		}}
	}
	scores, err := rounds(2).contest(turn("a", 1), turn("b", 2), turn("c", 3))
	if err != nil {
		t.Fatal(err)
	}
	if order.String() != "abccbaabccba" {
		t.Error("the order of the turns:", order.String())
	}
	for i, s := range scores {
		if got := s.of(p50); !slices.Equal(got, []float64{float64(i + 1), float64(i + 1)}) {
			t.Errorf("side %d: %v", i, got)
		}
	}
	calls := 0
	broken := side{"broken", func() (measure.Sample, error) {
		if calls++; calls == 2 {
			return measure.Sample{}, errors.New("out of order")
		}
		return measure.Sample{}, nil
	}}
	if _, err := rounds(1).contest(turn("a", 1), broken); err == nil || err.Error() != "broken: out of order" {
		t.Error(err)
	}
}

func TestJudge(t *testing.T) {
	for _, x := range []struct {
		target       target
		value, ratio float64
		want         verdict
	}{
		{target{}, 1, 1, untargeted},
		{atMost(0), 0, 9, met},
		{atMost(0), 1, 0, missed},
		{atMost(3), 3, 9, met},
		{atLeast(3), 3, 0, met},
		{atLeast(3), 2.9, 9, missed},
		{atMostTimes(1.1), 99, 1.1, met},
		{atMostTimes(1.1), 0, 1.11, missed},
		{lessThanTimes(1), 0, 1, missed},
		{lessThanTimes(1), 9, 0.99, met},
		{atLeastTimes(1.5), 0, 1.5, met},
		{atLeastTimes(1.5), 9, 1.4, missed},
	} {
		if got := x.target.judge(x.value, x.ratio); got != x.want {
			t.Errorf("%+v of %v, ratio %v: %q", x.target, x.value, x.ratio, got)
		}
	}
}

func TestWriting(t *testing.T) {
	for _, x := range []struct {
		unit  unit
		value float64
		want  string
	}{
		{nanoseconds, 0, "0 ns"},
		{nanoseconds, 999, "999 ns"},
		{nanoseconds, 8910, "8.91 us"},
		{nanoseconds, 123456, "123 us"},
		{nanoseconds, 2.5e6, "2.5 ms"},
		{nanoseconds, 5.75e9, "5.75 s"},
		{perSecond, 184487.4, "184,487/s"},
		{perSecond, 1234567, "1,234,567/s"},
		{bytes, 592, "592 B"},
		{bytes, 1.5 * (1 << 20), "1.5 MiB"},
		{percent, 0.123456, "0.123 %"},
		{count, 1000, "1,000"},
		{count, -1000, "-1,000"},
	} {
		if got := x.unit.write(x.value); got != x.want {
			t.Errorf("%v %s: %q, not %q", x.value, x.unit, got, x.want)
		}
	}
}

func sampleReport() report {
	others := guests{{name: "slow"}, {name: "broken", err: errors.New("it\nhangs |")}}
	theirs := others.lines("", nanoseconds, []score{{{p50: 20e3}}, {{}}}, p50, baseline{})
	r := report{Lines: append([]line{
		compare("by a child", nanoseconds, []float64{9000, 10000, 11000}, baseline{"pipe", []float64{9000, 5000, 5500}}, atMostTimes(1.1)).beside(theirs),
		alone("calls", perSecond, []float64{400000}, atLeast(300000)),
		alone("objects", count, []float64{0}, atMost(0)),
		alone("to look at", bytes, []float64{592}, target{}),
		absent("by a child", "Config.LowLatency"),
	}, theirs...)}
	for i := range r.Lines {
		r.Lines[i].Row = "X"
	}
	return r
}

func TestTable(t *testing.T) {
	const want = `| row | work | median [min .. max] | baseline | ratio | target | | nearest peer |
|---|---|---|---|---|---|---|---|
| **X** | by a child | 10 us [9 us .. 11 us] | pipe 5.5 us [5 us .. 9 us] | 2 [1 .. 2] | <= 1.1 x | missed | slow 20 us |
| X | calls | 400,000/s |  |  | >= 300,000/s | met |  |
| X | objects | 0 |  |  | <= 0 | met |  |
| X | to look at | 592 B |  |  |  |  |  |
| X | by a child |  |  |  |  | not there, Config.LowLatency |  |
| X | *slow* | 20 us |  |  |  |  |  |
| X | *broken* |  |  |  |  | not there, it hangs |  |
`
	var b strings.Builder
	if err := sampleReport().writeTable(&b); err != nil {
		t.Fatal(err)
	}
	if _, table, _ := strings.Cut(b.String(), "\n\n"); table != want {
		t.Errorf("%s\nnot\n%s", table, want)
	}
}

func TestJSON(t *testing.T) {
	var b strings.Builder
	if err := sampleReport().writeJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if want := sampleReport(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nnot\n%+v", got.Lines, want.Lines)
	}
}

func finite(s summary) bool {
	return !math.IsNaN(s.Median) && !math.IsInf(s.Median, 0) && s.Min <= s.Median && s.Median <= s.Max
}

func rounds(n int) effort { return effort{rounds: n, other: noBuild{}} }

// What others say does not break the table.
func TestShort(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "",
		"a | b\n\tc":            "a b c",
		strings.Repeat("x", 61): strings.Repeat("x", 60) + "...",
		strings.Repeat("é", 60): strings.Repeat("é", 30) + "...",
	} {
		if got := short(text); got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
}

func TestNearestPeer(t *testing.T) {
	peers := func(u unit) []line {
		all := guests{{name: "a"}, {name: "b"}, {name: "broken", err: errors.New("it hangs")}, {name: "c"}}
		return all.lines(", large", u, []score{{{p50: 30}}, {{p50: 20}}, {{}}, {{p50: 40}}}, p50, baseline{})
	}
	for _, x := range []struct {
		unit  unit
		peers []line
		want  string
	}{
		{nanoseconds, peers(nanoseconds), "b 20 ns"},
		{perSecond, peers(perSecond), "c 40/s"},
		{bytes, peers(bytes)[2:3], ""},
		{bytes, nil, ""},
	} {
		if got := alone("w", x.unit, []float64{1}, target{}).beside(x.peers).Nearest; got != x.want {
			t.Errorf("%q, not %q", got, x.want)
		}
	}
}
