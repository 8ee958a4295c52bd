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

var causeWords = [...]string{
	Unknown: "ended in an unknown way", Exited: "exited", Segfault: "crashed: segmentation fault", Aborted: "crashed: abort",
	Panicked: "crashed: panic", Fatal: "crashed: fatal error of the Go runtime", Signaled: "was ended by a signal",
	Killed: "was killed from outside", OutOfMemory: "ran out of memory", Hung: "was killed: it did not answer the heartbeat", Abandoned: "did not die of SIGKILL and was abandoned", Deadline: "was killed: a call's deadline had passed", Canceled: "was killed: a call was cancelled",
	Protocol: "was killed: it broke the protocol", StopTimeout: "did not stop in time and was ended", KillCalled: "was killed on request",
}

func (c Cause) String() string {
	if int(c) < len(causeWords) {
		return causeWords[c]
	}
	return fmt.Sprintf("Cause(%d)", uint8(c))
}

// Ordered reports whether this side has ended the worker by force.
func (c Cause) Ordered() bool { return c >= Deadline }

// Exit is how a worker process ended. Code, Signal, Core, CPU and MaxRSS are
// what the kernel says; Cause and Detail may rest on what the worker's Go
// runtime wrote (a SIGSEGV in C inside a Go worker is exit status 2 with a
// trace, not a signal).
type Exit struct {
	Cause  Cause
	Code   int            // exit status, -1 when a signal ended it
	Signal syscall.Signal // the signal that ended it, or 0
	Core   bool           // a core file was written
	Detail string         // first lines of the runtime's crash report, or what was wrong
	CPU    time.Duration  // user and system time of the run
	MaxRSS int64          // largest resident size, bytes
}

func (e Exit) String() string {
	var how string
	switch {
	case e.Signal != 0:
		how = fmt.Sprintf(" (signal %d, %v)", int(e.Signal), e.Signal)
	case e.Cause != Unknown:
		how = fmt.Sprintf(" (exit status %d)", e.Code)
	}
	if e.Detail != "" {
		return fmt.Sprintf("%v%s: %s", e.Cause, how, brief(e.Detail))
	}
	return e.Cause.String() + how
}

// LogValue carries every fact.
func (e Exit) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("cause", e.Cause.String()), slog.Int("code", e.Code), slog.Int("signal", int(e.Signal)),
		slog.Bool("core", e.Core), slog.String("detail", e.Detail), slog.Duration("cpu", e.CPU), slog.Int64("max_rss", e.MaxRSS))
}

// order is a kill that this side decided on.
type order struct {
	cause  Cause
	detail string
}

// classify puts together what we ordered, what the kernel saw and what the
// worker's runtime reported on the status page. What it wrote to stderr, where
// everybody may write, only ever adds words to a report.
func classify(s spawn.State, ordered *order, report, stderr string) Exit {
	e := Exit{Code: s.Code, Signal: s.Signal, Core: s.Core, CPU: s.User + s.System, MaxRSS: s.MaxRSS}
	ours := s.Kind == spawn.Signaled && (s.Signal == syscall.SIGKILL || s.Signal == syscall.SIGTERM)
	switch {
	case s.Kind == spawn.Exited && s.Code == exitOrphan && ordered != nil: // its lifeline was cut
		e.Cause, e.Detail = ordered.cause, ordered.detail
		return e
	case s.Kind == spawn.Exited:
		e.Cause = Exited
		if s.Code == exitPanic && report != "" { // without a report it is just a status
			e.Cause, e.Detail = reportCause(report, stderr)
		}
		return e
	case ordered != nil && (ours || s.Kind == spawn.Unknown):
		e.Cause, e.Detail = ordered.cause, ordered.detail
	case s.Kind == spawn.Signaled:
		e.Cause = signalCause(s.Signal)
		if s.Signal == syscall.SIGABRT && report != "" { // GOTRACEBACK=crash ends so after any report
			e.Cause, e.Detail = reportCause(report, stderr)
		}
	}
	e.Code = -1
	return e
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
	const fatal = "fatal error: "
	detail := firstLine(report)
	sigline := lineWith(report, "[signal ")
	switch {
	case strings.HasPrefix(report, "panic: "):
		return Panicked, strings.TrimPrefix(detail, "panic: ")
	case strings.HasPrefix(report, "SIGABRT: "):
		return Aborted, detail
	case strings.HasPrefix(report, "SIGSEGV: "), strings.HasPrefix(report, "SIGBUS: "):
		return Segfault, detail + faultAddress(report)
	case strings.HasPrefix(report, "SIG"):
		return Signaled, detail
	case strings.Contains(sigline, "SIGSEGV"), strings.Contains(sigline, "SIGBUS"):
		return Segfault, strings.Trim(sigline, "[]")
	}
	return Fatal, strings.TrimPrefix(lineWith(report+"\n"+stderr, fatal), fatal)
}

// faultAddress finds the address of a fault in C in the report's second line,
// "PC=0x47 m=0 sigcode=1 addr=0x100".
func faultAddress(report string) string {
	_, addr, found := strings.Cut(lineWith(report, "PC="), " addr=")
	if !found {
		return ""
	}
	return " at address " + addr
}

func lineWith(s, prefix string) string {
	for line := range strings.Lines(s) {
		if strings.HasPrefix(line, prefix) {
			return strings.TrimRight(line, "\n")
		}
	}
	return ""
}
