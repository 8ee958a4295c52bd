package child

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/verdigris-go/verdigris/internal/output"
	"github.com/verdigris-go/verdigris/internal/statuspage"
	"github.com/verdigris-go/verdigris/wire"
)

// logs brings what one run of a worker has to say into the parent's logger,
// with the worker's name, pid and run. A slow handler never holds the worker
// up: what it does not take in time is dropped and counted.
type logs struct {
	log     *slog.Logger
	queue   chan logged
	held    atomic.Int64 // bytes, as they came, of what is in the queue
	dropped atomic.Uint64
	done    chan struct{} // closed when pump has ended
}

// What waits for a slow logger: so many records, of so many bytes in all.
const (
	logQueue = 256
	logBytes = 2 << 20
)

// logged is a record on its way to the logger.
type logged struct {
	slog.Record
	size int // bytes it came in, 0 for our own
}

func newLogs(log *slog.Logger) *logs {
	l := &logs{log: log, queue: make(chan logged, logQueue), done: make(chan struct{})}
	go l.pump()
	return l
}

func (l *logs) pump() {
	defer close(l.done)
	defer l.reportDropped()
	var reported time.Time
	for r := range l.queue {
		if time.Since(reported) > time.Second {
			l.reportDropped()
			reported = time.Now()
		}
		if h := l.log.Handler(); h.Enabled(context.Background(), r.Level) {
			_ = h.Handle(context.Background(), r.Record) // there is nobody to tell
		}
		l.held.Add(-int64(r.size))
	}
}

func (l *logs) reportDropped() {
	if n := l.dropped.Swap(0); n > 0 {
		l.log.Warn("the worker logs faster than its records are taken: some were dropped", "dropped", n)
	}
}

// record takes one of the worker's own slog records, which came in so many bytes.
func (l *logs) record(w wire.Log, size int) {
	r := slog.NewRecord(w.Time, w.Level, w.Message, 0)
	r.AddAttrs(w.Attrs...)
	if w.Source != "" {
		r.AddAttrs(slog.String(slog.SourceKey, w.Source))
	}
	l.dropped.Add(w.Dropped)
	l.put(logged{r, size})
}

// note tells what happens to the worker.
func (l *logs) note(message string, attrs ...slog.Attr) { l.tell(slog.LevelDebug, message, attrs...) }

func (l *logs) tell(level slog.Level, message string, attrs ...slog.Attr) {
	r := slog.NewRecord(time.Now(), level, message, 0)
	r.AddAttrs(attrs...)
	l.put(logged{r, 0})
}

func (l *logs) put(r logged) {
	if l.held.Add(int64(r.size)) <= logBytes {
		select {
		case l.queue <- r:
			return
		default:
		}
	}
	l.held.Add(-int64(r.size))
	l.dropped.Add(1)
}

// close ends, and waits for a moment at most until the logger has taken what is
// queued here, and what is left of the worker's output. Nothing may be recorded
// after it.
func (l *logs) close(outputs ...*output.Drain) {
	close(l.queue)
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		for _, o := range outputs {
			o.Wait()
		}
		<-l.done
	}()
	select {
	case <-taken:
	case <-time.After(drainGrace):
	}
}

// lost tells how many printed lines were not logged.
func (l *logs) lost(stream string) func(lines uint64) {
	return func(lines uint64) {
		l.log.Warn("the worker prints more than is logged: lines were dropped", "stream", stream, "dropped", lines)
	}
}

// outLine takes a line that the worker has printed to stdout.
func (l *logs) outLine(line []byte, truncated bool) {
	l.line("stdout", slog.LevelInfo, line, truncated)
}

// errLine takes the lines that the worker prints to stderr. Those of a dying Go
// runtime, which may be hundreds, are logged at level Debug: they stand in the
// CrashError. The page shows whether they are real.
func (l *logs) errLine(page *statuspage.Page) func(line []byte, truncated bool) {
	suspicious, dying := false, false
	return func(line []byte, truncated bool) {
		suspicious = suspicious || beginsReport(string(line))
		if suspicious && !dying {
			dying = page.Crashed()
		}
		level := slog.LevelWarn
		if dying {
			level = slog.LevelDebug
		}
		l.line("stderr", level, line, truncated)
	}
}

// beginsReport reports whether a line looks like the first of a Go crash report.
func beginsReport(line string) bool {
	for _, prefix := range []string{"SIG", "panic: ", "fatal error: ", "unexpected fault address ", "runtime: "} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

func (l *logs) line(stream string, level slog.Level, line []byte, truncated bool) {
	attrs := []slog.Attr{slog.String("stream", stream)}
	if truncated {
		attrs = append(attrs, slog.Bool("truncated", true))
	}
	l.log.LogAttrs(context.Background(), level, strings.ToValidUTF8(string(line), "\uFFFD"), attrs...)
}
