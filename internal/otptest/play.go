package otptest

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
)

// Play runs scenarios with goroutines as children in fake time, each as a subtest, and prints how many passed. It
// fails when more than 5 % cannot be expressed in Go's types.
func Play(t *testing.T, list []*Scenario) {
	playAll(t, list, 1, func(t *testing.T, sc *Scenario) {
		synctest.Test(t, func(t *testing.T) { newWorld(t, fakeTime{}).play(sc) })
	})
}

// tally is how the scenarios of a corpus went.
type tally struct {
	mu                             sync.Mutex
	total, passed, failed, skipped int
}

// playAll plays scenarios, several at a time, and prints the tally as its last line.
func playAll(t *testing.T, list []*Scenario, width int, play func(*testing.T, *Scenario)) {
	sum := &tally{total: len(list)}
	todo := make(chan *Scenario)
	var players sync.WaitGroup
	for range width {
		players.Go(func() {
			for sc := range todo {
				sum.play(t, sc, play)
			}
		})
	}
	for _, sc := range list {
		todo <- sc
	}
	close(todo)
	players.Wait()
	if sum.skipped*20 > sum.total {
		t.Errorf("%d of %d scenarios skipped: more than 5 %%", sum.skipped, sum.total)
	}
	fmt.Printf("otp: %d scenarios, %d passed, %d failed, %d skipped\n", sum.total, sum.passed, sum.failed, sum.skipped)
}

// play plays one scenario, or says why not.
func (s *tally) play(t *testing.T, sc *Scenario, play func(*testing.T, *Scenario)) {
	skip := sc.Inexpressible()
	if sc.Expect == nil {
		skip = "nothing has been recorded"
	}
	ok := t.Run(sc.Name, func(t *testing.T) {
		if skip != "" {
			t.Skip(skip)
		}
		play(t, sc)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case skip != "":
		s.skipped++
		fmt.Printf("otp: skipped %s: %s\n", sc.Name, skip)
	case ok:
		s.passed++
	default:
		s.failed++
	}
}

// play runs one scenario and compares.
func (w *world) play(sc *Scenario) {
	defer w.stopScratch()
	w.compare("start", sc.Expect.Start, w.startRoot(&sc.Tree, sc.StartAsync))
	for i, st := range sc.Steps {
		text, err := json.Marshal(st)
		if err != nil {
			w.t.Fatal(err)
		}
		w.compare(fmt.Sprintf("step %d %s", i, text), sc.Expect.Steps[i], w.step(st))
	}
	w.compare("final", sc.Expect.Final, w.within(w.stop))
}
