package tree

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Picture says how a Snapshot is drawn: a tree with one line for each child. The zero value is what
// Snapshot.String draws:
//
//	shop          running     run 1  20 min  rest_for_one, 1 of 3 in 60 s
//	├─ decoder    running     run 2    12 s  run 1: killed by SIGSEGV
//	├─ resizers   running     run 1  20 min  one_for_one, 0 of 1 in 5 s
//	│  ├─ 1       running     run 1  20 min
//	│  └─ 2       restarting  run 7     2 s  next start in 3 s, attempt 6; run 7: exit status 3
//	└─ http       running     run 1  20 min
//
// The columns are the ID, the state, the run, and for how long it has been in this state. Then comes what else there is to
// say: strategy and restart budget of a supervisor (restarts that count at present, of how many allowed, in which time), the
// next restart, and how the last run before ended. Texts are made printable, since they may come from anywhere.
type Picture struct {
	Now      time.Time // up to when times are counted; zero: time.Now()
	Width    int       // columns at most, each character counted as one; 0: 100; at least 60
	Children int       // of one supervisor at most, those that run well are left out first; 0: 30
	ASCII    bool      // use nothing else
}

// String draws the snapshot as the zero Picture does.
func (s Snapshot) String() string { return Picture{}.Of(s) }

// Of draws a snapshot. The text does not end with a newline.
func (p Picture) Of(s Snapshot) string {
	p = p.withDefaults()
	top := s
	top.ID = cmp.Or(s.Path, s.ID)
	rows := p.rows(nil, top, "", "")
	w := p.measure(rows)
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = p.line(r, w)
	}
	return strings.Join(lines, "\n")
}

func (p Picture) withDefaults() Picture {
	if p.Now.IsZero() {
		p.Now = time.Now()
	}
	if p.Width == 0 {
		p.Width = 100
	}
	if p.Children == 0 {
		p.Children = 30
	}
	p.Width = max(60, p.Width)
	return p
}

// strokes are what the branches are drawn with.
type strokes struct{ child, last, pass, blank, cut string }

func (p Picture) strokes() strokes {
	if p.ASCII {
		return strokes{child: "|- ", last: "`- ", pass: "|  ", blank: "   ", cut: "..."}
	}
	return strokes{child: "├─ ", last: "└─ ", pass: "│  ", blank: "   ", cut: "…"}
}

// row is one line before it is aligned.
type row struct{ name, state, run, since, more string }

// rows appends the row of a node, drawn behind first, and those of its children, drawn behind rest.
func (p Picture) rows(list []row, s Snapshot, first, rest string) []row {
	list = append(list, row{
		name: first + p.clean(s.ID), state: s.State.String(), run: runText(s.Run),
		since: p.since(s.Since), more: p.clean(strings.Join(p.remarks(s), "; ")),
	})
	st := p.strokes()
	shown, others := p.choose(s.Children)
	for i, c := range shown {
		if i == len(shown)-1 && others == "" {
			list = p.rows(list, c, rest+st.last, rest+st.blank)
		} else {
			list = p.rows(list, c, rest+st.child, rest+st.pass)
		}
	}
	if others != "" {
		list = append(list, row{name: rest + st.last + st.cut, more: others})
	}
	return list
}

// choose returns the children to draw, and a text that counts the others.
func (p Picture) choose(children []Snapshot) (shown []Snapshot, others string) {
	if len(children) <= p.Children {
		return children, ""
	}
	bad := 0
	for _, c := range children {
		if !wellOff(c) {
			bad++
		}
	}
	good := max(0, p.Children-bad)
	bad = min(bad, p.Children)
	left := make(map[State]int)
	for _, c := range children {
		quota := &bad
		if wellOff(c) {
			quota = &good
		}
		if *quota > 0 {
			*quota--
			shown = append(shown, c)
		} else {
			left[c.State]++
		}
	}
	return shown, leftOut(left)
}

// wellOff reports whether there is nothing special about a node and all below.
func wellOff(s Snapshot) bool {
	for _, c := range s.Children {
		if !wellOff(c) {
			return false
		}
	}
	return s.State == Running
}

func leftOut(counts map[State]int) string {
	total, list := 0, []string(nil)
	for _, state := range slices.Sorted(maps.Keys(counts)) {
		total += counts[state]
		list = append(list, fmt.Sprintf("%d %v", counts[state], state))
	}
	return fmt.Sprintf("%d more: %s", total, strings.Join(list, ", "))
}

// remarks is what there is to say about a node beside its state.
func (p Picture) remarks(s Snapshot) []string {
	var list []string
	if i := s.Supervisor; i != nil {
		kind := i.Strategy.String()
		if i.Dynamic {
			kind = "dynamic"
		}
		list = append(list, fmt.Sprintf("%s, %d of %d in %s", kind, i.Used, i.Limit, period(i.Period)))
	}
	if s.State == Restarting {
		when := "now"
		if d := s.NextRetry.Sub(p.Now); d > 0 {
			when = "in " + span(d)
		}
		list = append(list, fmt.Sprintf("next start %s, attempt %d", when, s.Attempt))
	}
	if n := len(s.Exits); n > 0 {
		list = append(list, fmt.Sprintf("run %d: %s", s.Exits[n-1].Run, exitText(s.Exits[n-1])))
	}
	if s.HookPanics > 0 {
		list = append(list, fmt.Sprintf("OnEvent has panicked, %d times", s.HookPanics))
	}
	return list
}

// widths are those of the columns but the last.
type widths struct{ name, state, run, since int }

// measure finds widths with which everything but long names fits.
func (p Picture) measure(rows []row) (w widths) {
	for _, r := range rows {
		w.name = max(w.name, utf8.RuneCountInString(r.name))
		w.state = max(w.state, len(r.state))
		w.run = max(w.run, len(r.run))
		w.since = max(w.since, len(r.since))
	}
	w.name = min(w.name, p.Width/3)
	return w
}

func (p Picture) line(r row, w widths) string {
	head := fmt.Sprintf("%-*s  %-*s  %-*s  %*s  ", w.name, p.cut(r.name, w.name), w.state, r.state, w.run, r.run, w.since, r.since)
	return strings.TrimRight(head+p.cut(r.more, p.Width-utf8.RuneCountInString(head)), " ")
}

// cut shortens a text to a width and marks that.
func (p Picture) cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	mark := p.strokes().cut
	keep := max(0, width-utf8.RuneCountInString(mark))
	return string([]rune(s)[:keep]) + mark
}
