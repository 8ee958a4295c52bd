package wire

import (
	"log/slog"
	"time"
)

// Log is one record of the worker's log/slog.
type Log struct {
	Time    time.Time // zero: none
	Level   slog.Level
	Message string
	Attrs   []slog.Attr // groups are nested; values of other than the basic kinds arrive as text
	Source  string      // "file:line"; "": unknown
	Dropped uint64      // records the worker had to drop just before this one
}

// Append appends the body of a log frame.
func (l Log) Append(dst []byte) []byte { return dst }

// ParseLog takes the body of a log frame apart. The error is a [*DecodeError].
func ParseLog(body []byte) (Log, error) { return Log{}, nil }
