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
	sent, got int // lines
	token     ledger.Token
	answer    ledger.Token
	outcome   ledger.Outcome
	cause     string
	crashPID  int

	begins, finishes int
	began, finished  int // runs: indices, -1 while there is none
	beganWith        ledger.Token
}

// call is everything about one call.
type call struct {
	tries []try
	ends  int
	end   ledger.Outcome
	fault int // index in the plan, -1: none
}

// crashes are the attempts that were told of the same death.
type crashes struct{ told, width int }

// books are all ledgers of a soak, read.
type books struct {
	calls    []call
	plan     []ledger.Line
	happened []byte
	pids     []int // of the workers' runs
	deaths   map[string]*crashes
	faults   *faults
}

// Ledgers reads the ledgers in dir, of a soak with this many calls, and judges
// them. The error says that they cannot be read at all.
func Ledgers(dir string, calls int) (*Verdict, error) {
	b := &books{calls: make([]call, calls), deaths: map[string]*crashes{}, faults: &faults{}}
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
		c.tries = append(c.tries, try{began: -1, finished: -1})
	}
	return &c.tries[l.Attempt.Nth-1]
}

// parent takes a line of the parent's ledger.
func (b *books) parent(l ledger.Line) {
	switch l.Event {
	case ledger.Sent:
		if t := b.try(l); t != nil {
			t.sent++
			t.token = l.Token
		}
	case ledger.Got:
		if t := b.try(l); t != nil {
			t.got++
			t.answer, t.outcome, t.cause, t.crashPID = l.Token, l.Outcome, l.Cause, l.PID
			if l.Outcome == ledger.Crash {
				b.death(l)
			}
		}
	case ledger.End:
		if c := b.call(l); c != nil {
			c.ends++
			c.end = l.Outcome
		}
	default:
		b.faults.mismatch("a line %q in the parent's ledger", l.Event)
	}
}

func (b *books) death(l ledger.Line) {
	life := fmt.Sprintf("%s (pid %d)", l.Worker, l.PID)
	d := b.deaths[life]
	if d == nil {
		d = &crashes{width: l.Width}
		b.deaths[life] = d
	}
	d.told++
}

// workerBook is the ledger of one life of a worker, while it is read.
type workerBook struct {
	*books
	run     int // index into pids
	width   int
	running int
	worker  string
}

func (w *workerBook) line(l ledger.Line) {
	if l.Event == ledger.Run {
		w.pids = append(w.pids, l.PID)
		w.run, w.width, w.worker = len(w.pids)-1, l.Width, l.Worker
		return
	}
	t := w.try(l)
	switch {
	case t == nil:
	case w.run < 0:
		w.faults.mismatch("%s of %v in a worker's ledger that has not begun", l.Event, l.Attempt)
	case l.Event == ledger.Begin:
		t.begins++
		t.began, t.beganWith = w.run, l.Token
		if w.running++; w.running > w.width {
			w.faults.mismatch("worker %s (pid %d) ran %d calls at once, %v among them, and may run %d", w.worker, w.pids[w.run], w.running, l.Attempt, w.width)
		}
	case l.Event == ledger.Finish:
		t.finishes++
		t.finished = w.run
		w.running--
	default:
		w.faults.mismatch("a line %q in a worker's ledger", l.Event)
	}
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
