package pool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

var (
	errCrash   = &child.CrashError{Worker: "w", Calls: []child.CallInfo{{Func: "f"}}, Exit: child.Exit{Cause: child.Segfault}}
	errNone    = &child.UnavailableError{Worker: "w", Reason: "no reason"}
	errUnbegun = &child.NotStartedError{Worker: "w", Func: "f", Reason: errCrash}
	errRemote  = &child.RemoteError{Worker: "w", Func: "f", Message: "no"}
	errPoison  = &QuarantinedError{Pool: "p", Suspect: Suspect{ID: "1", Call: child.CallInfo{Func: "f"}}}
	errLate    = &child.InterruptedError{Worker: "w", Func: "f", Started: true, Err: context.DeadlineExceeded}
)

// F64: what is tried again, and what is not.
func TestWhatIsTriedAgain(t *testing.T) {
	rule := Retry{Attempts: 3}.withDefaults()
	const enough = time.Second
	for _, test := range []struct {
		err        error
		repeatable bool
		n          int
		left       time.Duration
		want       GaveUp
	}{
		{errNone, false, 1, enough, goOn},
		{errNone, false, 2, enough, goOn},
		{errNone, false, 3, enough, OutOfAttempts},
		{errNone, false, 1, 0, OutOfTime},
		{errUnbegun, false, 1, enough, goOn},
		{errCrash, true, 1, enough, goOn},
		{errCrash, true, 3, enough, OutOfAttempts},
		{errCrash, true, 1, -1, OutOfTime},
		{errCrash, false, 1, enough, Final},
		{errRemote, true, 1, enough, Final},
		{errLate, true, 1, enough, Final},
		{errPoison, true, 1, enough, Final},
		{&OverloadedError{}, true, 1, enough, Final},
		{&QueueTimeoutError{}, true, 1, enough, Final},
		{&child.StateError{}, true, 1, enough, Final},
		{&child.UnknownFunctionError{}, true, 1, enough, Final},
		{&configError{}, true, 1, enough, Final},
		{errors.New("another"), true, 1, enough, Final},
	} {
		if got := rule.allows(test.err, test.repeatable, test.n, test.left); got != test.want {
			t.Errorf("after attempt %d, %T, repeatable %v, %v left: %v, not %v", test.n, test.err, test.repeatable, test.left, got, test.want)
		}
	}
}

// F64: whatever the order of calls and failures, retries are never more than the
// budget's share of the calls, and the reserve.
func TestBudget(t *testing.T) {
	for _, share := range []float64{0.001, 0.1, 0.3, 1, 2.5, 100} {
		b, calls, retries := newBudget(share), 0, 0
		for range 100_000 {
			if rand.IntN(3) == 0 {
				b.earn()
				calls++
			} else if b.spend() {
				retries++
			}
			if most := share*float64(calls) + reserve; float64(retries) > most+1e-6 {
				t.Fatalf("budget %v: %d retries of %d calls", share, retries, calls)
			}
		}
		if share <= 1 && float64(retries) < 0.9*share*float64(calls) {
			t.Errorf("budget %v: only %d retries of %d calls", share, retries, calls)
		}
	}
	saved := newBudget(0.1)
	for range 1_000_000 {
		saved.earn()
	}
	n := 0
	for saved.spend() {
		n++
	}
	if n != reserve {
		t.Errorf("a million good calls have saved %d retries", n)
	}
}

// What a RetryError matches: whatever one of its errors does, but for "not started",
// which must be true of all.
func TestRetryError(t *testing.T) {
	for _, test := range []struct {
		errs               []error
		notStarted, poison bool
		crash              bool
	}{
		{[]error{errNone, errNone}, true, false, false},
		{[]error{errCrash, errNone}, false, false, true},
		{[]error{errNone, errCrash}, false, false, true},
		{[]error{errCrash, errPoison}, false, true, true},
		{[]error{errNone, errPoison}, true, true, false},
	} {
		err := fmt.Errorf("wrapped: %w", &RetryError{Pool: "p", Func: "f", Attempts: len(test.errs), Errors: test.errs})
		crash, crashed := errors.AsType[*child.CrashError](err)
		if errors.Is(err, child.ErrNotStarted) != test.notStarted || errors.Is(err, ErrQuarantined) != test.poison || crashed != test.crash {
			t.Errorf("%v matches the wrong errors", err)
		}
		if crashed && (crash != errCrash || !errors.Is(err, child.Segfault)) {
			t.Errorf("%v does not match its crash", err)
		}
		if again, ok := errors.AsType[*RetryError](err); !ok || again.Attempts != 2 {
			t.Errorf("%v is no RetryError", err)
		}
	}
}
