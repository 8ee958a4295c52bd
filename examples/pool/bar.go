package main

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// progress is what a bar shows.
type progress struct {
	done, of int
	failed   int
	elapsed  time.Duration
}

func (p progress) share() float64 {
	if p.of == 0 {
		return 1
	}
	return float64(p.done) / float64(p.of)
}

// words says it without a bar. The rate and the time left are of some use only after a while.
func (p progress) words(brief bool) string {
	s := fmt.Sprintf("%d of %d", p.done, p.of)
	if p.failed > 0 {
		s += fmt.Sprintf(", %d failed", p.failed)
	}
	if brief || p.elapsed < time.Second || p.done == 0 {
		return s
	}
	perSecond := float64(p.done) / p.elapsed.Seconds()
	left := time.Duration(float64(p.of-p.done) / perSecond * float64(time.Second))
	return fmt.Sprintf("%s, %s/s, %s left", s, rate(perSecond), briefly(left))
}

const (
	shortestBar = 10 // columns
	longestBar  = 40
)

// bar is one line of at most width columns less one, so that the cursor stays in it. What does not fit is left out: the
// rate first, then the bar.
func (p progress) bar(width int, g glyphs) string {
	percent := fmt.Sprintf("%3d%%", int(100*p.share()))
	for _, brief := range []bool{false, true} {
		words := p.words(brief)
		if room := width - 1 - len(percent) - len(words) - 4; room >= shortestBar {
			return fmt.Sprintf("%s %s%s%s %s", percent, g.left, g.fill(p.share(), min(room, longestBar)), g.right, words)
		}
	}
	line := percent + " " + p.words(true)
	return line[:min(len(line), max(width-1, 0))]
}

// glyphs are what a bar is drawn with.
type glyphs struct {
	left, right string
	parts       []string // of a column that is filled in part, the last one in full
}

var (
	blocks = glyphs{"▕", "▏", []string{"▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"}}
	ascii  = glyphs{"[", "]", []string{"#"}}
)

// fill fills a share of so many columns.
func (g glyphs) fill(share float64, columns int) string {
	n := len(g.parts)
	at := int(math.Floor(share * float64(columns*n)))
	s := strings.Repeat(g.parts[n-1], at/n)
	if rest := at % n; rest > 0 {
		s += g.parts[rest-1]
	}
	return s + strings.Repeat(" ", columns-utf8.RuneCountInString(s))
}

// briefly rounds to what matters.
func briefly(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}

func rate(perSecond float64) string {
	if perSecond < 10 {
		return fmt.Sprintf("%.1f", perSecond)
	}
	return fmt.Sprintf("%.0f", perSecond)
}

func bytesOf(n int64) string {
	v, units := float64(n), []string{"B", "kB", "MB", "GB", "TB"}
	for v >= 1000 && len(units) > 1 {
		v, units = v/1000, units[1:]
	}
	if units[0] == "B" || v >= 100 {
		return fmt.Sprintf("%.0f %s", v, units[0])
	}
	return fmt.Sprintf("%.1f %s", v, units[0])
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
