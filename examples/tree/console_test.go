package main

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"
)

// Colors need a character device (/dev/null is one, as terminals are) and the consent of NO_COLOR.
func TestColors(t *testing.T) {
	device, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		out     *os.File
		noColor string
		want    bool
	}{
		{"terminal", device, "", true},
		{"terminal, NO_COLOR", device, "1", false},
		{"file", file, "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("NO_COLOR", test.noColor)
			c := newConsole(test.out, false)
			var b bytes.Buffer
			c.out = &b
			c.Warn("hello")
			if got := strings.Contains(b.String(), "\x1b["); got != test.want {
				t.Errorf("colors: %v, want %v: %q", got, test.want, b.String())
			}
		})
	}
}

func TestRecordsAreBrief(t *testing.T) {
	c := newConsole(os.Stdout, false)
	var b bytes.Buffer
	c.out = &b
	facts := slog.GroupValue(slog.String("error", "it died"), slog.String("stderr", strings.Repeat("x", 10000)))
	c.Warn("child failed", "cause", facts, "took", 1234567*time.Nanosecond)
	if line := b.String(); !strings.Contains(line, "it died") || !strings.Contains(line, "1.23ms") || len(line) > 200 {
		t.Errorf("%d bytes: %.300q", len(line), line)
	}
}

func TestBlocksAreSetIn(t *testing.T) {
	c := newConsole(os.Stdout, false)
	var b bytes.Buffer
	c.out = &b
	c.block("Words:", beginning("one\n\ntwo\nthree\n", 3))
	if got, want := b.String(), "\nWords:\n    one\n\n    two\n    ... and 1 more lines\n\n"; got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}
