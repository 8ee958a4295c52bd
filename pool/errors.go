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
	return fmt.Sprintf("pool %s is overloaded: %d calls running, %d queued%s%s; try later or allow more workers or a longer queue",
		e.Pool, e.Busy, e.Queued, oldest(e.Oldest), notUp(e.Starting))
}

// Is matches child.ErrNotStarted.
func (e *OverloadedError) Is(target error) bool { return target == child.ErrNotStarted }

// LogValue carries every fact.
func (e *OverloadedError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("error", e.Error()), slog.String("pool", e.Pool), slog.Int("queued", e.Queued),
		slog.Int("busy", e.Busy), slog.Int("starting", e.Starting), slog.Duration("oldest", e.Oldest))
}

// QueueTimeoutError says that a call waited in the queue for as long as
// [Config.QueueTimeout] allows, and no worker had room for it. It matches
// child.ErrNotStarted, and not context.DeadlineExceeded: the caller's own time is
// not up.
type QueueTimeoutError struct {
	Pool     string
	Limit    time.Duration // Config.QueueTimeout
	Waited   time.Duration // how long this call waited
	Queued   int           // calls that wait, this one included
	Busy     int           // calls that run
	Starting int           // workers that are not up at present
}

func (e *QueueTimeoutError) Error() string {
	return fmt.Sprintf("a call waited %v in the queue of pool %s, the limit is %v: %d calls running, %d queued%s; try later or allow more workers or a longer time",
		e.Waited.Round(time.Millisecond), e.Pool, e.Limit, e.Busy, e.Queued, notUp(e.Starting))
}

// oldest says how long the first in the queue has been waiting, if there is one.
func oldest(waits time.Duration) string {
	if waits == 0 {
		return ""
	}
	return fmt.Sprintf(", the oldest for %v", brief(waits))
}

// notUp says that workers are not up, if some are not.
func notUp(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d workers not up", n)
}

// Is matches child.ErrNotStarted.
func (e *QueueTimeoutError) Is(target error) bool { return target == child.ErrNotStarted }

// LogValue carries every fact.
func (e *QueueTimeoutError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("error", e.Error()), slog.String("pool", e.Pool), slog.Duration("limit", e.Limit),
		slog.Duration("waited", e.Waited), slog.Int("queued", e.Queued), slog.Int("busy", e.Busy), slog.Int("starting", e.Starting))
}
