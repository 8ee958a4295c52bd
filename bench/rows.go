//go:build linux

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/verdigris-go/verdigris/bench/measure"
)

// effort says how much is done of everything.
type effort struct {
	rounds   int
	turn     measure.Pace
	pauses   int           // calls with pauses between them, in a turn
	starts   int           // of workers in a turn
	deaths   int           // in a turn
	resident int           // MiB that a worker has resident when it dies
	window   time.Duration // in which idle workers are watched
	idlers   int           // idle workers
	workers  int           // of row G
	children int           // in-process children
	restarts int           // of one child in a turn
	storm    int           // restarts in a storm
	depth    int           // levels of supervisors
	other    otherBuild    // that takes the same turns
	peers    bool          // they take part
	programs string        // the folder of the other programs of this module
}

var full = effort{
	rounds: 5, turn: measure.Pace{Time: 100 * time.Millisecond, Least: 10}, pauses: 40, starts: 5, deaths: 4, resident: 64, window: 10 * time.Second,
	idlers: 100, workers: 1000, children: 100_000, restarts: 5000, storm: 30_000, depth: 100, other: noBuild{}, peers: true,
}

// row is one row of the table.
type row struct {
	id, what string
	lines    func(effort) ([]line, error)
}

var rows = []row{
	{"A1", "one caller, 16 B", loneCaller},
	{"A2", "one caller, 16 B, Config.LowLatency", lowLatencyCaller},
	{"A3", "one caller with pauses", pausingCaller},
	{"A4", "one caller, larger payloads", payloads},
	{"B", "64 callers", crowds},
	{"C1", "a cold start", coldStarts},
	{"C2", "a warm pool", warmStarts},
	{"D1", "SIGKILL", kills},
	{"D2", "panics and faults in C", crashes},
	{"E", "idle workers", idleWorkers},
	{"F1", "many in-process children", manyChildren},
	{"F2", "restart of one of many", restarts},
	{"F3", "storms and deep trees", storms},
	{"G", "a thousand workers", thousand},
	{"M", "memory allocated by a call", allocations},
}

func choose(ids []string) ([]row, error) {
	if len(ids) == 0 {
		return rows, nil
	}
	var chosen []row
	for _, id := range ids {
		i := slices.IndexFunc(rows, func(r row) bool { return strings.EqualFold(r.id, id) })
		if i < 0 {
			return nil, fmt.Errorf("there is no row %q; there are %s", id, strings.Join(rowIDs(), " "))
		}
		chosen = append(chosen, rows[i])
	}
	return chosen, nil
}

func rowIDs() (ids []string) {
	for _, r := range rows {
		ids = append(ids, r.id)
	}
	return ids
}

// reading is what a row has said, and how long that took.
type reading struct {
	row   row
	lines []line
	took  time.Duration
}

// taker takes a row: here, or beside another build.
type taker func(row, effort) ([]line, error)

func takeRow(r row, e effort) ([]line, error) { return r.lines(e) }

func (take taker) read(r row, e effort) (reading, error) {
	fmt.Fprintf(os.Stderr, "bench: %-2s %s ", r.id, r.what)
	begin := time.Now()
	lines, err := take(r, e)
	fmt.Fprintf(os.Stderr, "(%.0f s)\n", time.Since(begin).Seconds())
	if err != nil {
		return reading{}, fmt.Errorf("row %s: %w", r.id, err)
	}
	for i := range lines {
		lines[i].Row = r.id
	}
	return reading{r, lines, time.Since(begin)}, nil
}

// readAll takes rows one after the other. One that has a target, and whose rounds
// do not agree, is taken once more at the end, if there is time: then the second
// reading counts, whatever it says.
func (take taker) readAll(chosen []row, e effort, within time.Duration) (lines []line, err error) {
	begin := time.Now()
	readings := make([]reading, len(chosen))
	for i, r := range chosen {
		if readings[i], err = take.read(r, e); err != nil {
			return nil, err
		}
	}
	for _, r := range readings {
		if !r.steady() && time.Since(begin)+r.took <= within {
			if r, err = take.read(r.row, e); err != nil {
				return nil, err
			}
		}
		lines = append(lines, r.noted()...)
	}
	return lines, nil
}

// steady reports whether the rounds agree in all lines that have a target.
func (r reading) steady() bool {
	return !slices.ContainsFunc(r.lines, func(l line) bool { return l.Target.Sign != "" && !l.steady() })
}

// noted are its lines, with a note where rounds do not agree.
func (r reading) noted() []line {
	for i, l := range r.lines {
		if !l.steady() {
			r.lines[i].Note = strings.TrimPrefix(l.Note+"; rounds differ", "; ")
		}
	}
	return r.lines
}
