package ring

import (
	"errors"
	"fmt"
	"time"
)

// Size is what each way holds, in bytes.
const Size = 1 << 20

// Files is how many descriptors the worker inherits: the memory, the bell for
// answers and the bell for room.
const Files = 3

// ErrUnsupported is what New and Open return on a system other than Linux. It
// matches errors.ErrUnsupported.
var ErrUnsupported = fmt.Errorf("ring: shared memory between a parent and its worker needs Linux: %w", errors.ErrUnsupported)

// Error is a ring that could not be made or opened.
type Error struct {
	Op  string
	Err error
}

func (e *Error) Error() string { return "ring: " + e.Op + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// BrokenError is something that the other side has written to the shared memory,
// or done with a bell, that is against the rules. Nothing that comes from it can
// be trusted any more.
type BrokenError struct{ What string }

func (e *BrokenError) Error() string { return "shared memory: " + e.What }

// Options are what a parent chooses.
type Options struct {
	// Spin is for how long either side looks again and again before it sleeps; 0:
	// not at all. See spinner.
	Spin time.Duration
}
