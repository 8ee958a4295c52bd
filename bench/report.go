//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// unit says how a value is written.
type unit string

const (
	nanoseconds unit = "ns"
	perSecond   unit = "/s"
	bytes       unit = "B"
	percent     unit = "% of a core"
	count       unit = ""
)

// write writes a value with three digits, and where the unit changes with the size, with that.
func (u unit) write(v float64) string {
	switch {
	case u == nanoseconds && v >= 1e9:
		return digits(v/1e9) + " s"
	case u == nanoseconds && v >= 1e6:
		return digits(v/1e6) + " ms"
	case u == nanoseconds && v >= 1e3:
		return digits(v/1e3) + " us"
	case u == nanoseconds:
		return digits(v) + " ns"
	case u == bytes && v >= 100<<10:
		return digits(v/(1<<20)) + " MiB"
	case u == bytes:
		return digits(v) + " B"
	case u == percent:
		return digits(v) + " %"
	}
	return digits(v) + string(u)
}

func digits(v float64) string {
	switch {
	case v == 0:
		return "0"
	case math.Abs(v) >= 1000:
		return thousands(strconv.FormatFloat(v, 'f', 0, 64))
	case math.Abs(v) >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func thousands(s string) string {
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// target is what a line has to reach. The zero target is none: the line is there
// to be looked at.
type target struct {
	Sign  sign    `json:"sign"`
	Bound float64 `json:"bound"`
	Times bool    `json:"times"` // the bound is one of the ratio, else of the value
}

type sign string

const (
	most  sign = "<="
	less  sign = "<"
	least sign = ">="
)

func atMost(v float64) target        { return target{most, v, false} }
func atLeast(v float64) target       { return target{least, v, false} }
func atMostTimes(v float64) target   { return target{most, v, true} }
func lessThanTimes(v float64) target { return target{less, v, true} }
func atLeastTimes(v float64) target  { return target{least, v, true} }

func (t target) write(u unit) string {
	switch {
	case t.Sign == "":
		return ""
	case t.Times:
		return string(t.Sign) + " " + digits(t.Bound) + " x"
	}
	return string(t.Sign) + " " + u.write(t.Bound)
}

// judge holds a line's value, or its ratio, against the bound.
func (t target) judge(value, ratio float64) verdict {
	if t.Times {
		value = ratio
	}
	good := false
	switch t.Sign {
	case "":
		return untargeted
	case most:
		good = value <= t.Bound
	case less:
		good = value < t.Bound
	case least:
		good = value >= t.Bound
	}
	if good {
		return met
	}
	return missed
}

// verdict is how a line stands to its target.
type verdict string

const (
	untargeted verdict = ""
	met        verdict = "met"
	missed     verdict = "missed"
	notThere   verdict = "not there"
)

// line is one line of the table: one value of one kind of work.
type line struct {
	Row      string  `json:"row"`
	Work     string  `json:"work"`
	Unit     unit    `json:"unit"`
	Ours     summary `json:"ours"`
	Baseline string  `json:"baseline,omitempty"`
	Base     summary `json:"base"`
	Ratio    summary `json:"ratio"`
	Target   target  `json:"target"`
	Verdict  verdict `json:"verdict"`
	Note     string  `json:"note,omitempty"`
	Peer     string  `json:"peer,omitempty"`    // whose it is, if not ours
	Nearest  string  `json:"nearest,omitempty"` // of the peers, and its value

	Rounds []float64 `json:"rounds"` // ours, one by one
}

// baseline is what a value is compared with, round by round.
type baseline struct {
	name   string
	values []float64
}

// compare makes a line of the values of all rounds.
func compare(work string, u unit, ours []float64, b baseline, t target) line {
	l := line{Work: work, Unit: u, Ours: summarise(ours), Baseline: b.name, Target: t, Rounds: ours}
	if b.name != "" {
		l.Base, l.Ratio = summarise(b.values), summarise(ratios(ours, b.values))
	}
	l.Verdict = t.judge(l.Ours.Median, l.Ratio.Median)
	return l
}

// alone is a line without a baseline.
func alone(work string, u unit, ours []float64, t target) line {
	return compare(work, u, ours, baseline{}, t)
}

// absent is a line for something that this version, or this machine, does not have.
func absent(work, why string) line { return line{Work: work, Verdict: notThere, Note: short(why)} }

const longestNote = 60

// short makes a note of a text that somebody else has written.
func short(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r == '|' }), " ")
	if len(text) > longestNote {
		text = strings.ToValidUTF8(text[:longestNote], "") + "..."
	}
	return text
}

// steady reports whether the rounds of a line agree: where there is a ratio, it counts.
func (l line) steady() bool {
	if l.Baseline != "" {
		return l.Ratio.steady()
	}
	return l.Ours.steady()
}

// report is all that is told.
type report struct {
	Machine machine `json:"machine"`
	Lines   []line  `json:"lines"`
}

func (r report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

const tableHead = "| row | work | median [min .. max] | baseline | ratio | target | | nearest peer |\n|---|---|---|---|---|---|---|---|\n"

// writeTable writes Markdown. The first line of a row is in bold; the lines of
// peers stand behind ours.
func (r report) writeTable(w io.Writer) error {
	var b strings.Builder
	b.WriteString(r.Machine.String() + "\n" + tableHead)
	for i, l := range r.Lines {
		row := l.Row
		if i == 0 || r.Lines[i-1].Row != row {
			row = "**" + row + "**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n",
			row, l.work(), l.ours(), l.base(), l.ratio(), l.Target.write(l.Unit), l.end(), l.Nearest)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (l line) work() string {
	if l.Peer != "" {
		return "*" + l.Work + "*"
	}
	return l.Work
}

func (l line) ours() string {
	if l.Verdict == notThere {
		return ""
	}
	return l.Unit.span(l.Ours)
}

func (l line) base() string {
	if l.Baseline == "" {
		return ""
	}
	return l.Baseline + " " + l.Unit.span(l.Base)
}

func (l line) ratio() string {
	if l.Baseline == "" {
		return ""
	}
	return unit("").span(l.Ratio)
}

// end is the verdict and what is to be said about the line.
func (l line) end() string {
	return strings.TrimSuffix(strings.TrimPrefix(string(l.Verdict)+", "+l.Note, ", "), ", ")
}

func (u unit) span(s summary) string {
	if s.Min == s.Max {
		return u.write(s.Median)
	}
	return fmt.Sprintf("%s [%s .. %s]", u.write(s.Median), u.write(s.Min), u.write(s.Max))
}
