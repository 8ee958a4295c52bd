package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/strategy"
)

// Retry says how often a call is tried. Tried again is what found no worker
// ([*child.UnavailableError]), and a call whose worker died ([*child.CrashError]) if
// its caller has declared it idempotent, see [child.Func.Idempotent]. Nothing else is:
// not what the function has answered, not what the pool has refused, not a call whose
// caller has left, and not a stream of which its caller has seen a part.
//
// A call that is tried again comes last into the queue, and may be refused there as a new
// one. It gets a worker as any call: the one that died has no place until it is up again,
// and is another process then.
type Retry struct {
	// Attempts is how often a call is tried at most, to 100. 0 and 1: once.
	Attempts int

	// Budget is how many retries there may be for each call, on average over the life of
	// the pool, from 0.001 to 100; so that workers that all die get hardly more calls
	// than they would otherwise. Ten retries may be made ahead of that, and unused ones
	// are saved only up to ten: of n calls there are never more than (1 + Budget) * n +
	// 10 attempts. 0: 0.1.
	Budget float64

	// Backoff delays an attempt: the wait before it is drawn at random between none and
	// its bound. A call whose deadline would pass meanwhile is not tried again. Zero: at
	// most 10 ms before the second attempt, twice that before the third, to 1 s.
	Backoff strategy.Backoff
}

// reserve is how many retries may be made without calls that have earned them.
const reserve = 10

func (r Retry) withDefaults() Retry {
	r.Budget = or(r.Budget, 0.1)
	r.Backoff = or(r.Backoff, strategy.Backoff{Initial: 10 * time.Millisecond, Max: time.Second})
	return r
}

func (r Retry) faults(fault func(wrong bool, format string, args ...any)) {
	fault(r.Attempts < 0 || r.Attempts > 100, "Retry.Attempts %d is not in 0..100", r.Attempts)
	fault(!(r.Budget >= 0.001 && r.Budget <= 100), "Retry.Budget %v is not in 0.001..100", r.Budget)
	fault(!r.Backoff.Valid(), "Retry.Backoff %+v has a negative number, or Max below Initial", r.Backoff)
}

// GaveUp is why a call was not tried once more.
type GaveUp uint8

const (
	// Final is an error after which no call is tried again.
	Final GaveUp = iota
	// OutOfAttempts is the end of Retry.Attempts.
	OutOfAttempts
	// OutOfBudget is an empty Retry.Budget.
	OutOfBudget
	// OutOfTime is a context that has ended, or would have before the next attempt.
	OutOfTime
)

var gaveUpNames = [...]string{"its last error is final", "out of attempts", "out of budget", "out of time"}

// String says it in words.
func (g GaveUp) String() string {
	if int(g) < len(gaveUpNames) {
		return gaveUpNames[g]
	}
	return fmt.Sprintf("GaveUp(%d)", uint8(g))
}

// RetryError says that a call was tried more than once, and failed each time. It matches
// what any of its errors matches, the last first; but child.ErrNotStarted only if all
// do. What a function has answered in the end is not an error of this kind.
type RetryError struct {
	Pool     string
	Func     string
	Attempts int     // how often it was tried
	GaveUp   GaveUp  // why not once more
	Errors   []error // of the attempts, in their order; and of the wait for one more, if the context ended in it
}

func (e *RetryError) Error() string {
	return fmt.Sprintf("call %s on pool %s was tried %d times (%v): %v", e.Func, e.Pool, e.Attempts, e.GaveUp, e.last())
}

func (e *RetryError) last() error { return e.Errors[len(e.Errors)-1] }

// Is matches what one of the errors matches, or for child.ErrNotStarted all of them.
func (e *RetryError) Is(target error) bool {
	if target == child.ErrNotStarted {
		for _, err := range e.Errors {
			if !errors.Is(err, target) {
				return false
			}
		}
		return true
	}
	for _, err := range e.Errors {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// As finds the last of the errors that is of the type.
func (e *RetryError) As(target any) bool {
	for i := len(e.Errors) - 1; i >= 0; i-- {
		if errors.As(e.Errors[i], target) {
			return true
		}
	}
	return false
}

// LogValue carries every fact.
func (e *RetryError) LogValue() slog.Value {
	a := []slog.Attr{
		slog.String("error", "all attempts have failed"), slog.String("pool", e.Pool), slog.String("func", e.Func),
		slog.Int("attempts", e.Attempts), slog.String("gave_up", e.GaveUp.String()),
	}
	for i, err := range e.Errors {
		a = append(a, slog.Any(fmt.Sprintf("error%d", i+1), err))
	}
	return slog.GroupValue(a...)
}

// persist tries a call as often as it may be.
func (p *Pool) persist(ctx context.Context, e *errand) error {
	if p.retries == nil {
		return p.attempt(ctx, e)
	}
	var errs []error
	for n := 1; ; n++ {
		err := p.attempt(ctx, e)
		if n == 1 {
			p.retries.earn() // now, so that of many calls at once each adds its share when it may be needed
		}
		if isAnswer(err) {
			return err
		}
		errs = append(errs, err)
		pause, why := p.retries.next(ctx, e.req, err, n)
		if why == goOn {
			if why = sleep(ctx, pause); why == OutOfTime {
				errs = append(errs, e.req.Interrupted(ctx, p.cfg.Name))
			}
		}
		switch {
		case why == goOn:
			p.retries.again()
		case len(errs) == 1:
			return err
		default:
			return &RetryError{p.cfg.Name, e.req.Func(), n, why, errs}
		}
	}
}

// goOn is no reason to give up.
const goOn GaveUp = math.MaxUint8

// sleep waits before the next attempt.
func sleep(ctx context.Context, d time.Duration) GaveUp {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return goOn
	case <-ctx.Done():
		return OutOfTime
	}
}

// retries decides about attempts after the first, for all calls of a pool.
type retries struct {
	Retry // its numbers are final

	mu           sync.Mutex
	budget       budget
	made, denied uint64 // attempts after a first one; those that the budget did not allow
}

// newRetries returns nil if there are none.
func newRetries(rule Retry) *retries {
	if rule.Attempts < 2 {
		return nil
	}
	return &retries{Retry: rule, budget: newBudget(rule.Budget)}
}

// earn notes that a call was made.
func (r *retries) earn() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.budget.earn()
}

// again notes that one more attempt is made.
func (r *retries) again() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made++
}

// next decides what to do after n attempts: to go on after a pause, or to give up.
func (r *retries) next(ctx context.Context, req *child.Request, err error, n int) (pause time.Duration, why GaveUp) {
	pause = rand.N(max(r.Backoff.Bound(n), 1))
	left := time.Duration(math.MaxInt64)
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	if ctx.Err() != nil {
		left = 0
	}
	if why := r.allows(err, mayRepeat(req), n, left-pause); why != goOn {
		return 0, why
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.budget.spend() {
		r.denied++
		return 0, OutOfBudget
	}
	return pause, goOn
}

// mayRepeat reports whether a call that a worker has begun may be sent once more.
func mayRepeat(req *child.Request) bool { return req.Idempotent() && !req.Delivered() }

// allows decides whether a call that has failed may be tried again; left is the time
// that it would have then.
func (r Retry) allows(err error, repeatable bool, n int, left time.Duration) GaveUp {
	switch {
	case !isRetryable(err, repeatable):
		return Final
	case n >= r.Attempts:
		return OutOfAttempts
	case left <= 0:
		return OutOfTime
	}
	return goOn
}

func isRetryable(err error, repeatable bool) bool {
	return isGone(err) || repeatable && is[*child.CrashError](err)
}

// counts returns how many retries there were, and how many the budget did not allow.
func (r *retries) counts() (made, denied uint64) {
	if r == nil {
		return 0, 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.made, r.denied
}

// budget is a token bucket: calls fill it, retries empty it. It is pure.
type budget struct {
	share, saved int64 // in millionths of a retry
}

const oneRetry = 1_000_000

func newBudget(share float64) budget {
	return budget{share: int64(math.Round(share * oneRetry)), saved: reserve * oneRetry}
}

// earn adds a call's share.
func (b *budget) earn() { b.saved = min(b.saved+b.share, max(reserve*oneRetry, b.share)) }

// spend takes a retry out, if there is one.
func (b *budget) spend() bool {
	if b.saved < oneRetry {
		return false
	}
	b.saved -= oneRetry
	return true
}
