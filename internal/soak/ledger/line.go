package ledger

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// The events. The names are those of the lines' first fields.
const (
	Fault  = "fault"  // plan: index of the fault, its kind, the call that carries it
	Sent   = "sent"   // parent: an attempt of a call is made
	Got    = "got"    // parent: what an attempt has come to
	End    = "end"    // parent: what the call has come to
	Run    = "run"    // worker: the life of a process begins
	Begin  = "begin"  // worker: an attempt is being executed
	Finish = "finish" // worker: an attempt has been executed
)

// Outcome is what an attempt has come to, in the parent's words.
type Outcome string

// The outcomes.
const (
	OK          Outcome = "ok"          // an answer
	Refused     Outcome = "refused"     // the function returned an error
	BadAnswer   Outcome = "badanswer"   // an answer that cannot be decoded
	Crash       Outcome = "crash"       // the worker died while it ran
	NotStarted  Outcome = "notstarted"  // it has surely not been started
	Interrupted Outcome = "interrupted" // the caller left; it may have been started
	Unexpected  Outcome = "unexpected"  // an error that no call may get
)

// Attempt names one attempt of one call. Calls are numbered from 0, attempts from 1.
type Attempt struct {
	Call int
	Nth  int
}

// Line is one event. Which fields count depends on the event.
type Line struct {
	Event   string
	Attempt Attempt
	Token   Token   // sent, begin: what goes in. got: what came out
	Outcome Outcome // got, end
	Cause   string  // got, after a crash: why, one word
	Worker  string  // run: the worker's name. got, after a crash: what tells this life of it from all others
	PID     int     // run, and got after a crash
	Width   int     // run, and got after a crash: how many calls the worker runs at once
	Fault   int     // fault: its index; Attempt.Call carries it
	Kind    string  // fault
}

// Append appends the line, its end included.
func (l Line) Append(dst []byte) []byte {
	dst = append(dst, l.Event...)
	num := func(n int) { dst = strconv.AppendInt(append(dst, ' '), int64(n), 10) }
	word := func(s string) { dst = append(append(dst, ' '), s...) }
	switch l.Event {
	case Fault:
		num(l.Fault)
		num(l.Attempt.Call)
		word(l.Kind)
		return append(dst, '\n')
	case Run:
		num(l.PID)
		num(l.Width)
		word(l.Worker)
		return append(dst, '\n')
	}
	num(l.Attempt.Call)
	num(l.Attempt.Nth)
	switch l.Event {
	case Sent, Begin:
		word(l.Token.String())
	case Got:
		word(string(l.Outcome))
		word(l.Token.String())
		if l.Outcome == Crash {
			word(l.Cause)
			word(l.Worker)
			num(l.PID)
			num(l.Width)
		}
	case End:
		word(string(l.Outcome))
	}
	return append(dst, '\n')
}

// Parse reads a line without its end.
func Parse(s string) (Line, error) {
	f := fields{rest: strings.Split(s, " ")}
	l := Line{Event: f.word()}
	switch l.Event {
	case Fault:
		l.Fault, l.Attempt.Call, l.Kind = f.num(), f.num(), f.word()
	case Run:
		l.PID, l.Width, l.Worker = f.num(), f.num(), f.word()
	case Sent, Begin:
		l.Attempt, l.Token = f.attempt(), f.token()
	case Finish:
		l.Attempt = f.attempt()
	case Got:
		l.Attempt, l.Outcome, l.Token = f.attempt(), Outcome(f.word()), f.token()
		if l.Outcome == Crash {
			l.Cause, l.Worker, l.PID, l.Width = f.word(), f.word(), f.num(), f.num()
		}
	case End:
		l.Attempt, l.Outcome = f.attempt(), Outcome(f.word())
	default:
		return l, fmt.Errorf("ledger: no event %q in %q", l.Event, s)
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

func (f *fields) attempt() Attempt { return Attempt{f.num(), f.num()} }

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
