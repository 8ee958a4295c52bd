package child

import (
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"time"

	"github.com/verdigris-go/verdigris/internal/spawn"
)

// Cause is why a worker process ended.
type Cause uint8

// The causes. What we did ourselves comes before what the worker's exit shows.
const (
	Unknown     Cause = iota // somebody else in this process reaped it
	Exited                   // it called exit, with any status
	Segfault                 // SIGSEGV or SIGBUS, in C or in Go
	Aborted                  // SIGABRT: abort(), an assertion
	Panicked                 // a Go panic: in a handler, or in a goroutine it started
	Fatal                    // a fatal error of the Go runtime: concurrent map writes, stack overflow, out of memory
	Signaled                 // another signal ended it
	Killed                   // SIGKILL that we did not send, for a reason nobody has told
	OutOfMemory              // the kernel's OOM killer, or a limit of its memory
	Deadline                 // killed by us: a call's time and its grace were over
	Canceled                 // killed by us: its caller had gone, and OnCancel is Kill
	Hung                     // killed by us: it did not answer the heartbeat
	Protocol                 // killed by us: it sent what no worker may send
	StopTimeout              // killed by us: it did not stop in time
	KillCalled               // killed by us: Kill was called
	Abandoned                // killed by us, and not dead: it was given up
)

// causes says each cause in words: as a name, and as what the worker did.
var causes = [...]struct{ name, deed string }{
	Unknown:     {"unknown", "ended in an unknown way: other code in this program has waited for it"},
	Exited:      {"exit", "exited"},
	Segfault:    {"segmentation fault", "crashed with a segmentation fault"},
	Aborted:     {"abort", "crashed with an abort"},
	Panicked:    {"panic", "crashed with a panic"},
	Fatal:       {"Go fatal error", "crashed with a fatal error of the Go runtime"},
	Signaled:    {"signal", "was ended by a signal"},
	Killed:      {"killed from outside", "was killed from outside by SIGKILL (the kernel's log tells if that was the OOM killer)"},
	OutOfMemory: {"out of memory", "ran out of memory"},
	Deadline:    {"deadline", "was killed because the deadline of a call had passed"},
	Canceled:    {"canceled", "was killed because a call was canceled"},
	Hung:        {"hung", "was killed because it did not answer the heartbeat"},
	Protocol:    {"protocol violation", "was killed because it broke the protocol"},
	StopTimeout: {"stop timeout", "did not stop in time and was ended"},
	KillCalled:  {"kill called", "was killed on request"},
	Abandoned:   {"abandoned", "did not die of SIGKILL and was abandoned"},
}

// String is the cause's name, fit for a log attribute or a metric's label.
func (c Cause) String() string {
	if int(c) < len(causes) {
		return causes[c].name
	}
	return fmt.Sprintf("Cause(%d)", uint8(c))
}

// Error is the same. A [*CrashError] unwraps to its Cause, so that
// errors.Is(err, child.Segfault) tells.
func (c Cause) Error() string { return c.String() }

// MarshalText is String.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Ordered reports whether this side has ended the worker by force.
func (c Cause) Ordered() bool { return c >= Deadline }

// Exit is how a worker process ended: the cause, and the facts it rests on.
// Those of the kernel cannot be forged; those of the worker can by a handler that
// sets out to do it, since they come out of its process. Segfault, Aborted,
// Panicked, Fatal and Signaled with an Observed.Code of 2 rest on the report that
// the worker's Go runtime has made: a SIGSEGV in C inside a Go worker is exit
// status 2 and a trace, not a signal.
type Exit struct {
	Cause    Cause
	Detail   string   // more about the cause, in one line: what this side found wrong, or the gist of the report
	Observed Observed // what the kernel says
	Reported Reported // what the worker says
}

// Observed is what the kernel tells about the end of a process.
type Observed struct {
	Code         int            // exit status, -1 when a signal ended it
	Signal       syscall.Signal // the signal that ended it, or 0
	Core         bool           // a core file was written
	User, System time.Duration  // processor time of the run, with that of descendants it has waited for
	// PeakMemory is the largest resident size of the run in bytes, 0 when it is not
	// known: Linux begins to count with the parent's size, so what is not clearly
	// above that says nothing.
	PeakMemory int64
	// Unseen says that the process had not been seen dead when this was written: Code is
	// -1, and all else is not known. That is so of an Abandoned worker, and in the error
	// of a call whose worker has panicked: the call does not wait for the end. The error
	// of that run, which Serve returns, has seen it.
	Unseen bool
}

// unseen is what is observed of an end that has not come yet.
var unseen = Observed{Code: -1, Unseen: true}

// CPU is the processor time of the run in total.
func (o Observed) CPU() time.Duration { return o.User + o.System }

// Reported is what the worker itself has told about its end. Each part may be missing.
type Reported struct {
	Trace   string  // the crash report of its Go runtime, on a descriptor of its own
	Panic   *Panic  // the panic in a handler, when that was the cause
	Stack   []Frame // out of these, where it crashed or was found: the user's functions, innermost first, at most 64
	Stderr  string  // the last lines it wrote to stderr, where everything in it may write
	Goodbye string  // why it said it would stop
}

// Panic is what a handler panicked with.
type Panic struct {
	Value string   // as printed by fmt
	Stack string   // of the panicking goroutine
	Call  CallInfo // the call whose handler it was
	id    uint64   // of that call, in its run
}

// String says what the worker did, in one line: "exited with status 3".
func (e Exit) String() string {
	var b strings.Builder
	if int(e.Cause) < len(causes) {
		b.WriteString(causes[e.Cause].deed)
	} else {
		b.WriteString("ended: " + e.Cause.String())
	}
	switch {
	case e.Cause == Exited:
		fmt.Fprintf(&b, " with status %d", e.Observed.Code)
	case e.tellsStatus():
		fmt.Fprintf(&b, " (%d, %v)", int(e.Observed.Signal), e.Observed.Signal)
	}
	if e.Observed.Core {
		b.WriteString(" (core dumped)")
	}
	before := " "
	if e.Detail != "" {
		b.WriteString(": " + brief(e.Detail))
		before = ", "
	}
	if in := site(e.Reported.Stack); in != "" {
		b.WriteString(before + in)
	}
	return b.String()
}

// LogValue carries every fact that there is, each once. Of a report or of
// stderr it has some lines; the fields have them whole.
func (e Exit) LogValue() slog.Value { return slog.GroupValue(e.attrs()...) }

func (e Exit) attrs() attrs {
	o, r := e.Observed, e.Reported
	a := attrs{slog.String("error", e.String()), slog.String("cause", e.Cause.String())}
	switch {
	case e.tellsStatus(), e.Cause == Killed, o.Code < 0 && o.Signal == 0:
	case o.Signal != 0:
		a.str("signal", o.Signal.String())
	default:
		a = append(a, slog.Int("code", o.Code))
	}
	a.duration("cpu", o.CPU())
	if o.PeakMemory > 0 {
		a = append(a, slog.Int64("peak_memory", o.PeakMemory))
	}
	a.str("goodbye", r.Goodbye)
	if r.Panic != nil {
		a.stack(r.Stack, r.Panic.Stack)
	} else {
		a.stack(r.Stack, r.Trace)
	}
	a.str("stderr", tailLines(r.words(), logLines))
	return a
}

// wordsMatter reports whether what the worker said at the end may explain it:
// its runtime's report has not, or says only that somebody has called abort.
func (e Exit) wordsMatter() bool {
	return e.Detail == "" && e.Reported.Trace == "" || e.Cause == Aborted
}

// words are the last lines of stderr without the runtime's report, which it
// prints there too.
func (r Reported) words() string {
	if r.Trace == "" {
		return r.Stderr
	}
	before, _, _ := strings.Cut("\n"+r.Stderr, "\n"+firstLine(r.Trace)+"\n")
	return strings.TrimPrefix(before, "\n")
}

// tellsStatus reports whether String says what the kernel says.
func (e Exit) tellsStatus() bool {
	return e.Cause == Exited || e.Cause == Signaled && e.Observed.Signal != 0
}

// attrs are attributes of which the empty ones are left out.
type attrs []slog.Attr

func (a *attrs) str(key, value string) {
	if value != "" {
		*a = append(*a, slog.String(key, value))
	}
}

// stack has a stack in one line, or, if there is none, the beginning of the text
// in which none was found.
func (a *attrs) stack(stack []Frame, text string) {
	if len(stack) == 0 {
		a.str("report", headLines(text, logLines))
		return
	}
	a.str("stack", chain(stack))
}

func (a *attrs) duration(key string, d time.Duration) {
	if d > 0 {
		*a = append(*a, slog.Duration(key, d.Round(time.Millisecond)))
	}
}

// order is a kill that this side decided on.
type order struct {
	cause  Cause
	detail string
	call   uint64 // the id of the call that made it necessary; 0: none did
}

// evidence is all that is known when a worker has ended.
type evidence struct {
	state    spawn.State
	ordered  *order // nil: it was not us
	reported Reported
	shortage shortage // of memory or tasks
}

// String says why the worker was to be killed.
func (o *order) String() string { return Exit{Cause: o.cause, Detail: o.detail}.String() }

// exit puts together what we ordered, what the kernel saw and what the worker's
// runtime reported on the status page. What it wrote to stderr, where everybody
// may write, only ever adds words to a report.
func (v evidence) exit() Exit {
	s := v.state
	e := Exit{Reported: v.reported, Observed: Observed{
		Code: s.Code, Signal: s.Signal, Core: s.Core, User: s.User, System: s.System, PeakMemory: s.MaxRSS,
	}}
	if s.Kind != spawn.Exited {
		e.Observed.Code = -1
	}
	e.Cause, e.Detail = v.cause()
	if v.ordered == nil {
		e.Cause, e.Detail = v.shortage.explain(e)
	}
	e.Reported.Stack = stackOf(e.Reported.Trace)
	if p := e.Reported.Panic; p != nil {
		e.Reported.Stack = stackOf(p.Stack)
	}
	return e
}

func (v evidence) cause() (Cause, string) {
	s, r := v.state, v.reported
	ours := s.Kind == spawn.Signaled && (s.Signal == syscall.SIGKILL || s.Signal == syscall.SIGTERM)
	orphan := s.Kind == spawn.Exited && s.Code == exitOrphan                         // its lifeline was cut
	dumped := s.Signal == syscall.SIGQUIT || strings.HasPrefix(r.Trace, "SIGQUIT: ") // as some orders want it; see Config.Dump
	switch {
	case r.Panic != nil:
		return Panicked, firstLine(r.Panic.Value)
	case v.ordered != nil && (ours || orphan || dumped || s.Kind == spawn.Unknown):
		return v.ordered.cause, v.ordered.detail
	case s.Kind == spawn.Exited && s.Code == exitPanic && r.Trace != "", // without a report it is just a status
		s.Kind == spawn.Signaled && s.Signal == syscall.SIGABRT && r.Trace != "": // GOTRACEBACK=crash ends so after any report
		return reportCause(r.Trace, r.Stderr)
	case s.Kind == spawn.Exited:
		return Exited, ""
	case s.Kind == spawn.Signaled:
		return signalCause(s.Signal), ""
	}
	return Unknown, ""
}

func signalCause(sig syscall.Signal) Cause {
	switch sig {
	case syscall.SIGSEGV, syscall.SIGBUS:
		return Segfault
	case syscall.SIGABRT:
		return Aborted
	case syscall.SIGKILL:
		return Killed
	}
	return Signaled
}

// reportCause reads the crash report of a Go runtime. Of a fatal error the
// report has the stacks only; its name is on stderr.
func reportCause(report, stderr string) (Cause, string) {
	const (
		fatal    = "fatal error: "
		noThread = "no thread could be created, raise Config.Tasks or the limits that hold here (ulimit -u, pids.max)"
	)
	detail := firstLine(report)
	sigline := lineWith(report, "[signal ")
	switch {
	case strings.HasPrefix(report, "panic: "):
		return Panicked, strings.TrimPrefix(detail, "panic: ")
	case strings.HasPrefix(report, "SIGABRT: ") && lineWith(stderr, "runtime/cgo: pthread_create failed: ") != "":
		return Fatal, noThread
	case strings.HasPrefix(report, "SIGABRT: "):
		return Aborted, ""
	case strings.HasPrefix(report, "SIGSEGV: "), strings.HasPrefix(report, "SIGBUS: "):
		return Segfault, faultAddress(report)
	case strings.HasPrefix(report, "SIG"):
		return Signaled, detail
	case strings.Contains(sigline, "SIGSEGV"), strings.Contains(sigline, "SIGBUS"):
		return Segfault, faultAddress(sigline)
	}
	name := strings.TrimPrefix(lineWith(report+"\n"+stderr, fatal), fatal)
	switch {
	case strings.Contains(name, "out of memory"), strings.Contains(name, "cannot allocate memory"): // two texts of the runtime for one thing
		return OutOfMemory, "fatal error: " + name
	case name == "newosproc":
		return Fatal, noThread
	}
	return Fatal, name
}

// faultAddress finds the address of a fault, in the second line of a report on a
// fault in C, "PC=0x47 m=0 sigcode=1 addr=0x100", or in "[signal SIGSEGV:
// segmentation violation code=0x1 addr=0x100 pc=0x64]".
func faultAddress(report string) string {
	line := lineWith(report, "PC=") + lineWith(report, "[signal ")
	_, addr, found := strings.Cut(line, " addr=")
	if !found {
		return ""
	}
	addr, _, _ = strings.Cut(addr, " ")
	return "address " + addr
}

func lineWith(s, prefix string) string {
	for line := range strings.Lines(s) {
		if strings.HasPrefix(line, prefix) {
			return strings.TrimRight(line, "\n")
		}
	}
	return ""
}
