package otptest

import (
	"context"
	"testing/synctest"
	"time"

	"github.com/thejerf/suture/v4"
)

// stage is what differs between a play in fake time and one in real time.
type stage interface {
	// worker makes the service of a scripted worker.
	worker(script) suture.Service
	// pause lets the others go on for a moment; in fake time, until nothing moves.
	pause()
	// settle waits until nothing moves any more without outside help, and at least so many events have been
	// seen, and returns the state of all supervisors.
	settle(w *world, events int) map[string]any
	// patience is how long something may take before it counts as hanging.
	patience() time.Duration
}

// fakeTime plays with goroutines in a bubble of testing/synctest.
type fakeTime struct{}

func (fakeTime) worker(s script) suture.Service { return &scripted{script: s} }

func (fakeTime) pause() { synctest.Wait() }

func (fakeTime) patience() time.Duration { return time.Hour }

func (fakeTime) settle(w *world, _ int) map[string]any {
	begun := time.Now()
	for synctest.Wait(); w.isMoving() && time.Since(begun) < time.Minute; synctest.Wait() {
		time.Sleep(time.Millisecond)
	}
	if w.isMoving() {
		w.t.Error("no quiet within a minute of fake time")
	}
	return w.observe(func(_ string, cancel func()) {
		synctest.Wait() // who does not answer while all is quiet is busy
		cancel()
	})
}

// observe asks all supervisors for their children. giveUp is called once for each, with its path; it is to
// cancel the question when it will not be answered.
func (w *world) observe(giveUp func(path string, cancel func())) map[string]any {
	state := map[string]any{}
	for path, s := range w.running() {
		ctx, cancel := context.WithCancel(context.Background())
		answer := make(chan any, 1)
		go func() { answer <- w.entry(ctx, s) }()
		giveUp(path, cancel)
		state[path] = <-answer
		cancel()
	}
	return state
}

// entry is what the state says of one supervisor.
func (w *world) entry(ctx context.Context, s *supervisor) any {
	which, err := w.which(ctx, s)
	if err != nil {
		return "busy"
	}
	counts, err := count(ctx, s)
	if err != nil {
		return "busy"
	}
	return normal(map[string]any{"which": which, "count": counts})
}
