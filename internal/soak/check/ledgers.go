package check

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/verdigris-go/verdigris/internal/soak/ledger"
)

// try is one attempt of a call, put together from all ledgers.
type try struct {
	sent, got, settles int         // lines
	as                 ledger.Line // how it was made
	answer             ledger.Token
	outcome, settled   ledger.Outcome
	cause              string
	crashPID           int

	begins []begin
	ends   []int // runs that have finished it

	items  int // that came to the caller
	passed int // that a worker has sent
	passes int // the run that has
	shown  int // the highest report that the caller has seen
}

// begin is where an attempt was begun.
type begin struct {
	run  int // index
	with ledger.Token
}

// call is everything about one call.
type call struct {
	tries []try
	ends  int
	end   ledger.Outcome
	fault int // index in the plan, -1: none
}

// crashes are the attempts that were told of the same death.
type crashes struct{ told, width, pid int }

// life is one process of a worker.
type life struct {
	pid      int
	lane     string
	edition  int
	at, left int // nanoseconds; left 0: it did not end in good order
	begins   int
	spoilt   bool // it has sent what no worker may send
}

// books are all ledgers of a soak, read.
type books struct {
	calls    []call
	plan     []ledger.Line
	happened []byte
	lives    []life
	deaths   map[string]*crashes
	pools    map[string]ledger.Line // by lane
	doses    map[int]int            // how many workers each poison may kill
	drank    map[int]int            // and how many it was given to
	replaced []ledger.Line
	faults   *faults
}

// Ledgers reads the ledgers in dir, of a soak with this many calls, and judges
// them. The error says that they cannot be read at all.
func Ledgers(dir string, calls int) (*Verdict, error) {
	b := &books{
		calls: make([]call, calls), deaths: map[string]*crashes{}, pools: map[string]ledger.Line{},
		doses: map[int]int{}, drank: map[int]int{}, faults: &faults{},
	}
	for i := range b.calls {
		b.calls[i].fault = -1
	}
	var err error
	if b.happened, err = os.ReadFile(filepath.Join(dir, "happened")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := b.read(filepath.Join(dir, "plan"), b.planned); err != nil {
		return nil, err
	}
	if err := b.read(filepath.Join(dir, "parent"), b.parent); err != nil {
		return nil, err
	}
	workers, err := filepath.Glob(filepath.Join(dir, "worker-*"))
	if err != nil {
		return nil, err
	}
	for _, path := range workers {
		w := &workerBook{books: b, run: -1}
		if err := b.read(path, w.line); err != nil {
			return nil, err
		}
	}
	return b.judge(), nil
}

// read passes each line of a file on. A last line without an end is one that a
// killed process was writing; it does not count.
func (b *books) read(path string, take func(ledger.Line)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 64<<10)
	for {
		text, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		l, err := ledger.Parse(strings.TrimSuffix(text, "\n"))
		if err != nil {
			b.faults.mismatch("%s: %v", filepath.Base(path), err)
			continue
		}
		take(l)
	}
}

func (b *books) planned(l ledger.Line) {
	if c := b.call(l); l.Event == ledger.Fault && c != nil {
		c.fault = l.Fault
		b.plan = append(b.plan, l)
	}
}

// call finds the call of a line; nil, and a fault, when there is no such call.
func (b *books) call(l ledger.Line) *call {
	if n := l.Attempt.Call; n >= 0 && n < len(b.calls) {
		return &b.calls[n]
	}
	b.faults.mismatch("%s of call %d, which is none", l.Event, l.Attempt.Call)
	return nil
}

// maxTries bounds what a line with a strange number costs.
const maxTries = 1 << 20

func (b *books) try(l ledger.Line) *try {
	c := b.call(l)
	if c == nil {
		return nil
	}
	if l.Attempt.Nth < 1 || l.Attempt.Nth > maxTries {
		b.faults.mismatch("%s of %v, which is no attempt", l.Event, l.Attempt)
		return nil
	}
	for len(c.tries) < l.Attempt.Nth {
		c.tries = append(c.tries, try{passes: -1})
	}
	return &c.tries[l.Attempt.Nth-1]
}

// parent takes a line of the parent's ledger.
func (b *books) parent(l ledger.Line) {
	switch l.Event {
	case ledger.Pool:
		b.pools[l.Lane] = l
		return
	case ledger.Dose:
		b.doses[l.Index] = l.Most
		return
	case ledger.Replaced:
		b.replaced = append(b.replaced, l)
		return
	case ledger.End:
		if c := b.call(l); c != nil {
			c.ends++
			c.end = l.Outcome
		}
		return
	}
	t := b.try(l)
	if t == nil {
		return
	}
	switch l.Event {
	case ledger.Sent:
		t.sent++
		t.as = l
	case ledger.Item:
		b.item(t, l)
	case ledger.Shown:
		b.shown(t, l)
	case ledger.Settled:
		t.settles++
		t.settled = l.Outcome
	case ledger.Got:
		t.got++
		t.answer, t.outcome, t.cause, t.crashPID = l.Token, l.Outcome, l.Cause, l.PID
		if l.Outcome == ledger.Crash {
			b.death(l)
		}
	default:
		b.faults.mismatch("a line %q in the parent's ledger", l.Event)
	}
}

// item takes a result of a stream, which must be the next one, and its own.
func (b *books) item(t *try, l ledger.Line) {
	switch {
	case t.got > 0:
		b.faults.mismatch("%v has brought result %d after its end", l.Attempt, l.Index)
	case l.Index < t.items:
		b.faults.duplicate("%v has brought result %d again", l.Attempt, l.Index)
	case l.Index > t.items:
		b.faults.mismatch("%v has brought result %d before %d", l.Attempt, l.Index, t.items)
	case l.Token != t.as.Token.Item(l.Index):
		b.faults.mismatch("%v has brought, as result %d, what is none of its own", l.Attempt, l.Index)
	}
	t.items = max(t.items, l.Index+1)
}

// shown takes a report, which must be a later one than the last, unless the call has been begun anew.
func (b *books) shown(t *try, l ledger.Line) {
	switch {
	case t.got > 0:
		b.faults.mismatch("%v has shown report %d after its end", l.Attempt, l.Index)
	case l.Index > t.as.Reports || l.Token != t.as.Token.Answer():
		b.faults.mismatch("%v has shown report %d, which is none of its own", l.Attempt, l.Index)
	case l.Index <= t.shown && t.as.Most == 1:
		b.faults.mismatch("%v has shown report %d after %d", l.Attempt, l.Index, t.shown)
	}
	t.shown = l.Index
}

func (b *books) death(l ledger.Line) {
	life := fmt.Sprintf("%s (pid %d)", l.Worker, l.PID)
	d := b.deaths[life]
	if d == nil {
		d = &crashes{width: l.Width, pid: l.PID}
		b.deaths[life] = d
	}
	d.told++
}

// workerBook is the ledger of one life of a worker, while it is read.
type workerBook struct {
	*books
	run     int // index into lives
	width   int
	running int
}

func (w *workerBook) line(l ledger.Line) {
	if l.Event == ledger.Run {
		w.lives = append(w.lives, life{pid: l.PID, lane: l.Lane, edition: l.Edition, at: l.At})
		w.run, w.width = len(w.lives)-1, l.Width
		return
	}
	if w.run < 0 {
		w.faults.mismatch("%s of %v in a worker's ledger that has not begun", l.Event, l.Attempt)
		return
	}
	switch l.Event {
	case ledger.Left:
		w.lives[w.run].left = l.At
	case ledger.Drank:
		w.drank[l.Index]++
	default:
		if t := w.try(l); t != nil {
			w.executes(t, l)
		}
	}
}

func (w *workerBook) executes(t *try, l ledger.Line) {
	life := &w.lives[w.run]
	switch l.Event {
	case ledger.Begin:
		t.begins = append(t.begins, begin{w.run, l.Token})
		life.begins++
		if w.running++; w.running > w.width {
			w.faults.mismatch("worker %s (pid %d) ran %d calls at once, %v among them, and may run %d", life.lane, life.pid, w.running, l.Attempt, w.width)
		}
	case ledger.Finish:
		t.ends = append(t.ends, w.run)
		w.running--
	case ledger.Passed:
		w.passes(t, l)
	case ledger.Spoil:
		life.spoilt = true
	default:
		w.faults.mismatch("a line %q in a worker's ledger", l.Event)
	}
}

// passes takes a result that was sent. After that no other worker may send any.
func (w *workerBook) passes(t *try, l ledger.Line) {
	if t.passes != w.run && t.passes >= 0 {
		w.faults.duplicate("%v has had results sent by pid %d and by pid %d", l.Attempt, w.lives[t.passes].pid, w.lives[w.run].pid)
	} else if l.Index != t.passed {
		w.faults.mismatch("%v has had result %d sent before %d", l.Attempt, l.Index, t.passed)
	}
	t.passes, t.passed = w.run, l.Index+1
}

// faults are what was found to be wrong.
type faults struct {
	mismatched, lost, duplicated int
	texts                        []string
}

// maxTexts of faults are kept in words; all are counted.
const maxTexts = 50

func (f *faults) say(format string, args ...any) {
	if len(f.texts) < maxTexts {
		f.texts = append(f.texts, fmt.Sprintf(format, args...))
	}
}

func (f *faults) mismatch(format string, args ...any) {
	f.mismatched++
	f.say("mismatched: "+format, args...)
}

func (f *faults) lose(format string, args ...any) {
	f.lost++
	f.say("lost: "+format, args...)
}

func (f *faults) duplicate(format string, args ...any) {
	f.duplicated++
	f.say("duplicated: "+format, args...)
}
