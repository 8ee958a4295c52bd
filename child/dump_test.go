//go:build linux

package child_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/ccrash"
)

// A worker that is killed for taking too long shows first what it was doing,
// and the cause stays what it is.
func TestDump(t *testing.T) {
	watch(t)
	inC := "C.spin called by ccrash.Spin (ccrash_cgo.go:"
	if !ccrash.HasC {
		inC = "ccrash.Spin (ccrash_nocgo.go:"
	}
	t.Run("ways", func(t *testing.T) {
		for _, test := range []struct {
			name        string
			way         string // of being busy
			concurrency int
			shows       string // the function that hangs, in the trace
			in          string // the same in the error, for people
		}{
			{"Go loop", "Go", 1, "spinInGo", "child_test.spinInGo (heartbeat_test.go:"},
			{"C loop", "C", 1, "ccrash.Spin", inC},
			{"C loop on another thread", "C", 2, "ccrash.Spin", inC},
			{"a wait without end", "nothing", 2, "[select (no cases)]:", "child_test.init.func"},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				w := up(t, child.Config{
					Name: "w", Concurrency: test.concurrency,
					CallTimeout: 200 * time.Millisecond, Grace: time.Millisecond, Dump: limit,
				})
				_, err := busy.Call(named("a"), w, test.way)
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				err = w.end()
				crash := as[*child.CrashError](t, err)
				if crash.Cause != child.Deadline || !strings.HasPrefix(crash.Reported.Trace, "SIGQUIT: quit") || !strings.Contains(crash.Reported.Trace, test.shows) {
					t.Errorf("%v\n%s", err, crash.Reported.Trace)
				}
				if !strings.Contains(err.Error(), "was killed because the deadline of a call had passed: busy [a], in "+test.in) {
					t.Errorf("%v\n%s", err, crash.Reported.Trace)
				}
			})
		}
	})
}

// A process that is stopped shows nothing; it has the time for it, and no more.
// A kill in between is not held up.
func TestDumpThatDoesNotCome(t *testing.T) {
	watch(t)
	const window = 300 * time.Millisecond
	w := up(t, child.Config{Heartbeat: 10 * time.Millisecond, Dump: window})
	freeze(t, w.pid())
	began := time.Now()
	crash := as[*child.CrashError](t, w.end())
	if took := time.Since(began); took < window || took > window+soon {
		t.Errorf("it took %v", took)
	}
	if crash.Cause != child.Hung || crash.Reported.Trace != "" || crash.Observed.Signal != 9 {
		t.Error(crash)
	}

	w = up(t, child.Config{Heartbeat: 10 * time.Millisecond, Dump: time.Hour})
	freeze(t, w.pid())
	expect(t, "the end of its calls", func() bool { return !w.Stats().Up })
	w.Kill()
	if crash := as[*child.CrashError](t, w.end()); crash.Cause != child.Hung {
		t.Error(crash)
	}
}

// Only what hangs is asked for its stacks: the others end at once.
func TestDumpIsForWhatHangs(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Dump: limit})
	w.Kill()
	if crash := as[*child.CrashError](t, w.end()); crash.Cause != child.KillCalled || crash.Reported.Trace != "" {
		t.Error(crash)
	}
}
