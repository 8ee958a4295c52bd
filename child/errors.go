package child

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/verdigris-go/verdigris/internal/spawn"
)

// ErrNotStarted is matched by every error of a call whose function has surely
// not been started: sending the call again cannot run it twice.
var ErrNotStarted = errors.New("the call was not started")

// ErrAlreadyServed is returned by Serve of a Process that is being served.
var ErrAlreadyServed = errors.New("child: this Process is already being served; make one Process for each place in a tree")

// ErrNotInitialised is returned when a worker is to be started in a program
// that has not called Init: its worker would run main instead of taking over.
var ErrNotInitialised = errors.New("child: child.Init has not run in this process; call child.Init() as the first line of main (in tests: of TestMain)")

// ErrShortage is matched by a StartError when this program, or its host, is out
// of descriptors, processes or memory. That says nothing about the worker; a later
// start may succeed.
var ErrShortage = errors.New("a shortage of descriptors, processes or memory")

// CallInfo names one call in an error or a log record.
type CallInfo struct {
	Func  string
	Key   string // what WithKey gave, or ""
	Trace string // W3C traceparent, or ""
}

func (c CallInfo) String() string {
	if c.Key == "" {
		return c.Func
	}
	return fmt.Sprintf("%s [%s]", c.Func, brief(c.Key))
}

// LogValue carries what there is.
func (c CallInfo) LogValue() slog.Value {
	a := attrs{slog.String("func", c.Func)}
	a.str("key", c.Key)
	a.str("trace", c.Trace)
	return slog.GroupValue(a...)
}

// CrashError says that a worker process ended without having been asked to: by
// a signal, a panic, an exit of any status, or because it had to be killed. A
// call gets it when its function had been started; Process.Serve returns it. It
// unwraps to its Cause: errors.Is(err, child.Segfault).
type CrashError struct {
	Worker string        // Config.Name
	PID    int           //
	Run    uint64        // which life of the worker, from 1
	Uptime time.Duration // from ready to death; 0 when it never became ready
	Served uint64        // calls answered in this run
	Calls  []CallInfo    // what it was running; in a call's own error, that call comes first
	Replay string        // file with the input of the (first) call, for [Replay]; "" if none was kept
	// Innocent says that it was surely not the call with this error that brought the
	// worker down: another one panicked, or its deadline had passed. Of several calls
	// that ran, that is not known of other crashes.
	Innocent bool
	Exit     // how it ended
}

// Unwrap gives the cause.
func (e *CrashError) Unwrap() error { return e.Cause }

// Error is one line: who, how, while doing what, and the last thing it said.
func (e *CrashError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "worker %s (pid %d, run %d) %v", e.Worker, e.PID, e.Run, e.Exit)
	if p := e.Reported.Panic; p != nil && len(e.Calls) > 1 && e.Calls[0] != p.Call {
		fmt.Fprintf(&b, ", for %s", p.Call)
	}
	b.WriteString(e.running())
	if line := lastLine(e.Reported.words()); line != "" && e.wordsMatter() {
		fmt.Fprintf(&b, "; its last words: %s", line)
	}
	if e.Replay != "" {
		fmt.Fprintf(&b, "; its input is kept in %s", e.Replay)
	}
	return b.String()
}

// running says what ran, unless the text has named it already.
func (e *CrashError) running() string {
	more := ""
	if n := len(e.Calls) - 1; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	switch {
	case len(e.Calls) == 0:
		return ""
	case e.Detail != e.Calls[0].String():
		return ", while running " + e.Calls[0].String() + more
	case more != "":
		return ", while running it" + more
	}
	return ""
}

// LogValue carries every fact that there is, each once: under "error" how it
// ended, and the others by name. Of a report or of stderr it has some lines; the
// fields have them whole.
func (e *CrashError) LogValue() slog.Value {
	a := append(e.attrs(), slog.String("worker", e.Worker), slog.Int("pid", e.PID), slog.Uint64("run", e.Run))
	a.duration("uptime", e.Uptime)
	if e.Served > 0 {
		a = append(a, slog.Uint64("served", e.Served))
	}
	for i, c := range e.Calls {
		key := "call"
		if i > 0 {
			key = fmt.Sprintf("call%d", i+1)
		}
		a = append(a, slog.Any(key, c))
	}
	a.str("replay", e.Replay)
	if e.Innocent {
		a = append(a, slog.Bool("innocent", true))
	}
	return slog.GroupValue(a...)
}

const logLines = 10 // of a report or of stderr, in a log record

func headLines(s string, n int) string {
	at := 0
	for range n {
		i := strings.IndexByte(s[at:], '\n')
		if i < 0 {
			return s
		}
		at += i + 1
	}
	return fmt.Sprintf("%s... and %d more lines", s[:at], strings.Count(s[at:], "\n")+1)
}

func tailLines(s string, n int) string {
	s = strings.TrimRight(s, "\n")
	at := len(s)
	for range n {
		if at = strings.LastIndexByte(s[:at], '\n'); at < 0 {
			return s
		}
	}
	return s[at+1:]
}

// ConfigError says what is wrong with a Config. It matches ErrNotStarted.
type ConfigError struct {
	Worker string   // Config.Name
	Faults []string // at least one
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("child: Config of %q: %s", e.Worker, strings.Join(e.Faults, "; "))
}

// Is matches ErrNotStarted.
func (e *ConfigError) Is(target error) bool { return target == ErrNotStarted }

// RemoteError says that the function ran and returned an error. Its text is the
// error's; of its identity, what RegisterError has named: errors.Is works for those.
type RemoteError struct {
	Worker  string
	Func    string
	Message string
	wrapped []error // registered errors it matched in the worker
}

func (e *RemoteError) Error() string { return e.Message }

// Unwrap gives the registered errors that the original matched.
func (e *RemoteError) Unwrap() []error { return e.wrapped }

// LogValue carries every fact.
func (e *RemoteError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("error", e.Message), slog.String("worker", e.Worker), slog.String("func", e.Func))
}

// NotStartedError says that the worker ended, or was stopped, before it began
// this call. It matches ErrNotStarted.
type NotStartedError struct {
	Worker string
	Func   string
	Reason error // why the run ended; not unwrapped: it is not this call's doing
}

func (e *NotStartedError) Error() string {
	return fmt.Sprintf("call %s was not started, it may be sent again: %v", e.Func, e.Reason)
}

// Is matches ErrNotStarted.
func (e *NotStartedError) Is(target error) bool { return target == ErrNotStarted }

// InterruptedError says that the caller stopped waiting: its context ended, or
// the call's time was up. It unwraps to the context's error, and matches
// ErrNotStarted when the call had surely not been started by then.
type InterruptedError struct {
	Worker  string
	Func    string
	Started bool  // it was running, or may have been, or may still be begun
	Err     error // context.Canceled or context.DeadlineExceeded, or the context's cause
	ended   error // the context's own error, when Err is a cause
	waiting bool  // the worker had it, and had not begun with it yet
	pool    bool  // Worker is not one worker, but whoever stands in front of several
}

func interrupted(ctx context.Context, worker, fn string, started bool) *InterruptedError {
	return &InterruptedError{Worker: worker, Func: fn, Started: started, Err: context.Cause(ctx), ended: ctx.Err()}
}

func (e *InterruptedError) Error() string {
	state := "before it was started"
	if e.waiting {
		state = "while the worker had not begun with it (it still may)"
	} else if e.Started {
		state = "while it was running"
	}
	return fmt.Sprintf("call %s on %s %s was given up %s: %v", e.Func, kind(e.pool), e.Worker, state, e.Err)
}

// Unwrap gives the context's cause and its error, so that both errors.Is(err,
// context.Canceled) and a cause of the caller's own match.
func (e *InterruptedError) Unwrap() []error {
	if e.ended == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.ended}
}

// LogValue carries every fact.
func (e *InterruptedError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("error", e.Error()), slog.String(kind(e.pool), e.Worker),
		slog.String("func", e.Func), slog.Bool("started", e.Started))
}

// kind is what a name in an error is that of.
func kind(pool bool) string {
	if pool {
		return "pool"
	}
	return "worker"
}

// Is matches ErrNotStarted when the call had surely not been started.
func (e *InterruptedError) Is(target error) bool { return target == ErrNotStarted && !e.Started }

// UnavailableError says that there is no worker to take a call: none is served,
// none came up in time, or its supervisor has given up. It matches ErrNotStarted.
type UnavailableError struct {
	Worker   string
	Pool     bool          // Worker is the name of a pool, and it has no worker for the call
	Reason   string        // in words
	Since    time.Time     // since when there has been none; zero when there never was
	Waited   time.Duration // how long this call waited
	LastExit error         // how the last run ended, or why it never started; may be nil
}

func (e *UnavailableError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s is not available: %s", kind(e.Pool), e.Worker, e.Reason)
	if e.Waited > 0 {
		fmt.Fprintf(&b, " (waited %v)", e.Waited.Round(time.Millisecond))
	}
	if e.LastExit != nil {
		fmt.Fprintf(&b, "; last: %v", e.LastExit)
	}
	return b.String()
}

// Is matches ErrNotStarted.
func (e *UnavailableError) Is(target error) bool { return target == ErrNotStarted }

// LogValue carries every fact that there is, each once.
func (e *UnavailableError) LogValue() slog.Value {
	a := attrs{slog.String("error", "is not available: "+e.Reason), slog.String(kind(e.Pool), e.Worker)}
	if !e.Since.IsZero() {
		a = append(a, slog.Time("since", e.Since))
	}
	a.duration("waited", e.Waited)
	if e.LastExit != nil {
		a = append(a, slog.Any("last_exit", e.LastExit))
	}
	return slog.GroupValue(a...)
}

// StartError says that a worker could not be brought up. Serve returns it.
type StartError struct {
	Worker string
	Step   string // spawn, handshake, open
	Err    error
	Stderr string // what the worker wrote before it failed, its last lines
}

func (e *StartError) Error() string {
	s := fmt.Sprintf("worker %s did not start (%s): %v", e.Worker, e.Step, e.Err)
	if line := lastLine(e.Stderr); line != "" && !e.crashed() { // a crash has told its own
		s += "; its last words: " + line
	}
	return s
}

// Unwrap gives the cause.
func (e *StartError) Unwrap() error { return e.Err }

// Is matches ErrNotStarted, since no call has been sent to such a worker, and
// ErrShortage when that was the reason.
func (e *StartError) Is(target error) bool {
	return target == ErrNotStarted || target == ErrShortage && e.Step == "spawn" && spawn.Shortage(e.Err)
}

// LogValue carries every fact that there is, each once.
func (e *StartError) LogValue() slog.Value {
	a := attrs{slog.String("error", "did not start ("+e.Step+")"), slog.String("worker", e.Worker), slog.Any("cause", e.Err)}
	if !e.crashed() {
		a.str("stderr", tailLines(e.Stderr, logLines))
	}
	return slog.GroupValue(a...)
}

// crashed reports whether the cause has the worker's last lines too.
func (e *StartError) crashed() bool {
	_, ok := errors.AsType[*CrashError](e.Err)
	return ok
}

// StateError says that a function was called on a worker that has not the state
// it works on. It matches ErrNotStarted.
type StateError struct {
	Worker, Func string
	Needs, Has   string // names of states; Has may be ""
}

func (e *StateError) Error() string {
	has := "none"
	if e.Has != "" {
		has = fmt.Sprintf("%q", e.Has)
	}
	return fmt.Sprintf("function %s needs the state %q, worker %s has %s: give its Config a Setup made by that state's With", e.Func, e.Needs, e.Worker, has)
}

// Is matches ErrNotStarted.
func (e *StateError) Is(target error) bool { return target == ErrNotStarted }

// UnknownFunctionError says that a worker's binary does not have the function,
// or has it with other types. It matches ErrNotStarted.
type UnknownFunctionError struct {
	Worker, Func string
	Reason       string
}

func (e *UnknownFunctionError) Error() string {
	return fmt.Sprintf("worker %s cannot run %s: %s", e.Worker, e.Func, e.Reason)
}

// Is matches ErrNotStarted.
func (e *UnknownFunctionError) Is(target error) bool { return target == ErrNotStarted }

// codecError says that a value could not be encoded or decoded.
type codecError struct {
	name string
	what string // input, output, configuration
	err  error
}

func (e *codecError) Error() string { return fmt.Sprintf("%s: the %s: %v", e.name, e.what, e.err) }
func (e *codecError) Unwrap() error { return e.err }

// brief makes what a worker has said fit for a line of text: bounded, and
// without control characters.
func brief(s string) string {
	const most = 200 // bytes
	cut := ""
	if len(s) > most {
		s, cut = s[:most], "..."
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")) + cut
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimLeft(s, "\n"), "\n")
	return line
}

func lastLine(s string) string {
	s = strings.TrimRight(s, "\r\n \t")
	return brief(strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:]))
}
