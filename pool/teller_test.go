package pool

import (
	"bytes"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// heard collects what a teller tells, as text.
func heard(t *teller, then func(Event)) *[]string {
	lines := &[]string{}
	t.handle = func(e Event) {
		*lines = append(*lines, strings.TrimPrefix(e.String(), "pool p: "))
		if then != nil {
			then(e)
		}
	}
	return lines
}

func resize(t *teller, n int) { t.tell(EventResized{t.head(time.Now()), n - 1, n}) }

func TestEventsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tell := newTeller(&Config{Name: "p"})
		lines := heard(tell, nil)
		for n := range 100 {
			resize(tell, n)
		}
		tell.wait(time.Hour)
		if got := *lines; len(got) != 100 || got[0] != "resized from -1 to 0 workers" || got[99] != "resized from 98 to 99 workers" {
			t.Errorf("%d: %q", len(got), got)
		}
	})
}

// A handler that hangs holds nobody up. What it does not take is dropped and
// counted, whether anything comes after it or not.
func TestEventQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tell := newTeller(&Config{Name: "p"})
		open := make(chan struct{})
		lines := heard(tell, func(Event) { <-open })
		resize(tell, 1)
		synctest.Wait()
		for n := range 1000 {
			resize(tell, n+2)
		}
		if len(tell.queue) != maxUntold {
			t.Errorf("%d events are queued", len(tell.queue))
		}
		began := time.Now()
		tell.wait(time.Second)
		if waited := time.Since(began); waited != time.Second {
			t.Errorf("the end waited %v", waited)
		}
		close(open)
		tell.wait(time.Hour)
		got := *lines
		if len(got) != 1+maxUntold+1 || got[maxUntold] != "resized from 256 to 257 workers" || got[maxUntold+1] != "744 events were dropped" {
			t.Errorf("%d, the last of them %q", len(got), got[len(got)-2:])
		}
	})
}

// Dropped events are told before the next one that finds room.
func TestMissedEventsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tell := newTeller(&Config{Name: "p"})
		steps := make(chan struct{})
		lines := heard(tell, func(Event) { <-steps })
		for n := range 1 + maxUntold + 3 {
			resize(tell, n)
			synctest.Wait()
		}
		for range 2 {
			steps <- struct{}{}
		}
		synctest.Wait()
		resize(tell, 999)
		close(steps)
		tell.wait(time.Hour)
		got := *lines
		if last := got[len(got)-2:]; last[0] != "3 events were dropped" || last[1] != "resized from 998 to 999 workers" {
			t.Errorf("%q", last)
		}
	})
}

// A handler that panics, or ends its goroutine, gets the next event all the same.
func TestEventHandlerPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		cfg := &Config{Name: "p"}
		cfg.Worker.Logger = slog.New(slog.NewTextHandler(&log, nil))
		tell := newTeller(cfg)
		lines := heard(tell, func(e Event) {
			switch e.(EventResized).To {
			case 1:
				panic("torn")
			case 2:
				runtime.Goexit()
			}
		})
		for n := range 4 {
			resize(tell, n)
		}
		tell.wait(time.Hour)
		if len(*lines) != 4 {
			t.Errorf("%q", *lines)
		}
		if s := log.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "panic=torn") || !strings.Contains(s, "resized from 0 to 1") {
			t.Error(s)
		}
	})
}

// A logger that panics is no worse.
func TestEventLoggerPanics(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		cfg := &Config{Name: "p"}
		cfg.Worker.Logger = slog.New(slog.NewTextHandler(torn{}, nil))
		tell := newTeller(cfg)
		for n := range 3 {
			resize(tell, n)
		}
		tell.wait(time.Hour)
	})
}

type torn struct{}

func (torn) Write([]byte) (int, error) { panic("torn") }
