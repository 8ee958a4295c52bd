package pool

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// OverloadedError says that a call was refused because all workers are busy and
// the queue is full. It matches child.ErrNotStarted.
type OverloadedError struct {
	Pool     string
	Queued   int           // calls that wait
	Busy     int           // calls that run
	Starting int           // workers that are not up at present
	Oldest   time.Duration // how long the first in the queue has been waiting
}

func (e *OverloadedError) Error() string {
	return fmt.Sprintf("pool %s is overloaded: %d calls running, %d queued, the oldest for %v, %d workers not up; try later or allow more workers or a longer queue",
		e.Pool, e.Busy, e.Queued, e.Oldest.Round(time.Millisecond), e.Starting)
}

// Is matches child.ErrNotStarted.
func (e *OverloadedError) Is(target error) bool { return target == child.ErrNotStarted }

// LogValue carries every fact.
func (e *OverloadedError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("error", e.Error()), slog.String("pool", e.Pool), slog.Int("queued", e.Queued),
		slog.Int("busy", e.Busy), slog.Int("starting", e.Starting), slog.Duration("oldest", e.Oldest))
}
