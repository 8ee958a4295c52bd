package tree

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// exitText says how a run ended.
func exitText(e Exit) string {
	if !e.Asked {
		return endText(e.Err)
	}
	how := "stopped"
	if e.Killed {
		how = "killed"
	}
	if e.Err == nil || errors.Is(e.Err, ErrShutdown) || errors.Is(e.Err, ErrKilled) || errors.Is(e.Err, context.Canceled) {
		return how
	}
	return how + ": " + endText(e.Err)
}

func runText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("run %d", n)
}

func (p Picture) since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return span(max(0, p.Now.Sub(t)))
}

// span is a duration in the unit that fits, rounded down.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d d", d/(24*time.Hour))
}

// period is span without rounding.
func period(d time.Duration) string {
	switch {
	case d >= 2*time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= 2*time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d%time.Second == 0:
		return fmt.Sprintf("%d s", d/time.Second)
	}
	return d.String()
}

// clean makes one printable line of any text.
func (p Picture) clean(s string) string {
	if limit := utf8.UTFMax * p.Width; len(s) > limit { // more cannot be seen
		s = s[:limit]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case !unicode.IsPrint(r):
			return ' '
		case p.ASCII && r > unicode.MaxASCII:
			return '?'
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}
