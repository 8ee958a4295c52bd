package pool

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// What a refused call is told: who refuses it, why, and what to do; no numbers that say nothing.
func TestTextsOfRefusals(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	p := New(Config{Name: "p", Size: 1})
	change := func(set func()) { p.change(func(*roster, time.Time) { set() }) }
	change(func() { p.served, p.serving, p.draining = true, true, true })
	_, drained := quiet.Call(t.Context(), p, 0)
	change(func() { p.draining = false })
	_, left := quiet.Call(over, p, 0)
	for _, c := range []struct {
		err  error
		want string
	}{
		{
			&OverloadedError{Pool: "p", Busy: 3, Queued: 8, Oldest: 1234567 * time.Microsecond, Starting: 1},
			"pool p is overloaded: 3 calls running, 8 queued, the oldest for 1.2s, 1 workers not up; try later or allow more workers or a longer queue",
		},
		{&OverloadedError{Pool: "p", Busy: 3}, "pool p is overloaded: 3 calls running, 0 queued; try later or allow more workers or a longer queue"},
		{
			&QueueTimeoutError{Pool: "p", Limit: time.Second, Waited: time.Second, Busy: 3, Queued: 1},
			"a call waited 1s in the queue of pool p, the limit is 1s: 3 calls running, 1 queued; try later or allow more workers or a longer time",
		},
		{drained, "pool p is not available: it is being drained, and lets calls in again after Resume"},
		{left, "call quiet on pool p was given up before it was started: context canceled"},
	} {
		if got := c.err.Error(); got != c.want || !errors.Is(c.err, child.ErrNotStarted) {
			t.Errorf("%s\ninstead of\n%s", got, c.want)
		}
	}
}

var quiet = child.Define("quiet", func(context.Context, int) (int, error) { return 0, nil })

func TestBrief(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 64: "0s", 999: "0s", 1000: "1µs", 1099: "1.1µs", 8_912_896: "8.9ms", 1_234_567_890: "1.2s", 99 * time.Second: "1m39s",
	} {
		if got := brief(d).String(); got != want {
			t.Errorf("%d: %s, not %s", int64(d), got, want)
		}
	}
}
