package ledger

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// The events. The names are those of the lines' first fields.
const (
	Fault    = "fault"    // plan: index of the fault, its kind, the call that carries it
	Pool     = "pool"     // parent: a lane that is a pool, and what it has promised
	Sent     = "sent"     // parent: an attempt of a call is made
	Item     = "item"     // parent: a result of a stream has come
	Shown    = "shown"    // parent: a report has come
	Got      = "got"      // parent: what an attempt has come to
	Settled  = "settled"  // parent: an attempt takes no worker's time any more, and how that came
	End      = "end"      // parent: what the call has come to
	Dose     = "dose"     // parent: a poison will be given, or more of it; how many workers it may kill in all
	Replaced = "replaced" // parent: all workers of a lane have been replaced by an edition
	Run      = "run"      // worker: the life of a process begins
	Left     = "left"     // worker: it ends in good order
	Begin    = "begin"    // worker: an attempt is being executed
	Finish   = "finish"   // worker: an attempt has been executed
	Passed   = "passed"   // worker: a result of a stream has been sent
	Spoil    = "spoil"    // worker: what it sends now no worker may send
	Drank    = "drank"    // worker: it was given poison
)

// Outcome is what an attempt has come to, in the parent's words.
type Outcome string

// The outcomes. Of them Settled has OK, Crash and NotStarted.
const (
	OK          Outcome = "ok"          // an answer
	Refused     Outcome = "refused"     // the function returned an error
	BadAnswer   Outcome = "badanswer"   // an answer that cannot be decoded
	Crash       Outcome = "crash"       // the worker died while it ran
	NotStarted  Outcome = "notstarted"  // it has surely not been started
	Interrupted Outcome = "interrupted" // the caller left; it may have been started
	Broken      Outcome = "broken"      // the caller has had enough of a stream, or of reports
	Unexpected  Outcome = "unexpected"  // an error that no call may get
)

// What an attempt is.
const (
	Call   = "call"
	Stream = "stream"
)

// How often an attempt is told to be settled.
const (
	Once    = "once"
	Perhaps = "perhaps" // once, or never because it was not made after all
	Unheard = "unheard" // nobody listens
)

// Attempt names one attempt of one call. Calls are numbered from 0, attempts from 1.
type Attempt struct {
	Call int
	Nth  int
}

// Line is one event. Which fields count depends on the event, see columns.
type Line struct {
	Event   string
	Attempt Attempt
	Token   Token   // sent, begin: what goes in. got, item, shown: what came out
	Outcome Outcome // got, end, settled
	Cause   string  // got, after a crash: why, one word
	Worker  string  // got, after a crash: what tells this life of it from all others
	PID     int     // run, and got after a crash
	Width   int     // run, and got after a crash: how many calls the worker runs at once
	Fault   int     // fault: its index; Attempt.Call carries it
	Kind    string  // fault

	Lane    string // where the attempt goes, or the worker belongs
	Most    int    // sent: executions that are allowed. dose: workers that may die of it
	Shape   string // sent: Call or Stream
	Items   int    // sent: of a stream that comes to its end
	Reports int    // sent: that the function makes, if it comes to its end
	Settles string // sent: Once, Perhaps, Unheard
	Index   int    // item, passed: which, from 0. shown: how far. dose, drank: which poison
	Edition int    // run, replaced: of the workers of a lane, rising
	At      int    // run, left, replaced: when, in nanoseconds since 1970

	Budget int // pool: repeated executions for each thousand calls
	Spare  int // pool: repeated executions beyond those
	Each   int // pool: executions in one process; 0: no limit
	Steady int // pool: 1: a worker that leaves in good order always leaves another one behind
}

// column is one field of a line.
type column struct {
	put func(l *Line, dst []byte) []byte
	get func(l *Line, f *fields)
}

func number(at func(*Line) *int) column {
	return column{
		func(l *Line, dst []byte) []byte { return strconv.AppendInt(dst, int64(*at(l)), 10) },
		func(l *Line, f *fields) { *at(l) = f.num() },
	}
}

func word[T ~string](at func(*Line) *T) column {
	return column{
		func(l *Line, dst []byte) []byte { return append(dst, *at(l)...) },
		func(l *Line, f *fields) { *at(l) = T(f.word()) },
	}
}

var (
	ofCall    = number(func(l *Line) *int { return &l.Attempt.Call })
	ofNth     = number(func(l *Line) *int { return &l.Attempt.Nth })
	ofFault   = number(func(l *Line) *int { return &l.Fault })
	ofPID     = number(func(l *Line) *int { return &l.PID })
	ofWidth   = number(func(l *Line) *int { return &l.Width })
	ofMost    = number(func(l *Line) *int { return &l.Most })
	ofItems   = number(func(l *Line) *int { return &l.Items })
	ofReports = number(func(l *Line) *int { return &l.Reports })
	ofIndex   = number(func(l *Line) *int { return &l.Index })
	ofEdition = number(func(l *Line) *int { return &l.Edition })
	ofAt      = number(func(l *Line) *int { return &l.At })
	ofBudget  = number(func(l *Line) *int { return &l.Budget })
	ofSpare   = number(func(l *Line) *int { return &l.Spare })
	ofEach    = number(func(l *Line) *int { return &l.Each })
	ofSteady  = number(func(l *Line) *int { return &l.Steady })
	ofKind    = word(func(l *Line) *string { return &l.Kind })
	ofOutcome = word(func(l *Line) *Outcome { return &l.Outcome })
	ofCause   = word(func(l *Line) *string { return &l.Cause })
	ofWorker  = word(func(l *Line) *string { return &l.Worker })
	ofLane    = word(func(l *Line) *string { return &l.Lane })
	ofShape   = word(func(l *Line) *string { return &l.Shape })
	ofSettles = word(func(l *Line) *string { return &l.Settles })
	ofToken   = column{
		func(l *Line, dst []byte) []byte { return append(dst, l.Token.String()...) },
		func(l *Line, f *fields) { l.Token = f.token() },
	}
)

// columns are the fields of each event's line, behind its name.
var columns = map[string][]column{
	Fault:    {ofFault, ofCall, ofKind},
	Pool:     {ofLane, ofBudget, ofSpare, ofEach, ofSteady},
	Sent:     {ofCall, ofNth, ofToken, ofLane, ofMost, ofShape, ofItems, ofReports, ofSettles},
	Item:     {ofCall, ofNth, ofIndex, ofToken},
	Shown:    {ofCall, ofNth, ofIndex, ofToken},
	Got:      {ofCall, ofNth, ofOutcome, ofToken},
	Settled:  {ofCall, ofNth, ofOutcome},
	End:      {ofCall, ofNth, ofOutcome},
	Dose:     {ofIndex, ofMost},
	Replaced: {ofLane, ofEdition, ofAt},
	Run:      {ofPID, ofWidth, ofLane, ofEdition, ofAt},
	Left:     {ofAt},
	Begin:    {ofCall, ofNth, ofToken},
	Finish:   {ofCall, ofNth},
	Passed:   {ofCall, ofNth, ofIndex},
	Spoil:    {ofCall, ofNth},
	Drank:    {ofIndex},
}

// ofCrash follows when an attempt has got a crash.
var ofCrash = []column{ofCause, ofWorker, ofPID, ofWidth}

// Append appends the line, its end included.
func (l Line) Append(dst []byte) []byte {
	dst = append(dst, l.Event...)
	put := func(all []column) {
		for _, c := range all {
			dst = c.put(&l, append(dst, ' '))
		}
	}
	put(columns[l.Event])
	if l.crashed() {
		put(ofCrash)
	}
	return append(dst, '\n')
}

func (l *Line) crashed() bool { return l.Event == Got && l.Outcome == Crash }

// Parse reads a line without its end.
func Parse(s string) (Line, error) {
	f := &fields{rest: strings.Split(s, " ")}
	l := Line{Event: f.word()}
	all, ok := columns[l.Event]
	if !ok {
		return l, fmt.Errorf("ledger: no event %q in %q", l.Event, s)
	}
	get := func(all []column) {
		for _, c := range all {
			c.get(&l, f)
		}
	}
	get(all)
	if l.crashed() {
		get(ofCrash)
	}
	if f.bad || len(f.rest) > 0 {
		return l, fmt.Errorf("ledger: %q is no line", s)
	}
	return l, nil
}

// fields are the words of a line that have not been read yet.
type fields struct {
	rest []string
	bad  bool
}

func (f *fields) word() string {
	if len(f.rest) == 0 || f.rest[0] == "" {
		f.bad = true
		return ""
	}
	w := f.rest[0]
	f.rest = f.rest[1:]
	return w
}

func (f *fields) num() int {
	n, err := strconv.Atoi(f.word())
	f.bad = f.bad || err != nil || n < 0
	return n
}

func (f *fields) token() Token {
	n, err := strconv.ParseUint(f.word(), 16, 64)
	f.bad = f.bad || err != nil
	return Token(n)
}

// File is a ledger that is being written.
type File struct{ f *os.File }

// Create makes a new ledger; one that exists is an error.
func Create(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	return File{f}, err
}

// Write writes one line, with one system call.
func (f File) Write(l Line) error {
	_, err := f.f.Write(l.Append(make([]byte, 0, 96)))
	return err
}

// Close closes the file. Every write has told its own error.
func (f File) Close() { f.f.Close() }

// Happened says of each fault of a plan whether it has happened. Whoever makes
// it happen says so first: a process that dies of it cannot do so afterwards.
type Happened struct{ f *os.File }

// OpenHappened opens the file, and makes it if need be.
func OpenHappened(path string) (Happened, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	return Happened{f}, err
}

// Set notes that the fault happens now.
func (h Happened) Set(fault int) error {
	_, err := h.f.WriteAt([]byte{'1'}, int64(fault))
	return err
}

// Get reports whether it has happened.
func (h Happened) Get(fault int) bool {
	var b [1]byte
	_, _ = h.f.ReadAt(b[:], int64(fault)) // beyond the end: not yet
	return b[0] == '1'
}

// Close closes the file.
func (h Happened) Close() { h.f.Close() }
