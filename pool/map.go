package pool

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"

	"github.com/verdigris-go/verdigris/child"
)

// MapConfig says how [Map] goes about it. The zero value is usable.
type MapConfig struct {
	// Width is how many calls are on their way at once, at most. 0: as many as keep
	// the Caller busy. It is asked again and again, so that a pool that is resized, or
	// that grows, gets more to do. One that cannot be asked, since it has no method
	// Width() int, gets runtime.GOMAXPROCS.
	Width int

	// AsCompleted yields each result as soon as it is there. By default they come in
	// the order of the inputs, and one slow call holds up the results behind it.
	AsCompleted bool

	// Window is how many inputs may have been taken from the sequence and not been
	// yielded yet, at most: those that run, and those that are done and wait for the
	// loop, or for one before them. When it is full no input is taken, so with a
	// Window below Width fewer calls are made. 0: four times the Width.
	Window int

	// Key gives an input a name, which its call carries as if by [child.WithKey]:
	// crash errors and log records tell it, and with [ByKey] it chooses the worker.
	// It is called by the goroutine that runs the sequence. Nil, or an empty name: none.
	Key func(input any) string
}

// windowPerWidth is the default of Window in Widths.
const windowPerWidth = 4

func (c MapConfig) check() error {
	switch {
	case c.Width < 0:
		return fmt.Errorf("pool: MapConfig: Width %d is negative", c.Width)
	case c.Window < 0:
		return fmt.Errorf("pool: MapConfig: Window %d is negative", c.Window)
	}
	return nil
}

// Map calls fn with each of the inputs, several at once, and yields the results. The
// caller may be a [Pool], a child.Process, a child.Inline or any other.
//
//	for thumb, err := range pool.Map(ctx, resizers, Resize, slices.Values(jobs), pool.MapConfig{}) {
//		if err != nil {
//			log.Println(err) // and go on; or break
//			continue
//		}
//		...
//	}
//
// There is one pair for each input. A call that fails does not end the loop: its
// error is a [*MapError], which says which input it was and wraps what
// [child.Func.Call] has returned. To stop at the first one, break.
//
// Inputs are taken when there is room for their calls and not before, so the
// sequence may be endless. It runs in a goroutine of its own: while it waits for its
// next value, results are yielded as they come.
//
// However the loop ends, by break, return, panic or runtime.Goexit, the calls that are
// on their way are cancelled, the sequence is stopped (its yield returns false),
// and the loop is left when all goroutines have ended. A sequence that waits for
// something, a channel say, holds that up until it comes back; so it should also
// come back when a context of its own ends. A panic in the sequence, in Key, or in a
// Caller comes out of the loop.
//
// When ctx ends no more inputs are taken and the calls on their way are
// interrupted. What has been taken still has its pairs. The last pair then is a
// [*CutOffError], so that a part is never taken for the whole.
//
// A pool's limits for its queue are not for these calls: they wait until there is
// room, and do not count for the limits of others. Ranging over the result again
// makes all calls again.
func Map[In, Out any](ctx context.Context, c child.Caller, fn child.Func[In, Out], inputs iter.Seq[In], how MapConfig) iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) {
		if err := how.check(); err != nil {
			var none Out
			yield(none, err)
			return
		}
		m := newMapping(ctx, c, fn, how)
		defer m.leave()
		m.spawn(func() { m.feed(inputs) })
		for {
			r, ok := m.next()
			if !ok || !yield(r.out, r.err) {
				return
			}
		}
	}
}

// MapError says that the call for one input of a [Map] has failed. It wraps the
// call's error.
type MapError struct {
	Index int   // of the input in the sequence, from 0
	Input any   // the input, of Map's type In
	Err   error // what the call has returned
}

func (e *MapError) Error() string { return fmt.Sprintf("input %d: %v", e.Index, e.Err) }

// Unwrap gives the call's error.
func (e *MapError) Unwrap() error { return e.Err }

// LogValue carries every fact but the input, which may be large.
func (e *MapError) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("index", e.Index), slog.Any("cause", e.Err))
}

// CutOffError says that a [Map] has ended before its inputs did, because its context
// had. It unwraps to the context's cause and its error.
type CutOffError struct {
	Taken int // how many inputs have been taken; each has had its pair
	Err   error
	ended error // the context's own error, when Err is a cause
}

func (e *CutOffError) Error() string {
	return fmt.Sprintf("the map was cut off after %d inputs: %v", e.Taken, e.Err)
}

// Unwrap gives the context's cause and its error.
func (e *CutOffError) Unwrap() []error { return []error{e.Err, e.ended} }

// LogValue carries every fact.
func (e *CutOffError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("error", e.Error()), slog.Int("taken", e.Taken), slog.Any("cause", e.Err))
}

// isCutOff reports whether ctx has ended in a way that may have cost a call its answer.
func isCutOff(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded))
}
