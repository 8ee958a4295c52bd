package tree

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/thejerf/suture/v4"
)

// shutdown is the type of ErrShutdown. It asks a suture.Supervisor not to start the service again.
type shutdown struct{}

func (shutdown) Error() string        { return "tree: shutdown" }
func (shutdown) Is(target error) bool { return target == suture.ErrDoNotRestart }

// ErrShutdown is the cause with which the context of a run is cancelled to ask it to stop, and what Serve returns
// after Stop. A service that returns it has ended by a shutdown: it is restarted only if it is
// permanent. Towards suture it matches suture.ErrDoNotRestart.
var ErrShutdown error = shutdown{}

// What may happen to a run.
var (
	// ErrKilled is the cause with which the context of a run is cancelled that is ended by force,
	// and what Serve returns after Kill.
	ErrKilled = errors.New("tree: killed")
	// ErrIgnore, returned by a Starter before it is ready, says that it need not run: no failure.
	ErrIgnore = errors.New("tree: the service need not run")
	// ErrNotReady: Serve returned nil before it was ready, a failed start.
	ErrNotReady = errors.New("tree: the service returned before it was ready")
	// ErrStartTimeout: it was not ready within Child.StartTimeout.
	ErrStartTimeout = errors.New("tree: the service was not ready in time")
	// ErrStillRunning: the service cannot be started, because a former run of it has not returned: it was
	// abandoned, or somebody else serves it.
	ErrStillRunning = errors.New("tree: a former run of the service has not returned yet")
	// ErrGoexit: the service called runtime.Goexit.
	ErrGoexit = errors.New("tree: the service called runtime.Goexit")
)

// Why a service is retired; see Retirer.
var (
	// ErrTerminated: by TerminateChild, TerminateRun or DeleteChild.
	ErrTerminated = errors.New("tree: terminated by request")
	// ErrEnded: it has ended, and its restart type does not bring it back.
	ErrEnded = errors.New("tree: ended, and is not restarted")
)

// The answers to requests that are refused; see RequestError.
var (
	ErrNotRunning     = errors.New("the supervisor is not running")
	ErrAlreadyStarted = errors.New("a child with this ID is running")
	ErrAlreadyPresent = errors.New("a child with this ID is known and does not run; use RestartChild or DeleteChild")
	ErrRunning        = errors.New("the child is running; use TerminateChild first")
	ErrRestarting     = errors.New("the child is waiting for a restart; use TerminateChild to cancel it")
	ErrNotFound       = errors.New("there is no such child")
	ErrDynamic        = errors.New("not possible for a dynamic supervisor; use StartService and TerminateRun")
	ErrNotDynamic     = errors.New("only possible for a dynamic supervisor; use StartChild")
	ErrMaxChildren    = errors.New("the supervisor has as many children as it may have")
)

// RequestError is the answer to a request that is refused. It unwraps to one of the errors above.
type RequestError struct {
	Op   string // the method
	Path string // of the supervisor
	ID   string // of the child, if one was named
	Run  Run    // ErrAlreadyStarted: the run there is
	Err  error
}

// Error names the request, the child and the reason.
func (e *RequestError) Error() string {
	return fmt.Sprintf("tree: %s %s: %v", e.Op, strings.TrimSuffix(e.Path+"/"+e.ID, "/"), e.Err)
}

// Unwrap returns the reason.
func (e *RequestError) Unwrap() error { return e.Err }

// StartError says that a child has failed to start. The start of a supervisor fails with the StartError of
// the child that failed, so StartErrors may be nested.
type StartError struct {
	Path string // of the supervisor
	ID   string // of the child
	Err  error  // why; never suture's sentinels, which would tell a host to forget the whole tree
}

// Error names the innermost child that failed, and why.
func (e *StartError) Error() string {
	if inner, ok := errors.AsType[*StartError](e.Err); ok {
		return inner.Error()
	}
	return fmt.Sprintf("tree: %s/%s did not start: %v", e.Path, e.ID, e.Err)
}

// Unwrap returns the reason.
func (e *StartError) Unwrap() error { return withoutSentinels(e.Err) }

// withoutSentinels returns err, or nil if it would mean something to a suture.Supervisor.
func withoutSentinels(err error) error {
	if errors.Is(err, suture.ErrDoNotRestart) || errors.Is(err, suture.ErrTerminateSupervisorTree) {
		return nil
	}
	return err
}

// IntensityError is how a supervisor ends that has given up, because it would have had to restart its children too
// often. To a parent in a tree that is a shutdown; a suture.Supervisor starts it again.
type IntensityError struct {
	Path     string        // of the supervisor
	ID       string        // the child whose restart was one too many
	Restarts int           // how many there were in the period, the refused one included
	Limit    int           // how many were allowed
	Period   time.Duration // within this time
	// Causes are the last 16 ends and failed starts of children, oldest first; the last one was too much. They
	// are facts; the error does not unwrap to them.
	Causes []Failure
}

// Failure is one end or failed start of a child.
type Failure struct {
	ID   string
	Time time.Time
	Err  error // nil: it ended normally
}

// Error names the supervisor, the child and the last cause.
func (e *IntensityError) Error() string {
	last := "ended normally"
	if n := len(e.Causes); n > 0 && e.Causes[n-1].Err != nil {
		last = e.Causes[n-1].Err.Error()
	}
	return fmt.Sprintf("tree: %s gave up: %d restarts within %v, %d allowed; last was %s: %s",
		e.Path, e.Restarts, e.Period, e.Limit, e.ID, last)
}

// AutoShutdownError is how a supervisor ends because of its significant children. It is an orderly end:
// towards suture it matches suture.ErrDoNotRestart.
type AutoShutdownError struct {
	Path string // of the supervisor
	ID   string // the significant child that ended last
	Err  error  // how it ended
}

// Error names the supervisor and the child.
func (e *AutoShutdownError) Error() string {
	return fmt.Sprintf("tree: %s ended itself, because its significant child %s has ended", e.Path, e.ID)
}

// Is makes it match suture.ErrDoNotRestart.
func (e *AutoShutdownError) Is(target error) bool { return target == suture.ErrDoNotRestart }

// TerminatedError is how a supervisor ends because a child returned suture.ErrTerminateSupervisorTree, to
// which it unwraps.
type TerminatedError struct {
	Path string // of the supervisor
	ID   string // the child
	Err  error  // what it returned
}

// Error names the child that asked for it.
func (e *TerminatedError) Error() string {
	return fmt.Sprintf("tree: %s was terminated by its child %s: %v", e.Path, e.ID, e.Err)
}

// Unwrap returns what the child returned.
func (e *TerminatedError) Unwrap() error { return e.Err }

// PanicError is a panic of a service, as an error.
type PanicError struct {
	Value any
	Stack []byte // of the panicking goroutine
}

// Error returns the value of the panic; the stack is in the field.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value of the panic if it is an error that is not one of suture's sentinels.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return withoutSentinels(err)
}

// Excuse returns an error that restarts a child as err does, but is not counted by the intensity of its
// supervisor. Only a Backoff then limits how often it restarts. Any error with a method
// Excused() bool that returns true does the same.
func Excuse(err error) error { return excused{err} }

type excused struct{ error }

func (e excused) Unwrap() error { return e.error }
func (excused) Excused() bool   { return true }

type excusable interface {
	error
	Excused() bool
}

func isExcused(err error) bool {
	e, ok := errors.AsType[excusable](err)
	return ok && e.Excused()
}

func isIgnore(err error) bool { return errors.Is(err, ErrIgnore) }
