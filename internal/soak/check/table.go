package check

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/verdigris-go/verdigris/internal/soak/ledger"
)

// Row is a line of the table: what the calls saw that carried one kind of fault.
type Row struct {
	Kind     string // "" for the calls that carried none
	Planned  int
	Happened int
	Outcomes map[ledger.Outcome]int // of attempts
	Causes   map[string]int         // of crashes
	Attempts int
	Retried  int // calls with more than one attempt
}

// tabulate makes the rows, in the order of the kinds' names, the calls without
// a fault last.
func (b *books) tabulate(v *Verdict) {
	rows := map[string]*Row{}
	row := func(kind string) *Row {
		if rows[kind] == nil {
			rows[kind] = &Row{Kind: kind, Outcomes: map[ledger.Outcome]int{}, Causes: map[string]int{}}
		}
		return rows[kind]
	}
	kinds := map[int]string{}
	for _, l := range b.plan {
		r := row(l.Kind)
		r.Planned++
		kinds[l.Fault] = l.Kind
		if l.Fault < len(b.happened) && b.happened[l.Fault] == '1' {
			r.Happened++
			v.Faults++
		}
	}
	for i := range b.calls {
		row(kinds[b.calls[i].fault]).add(&b.calls[i])
	}
	v.Rows = slices.SortedFunc(func(yield func(Row) bool) {
		for r := range maps.Values(rows) {
			if !yield(*r) {
				return
			}
		}
	}, func(x, y Row) int {
		return cmp.Or(cmp.Compare(min(1, len(y.Kind)), min(1, len(x.Kind))), strings.Compare(x.Kind, y.Kind))
	})
	for _, r := range v.Rows {
		if 10*r.Happened < 9*r.Planned { // the last ones of a run may find nothing left to hit
			v.Missing = append(v.Missing, fmt.Sprintf("%s (%d of %d)", r.Kind, r.Happened, r.Planned))
		}
	}
}

func (r *Row) add(c *call) {
	r.Attempts += len(c.tries)
	if len(c.tries) > 1 {
		r.Retried++
	}
	for _, t := range c.tries {
		r.Outcomes[t.outcome]++
		if t.outcome == ledger.Crash {
			r.Causes[t.cause]++
		}
	}
}

// Table prints the rows: the faults, and what the attempts of the calls that
// carried them have come to.
func (v *Verdict) Table(w io.Writer) {
	fmt.Fprintf(w, "%-22s %8s %8s | %8s %8s %8s %8s %8s %8s %8s | %s\n", "fault", "planned", "happened",
		"answered", "error", "badansw.", "crashed", "interr.", "notstart", "retried", "why the worker died")
	for _, r := range v.Rows {
		name := cmp.Or(r.Kind, "(no fault)")
		fmt.Fprintf(w, "%-22s %8d %8d | %8d %8d %8d %8d %8d %8d %8d | %s\n", name, r.Planned, r.Happened,
			r.Outcomes[ledger.OK], r.Outcomes[ledger.Refused], r.Outcomes[ledger.BadAnswer], r.Outcomes[ledger.Crash],
			r.Outcomes[ledger.Interrupted], r.Outcomes[ledger.NotStarted], r.Retried, causes(r.Causes))
	}
}

// causes lists them, the most frequent first.
func causes(n map[string]int) string {
	names := slices.SortedFunc(maps.Keys(n), func(a, b string) int {
		return cmp.Or(n[b]-n[a], strings.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, n[name])
	}
	return strings.Join(names, ", ")
}
