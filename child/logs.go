package child

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/verdigris-go/verdigris/wire"
)

// logs brings what one run of a worker has to say into the parent's logger,
// with the worker's name, pid and run. A slow handler never holds the worker
// up: what it does not take in time is dropped and counted.
type logs struct {
	log     *slog.Logger
	queue   chan slog.Record
	dropped atomic.Uint64
	done    sync.WaitGroup
}

const logQueue = 256 // records

func newLogs(log *slog.Logger) *logs {
	l := &logs{log: log, queue: make(chan slog.Record, logQueue)}
	l.done.Go(l.pump)
	return l
}

func (l *logs) pump() {
	for r := range l.queue {
		if n := l.dropped.Swap(0); n > 0 {
			l.log.Warn("worker logs faster than they are taken: records dropped", "dropped", n)
		}
		if h := l.log.Handler(); h.Enabled(context.Background(), r.Level) {
			_ = h.Handle(context.Background(), r) // there is nobody to tell
		}
	}
}

// record takes one of the worker's own slog records.
func (l *logs) record(w wire.Log) {
	r := slog.NewRecord(w.Time, w.Level, w.Message, 0)
	r.AddAttrs(w.Attrs...)
	if w.Source != "" {
		r.AddAttrs(slog.String(slog.SourceKey, w.Source))
	}
	l.dropped.Add(w.Dropped)
	select {
	case l.queue <- r:
	default:
		l.dropped.Add(1)
	}
}

// close handles what is queued, and ends. Nothing may be recorded after it.
func (l *logs) close() {
	close(l.queue)
	l.done.Wait()
}

// line is a line that the worker has printed to stdout or stderr.
func (l *logs) line(stream string, level slog.Level) func(line []byte, truncated bool) {
	return func(line []byte, truncated bool) {
		attrs := []slog.Attr{slog.String("stream", stream)}
		if truncated {
			attrs = append(attrs, slog.Bool("truncated", true))
		}
		l.log.LogAttrs(context.Background(), level, strings.ToValidUTF8(string(line), "\uFFFD"), attrs...)
	}
}
