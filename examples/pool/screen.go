package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
)

// screen is where the program speaks. On a terminal a bar stays below all lines; elsewhere it is a line every few
// seconds. It may be used from any goroutine.
type screen struct {
	state func() progress
	width func() int // of the terminal; nil: there is none
	glyphs

	mu  sync.Mutex
	out io.Writer
	bar bool // there is one on the terminal
}

const (
	redraw = 100 * time.Millisecond // of the bar
	report = 5 * time.Second        // where there is no terminal
)

func newScreen(out *os.File, state func() progress) *screen {
	s := &screen{state: state, out: out, glyphs: ascii}
	if columns(out) > 0 {
		s.width = func() int { return columns(out) } // it may be resized
		if speaksUTF8() {
			s.glyphs = blocks
		}
	}
	return s
}

// speaksUTF8 reads the locale as POSIX says: the first of these that is set decides.
func speaksUTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			v = strings.ToUpper(v)
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return false
}

const eraseLine = "\r\x1b[K" // to the end

// say prints a line above the bar.
func (s *screen) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&eraser{s}, "%s\n", clean(fmt.Sprintf(format, args...)))
	s.draw()
}

// Write prints text above the bar, as it is.
func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := (&eraser{s}).Write(text)
	s.draw()
	return n, err
}

// eraser writes over the bar; s.mu is held.
type eraser struct{ *screen }

func (e *eraser) Write(text []byte) (int, error) {
	if e.bar {
		text = append([]byte(eraseLine), text...)
		e.bar = false
	}
	_, err := e.out.Write(text)
	return len(text), err
}

// draw draws the bar, if it is shown; s.mu is held.
func (s *screen) draw() {
	if s.width != nil && s.state != nil {
		fmt.Fprintf(s.out, "%s%s", eraseLine, s.state().bar(s.width(), s.glyphs))
		s.bar = true
	}
}

// watch shows the progress until the returned function is called.
func (s *screen) watch() (end func()) {
	var wg sync.WaitGroup
	over := make(chan struct{})
	every := redraw
	if s.width == nil {
		every = report
	}
	wg.Go(func() {
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
				s.tick()
			case <-over:
				return
			}
		}
	})
	return func() {
		close(over)
		wg.Wait()
		s.hide()
	}
}

func (s *screen) tick() {
	if s.width == nil {
		s.say("%s", s.state().words(false))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draw()
}

// hide takes the bar away, for good.
func (s *screen) hide() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = (&eraser{s}).Write(nil)
	s.state = nil
}

// clean makes names of files, and what decoders say, fit for a terminal: one line, no control sequences.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
}
