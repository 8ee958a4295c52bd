package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// tally counts. It may be used from any goroutine.
type tally struct {
	mu     sync.Mutex
	counts counts
}

// counts are what a run has come to.
type counts struct {
	files        int // in the tree
	before       int // of them, those done by earlier runs
	failedBefore int
	done         int
	bytes        int64 // of the files that were done
	failures     map[string]int
	deaths       int // of decoders
	began        time.Time
}

func (t *tally) change(f func(*counts)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.counts)
}

// fail counts a failure. Those of files that are not in the list of files count as files too.
func (t *tally) fail(class string) {
	t.change(func(c *counts) {
		if c.failures == nil {
			c.failures = map[string]int{}
		}
		c.failures[class]++
	})
}

func (t *tally) now() counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts
	c.failures = maps.Clone(c.failures)
	return c
}

func (c counts) failed() (n int) {
	for _, f := range c.failures {
		n += f
	}
	return n
}

// progress is how far this run has come.
func (c counts) progress(now time.Time) progress {
	return progress{done: c.done + c.failed(), of: c.files - c.before - c.failedBefore, failed: c.failed(), elapsed: now.Sub(c.began)}
}

// summary is what is said at the end.
func (c counts) summary(dir string, now time.Time) string {
	var b strings.Builder
	took := max(now.Sub(c.began), time.Millisecond)
	fmt.Fprintf(&b, "%d images in %s: %d done", c.files, dir, c.done)
	if c.before > 0 {
		fmt.Fprintf(&b, ", %d done before", c.before)
	}
	if c.failedBefore > 0 {
		fmt.Fprintf(&b, ", %d failed before (-again tries them again)", c.failedBefore)
	}
	if n := c.failed(); n > 0 {
		fmt.Fprintf(&b, ", %d failed:", n)
	}
	b.WriteByte('\n')
	classes := slices.SortedFunc(maps.Keys(c.failures), func(x, y string) int {
		return cmp.Or(cmp.Compare(c.failures[y], c.failures[x]), cmp.Compare(x, y))
	})
	for _, class := range classes {
		fmt.Fprintf(&b, "%6d  %s\n", c.failures[class], class)
	}
	if left := c.files - c.before - c.failedBefore - c.done - c.failed(); left > 0 {
		fmt.Fprintf(&b, "%d are left; the same command goes on with them\n", left)
	}
	if c.deaths > 0 {
		fmt.Fprintf(&b, "%s\n", plural(c.deaths, "decoder died and was replaced", "decoders died and were replaced"))
	}
	if n := c.done + c.failed(); n > 0 {
		fmt.Fprintf(&b, "%s in %s: %s images/s, %s/s\n", bytesOf(c.bytes), briefly(took), rate(float64(n)/took.Seconds()), bytesOf(int64(float64(c.bytes)/took.Seconds())))
	}
	return b.String()
}
