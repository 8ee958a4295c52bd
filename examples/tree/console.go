package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/lmittmann/tint"
)

// console is where the tour speaks: log records, and between them pictures and quotations. It may be used from any
// goroutine; what is written at once stays together.
type console struct {
	*slog.Logger
	workers *slog.Logger // for what workers print and log

	mu  sync.Mutex
	out io.Writer
}

func newConsole(out *os.File, verbose bool) *console {
	c := &console{out: out}
	color := os.Getenv("NO_COLOR") == "" && isTerminal(out) // https://no-color.org
	if verbose {
		c.Logger = c.logger(slog.LevelDebug, color)
		c.workers = c.Logger
	} else {
		c.Logger = c.logger(slog.LevelInfo, color)
		c.workers = c.logger(slog.LevelError, color) // a dying worker prints much; the tour quotes the beginning
	}
	return c
}

func (c *console) logger(level slog.Level, color bool) *slog.Logger {
	return slog.New(tint.NewTextHandler(c, &tint.Options{
		Level: level, TimeFormat: "15:04:05.000", NoColor: !color, ReplaceAttr: brief,
	}))
}

// brief makes records for people: of an error with many facts it leaves the text and the call, and it rounds durations.
// A log that machines read would keep everything.
func brief(groups []string, a slog.Attr) slog.Attr {
	switch {
	case len(groups) > 0 && groups[0] == "cause" && a.Key != "error" && groups[len(groups)-1] != "call":
		return slog.Attr{}
	case a.Value.Kind() == slog.KindDuration:
		return slog.Duration(a.Key, a.Value.Duration().Round(10*time.Microsecond))
	}
	return a
}

// Write writes one record.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(p)
}

// block prints lines of text under a heading, set in.
func (c *console) block(heading, text string) {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", heading)
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		if line != "\n" {
			line = "    " + line
		}
		b.WriteString(line)
	}
	_, _ = io.WriteString(c, b.String()+"\n")
}

// isTerminal reports whether f is a character device, which is near enough: of the others, /dev/null does not mind.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
