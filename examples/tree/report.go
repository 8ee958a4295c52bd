package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/tree"
)

// counts is what the summary counts of the tree's events. Every supervisor calls event from a goroutine of its own.
type counts struct {
	crashes  atomic.Int64 // worker processes that died without having been asked to
	restarts atomic.Int64 // children that were started again, each of a group by itself
}

// hook hears of everything that happens in the tree: it counts, and passes on to the log.
func (t *tour) hook() func(tree.Event) {
	log := tree.LogEvents(t.console.Logger)
	return func(e tree.Event) {
		if crash, ok := errors.AsType[*child.CrashError](e.Err); ok && !crash.Exit.Cause.Ordered() {
			t.counts.crashes.Add(1)
		}
		if e.Kind == tree.EventStarted && e.Run > 1 {
			t.counts.restarts.Add(1)
		}
		log(e)
	}
}

// report tells what has become of one image.
func (c *console) report(name string, thumb Thumb, v verdict, err error) {
	switch v {
	case done:
		c.Info("thumbnail written", "image", name, "from", thumb.From, "to", thumb.To)
	case refused:
		c.Warn("the decoder refused the image", "image", name, "error", err.Error())
	case crashed:
		c.Error("the image killed its decoder", "image", name)
		if crash, ok := errors.AsType[*child.CrashError](err); ok {
			c.quote(crash)
		}
	case stopped:
		c.Info("put off: this stage is being stopped", "image", name)
	case innocent:
		c.Warn("no verdict", "image", name, "error", err.Error())
	case broken:
		c.Error("failed", "image", name, "error", err.Error())
	}
}

// quote prints the beginning of what a dying worker had to say.
func (c *console) quote(crash *child.CrashError) {
	words := crash.Reported.Stderr
	if words == "" {
		words = crash.Reported.Trace
	}
	c.block(fmt.Sprintf("The last words of %s, pid %d:", crash.Worker, crash.PID), beginning(words, 9))
}

// beginning returns the first lines of a text and says how many it leaves out.
func beginning(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	if len(all) <= lines {
		return text
	}
	return fmt.Sprintf("%s\n... and %d more lines", strings.Join(all[:lines], "\n"), len(all)-lines)
}

// summary prints the counts and reports whether every good image came out.
func (t *tour) summary(took time.Duration) bool {
	missing := t.missing()
	if len(missing) > 0 {
		t.console.Error("these should have come out and did not", "images", missing)
	}
	l := t.ledger
	_, _ = fmt.Fprintf(t.console, "%d images in, %d thumbnails out, %d malformed, %d crashes survived, %d restarts, %.1f s; the thumbnails are in %s\n",
		l.size(), l.count(done), l.count(refused)+l.count(crashed), t.counts.crashes.Load(), t.counts.restarts.Load(),
		took.Seconds(), t.options.out)
	return len(missing) == 0 && l.size() > 0
}

// missing are the images that should have come out and did not. Of the shipped ones it is known which are good. Of
// others, those are bad that the decoder refused, or that killed it; all the rest has to come out.
func (t *tour) missing() []string {
	return slices.DeleteFunc(t.ledger.without(done), func(name string) bool {
		if t.options.dir == "" {
			return shippedBad[name]
		}
		v, known := t.ledger.verdict(name)
		return known && (v == refused || v == crashed)
	})
}
