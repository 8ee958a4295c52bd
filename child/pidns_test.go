//go:build linux

package child_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/ccrash"
)

// isolated is a worker in a PID namespace of its own.
func isolated(t *testing.T) child.Config {
	t.Helper()
	if !slices.Contains(containments(t), child.ContainPIDNamespace) {
		t.Skip("SKIPPED, a worker as process 1 was not seen: no PID namespaces here")
	}
	return child.Config{Name: "w", Contain: child.ContainPIDNamespace, Env: []string{"PATH"}}
}

// For process 1 the kernel drops deadly signals that it does not catch. Every
// death is told as it is elsewhere, but for a signal from outside that Go dies
// of: its runtime exits instead. SIGKILL from inside has no effect at all.
func TestEveryDeathOfProcessOne(t *testing.T) {
	watch(t)
	cfg := isolated(t)
	t.Run("deaths", func(t *testing.T) {
		for _, d := range deaths {
			t.Run(d.way, func(t *testing.T) {
				t.Parallel()
				switch {
				case !ccrash.HasC && strings.HasPrefix(d.way, "C "):
					t.Skip("needs cgo")
				case raceEnabled && d.way == "out of data":
					t.Skip("the race detector notices first")
				case d.way == "SIGKILL":
					t.Skip("process 1 cannot kill itself")
				case d.way == "SIGHUP":
					d.cause, d.code, d.signal = child.Exited, 2, 0
				case d.way == "C abort on a thread":
					d.code, d.signal = 2, 0
				}
				w := up(t, cfg)
				ctx, cancel := context.WithTimeout(named("a"), limit)
				defer cancel()
				_, err := perish.Call(ctx, w, d.way)
				crash := as[*child.CrashError](t, err)
				served := as[*child.CrashError](t, w.end())
				if d.panic != "" {
					crash = served // it has seen the end
				}
				if e := crash.Exit; e.Cause != d.cause || e.Observed.Code != d.code || e.Observed.Signal != d.signal {
					t.Errorf("exit %+v, want cause %v, code %d, signal %v", e, d.cause, d.code, d.signal)
				}
			})
		}
	})
	w := up(t, cfg)
	must(t, syscall.Kill(w.pid(), syscall.SIGKILL))
	if crash := as[*child.CrashError](t, w.end()); crash.Exit.Cause != child.Killed {
		t.Error(crash)
	}
}

// The ladder of a stop ends in time and is told for what it is.
func TestStopOfProcessOne(t *testing.T) {
	watch(t)
	cfg, g := isolated(t), newGate(t)
	cfg.Setup = theShop.With(shopConfig{Name: "s", Close: "hang", Gate: g})
	cfg.Stop = child.Stop{Drain: 100 * time.Millisecond, Close: 100 * time.Millisecond, Term: limit}
	w := up(t, cfg)
	if crash := as[*child.CrashError](t, w.stop()); crash.Exit.Cause != child.StopTimeout {
		t.Errorf("%v, %+v", crash, crash.Exit)
	}
	freshly := up(t, isolated(t))
	wantDouble(t, freshly)
	must(t, freshly.stop())
	g.open(t)
}

// raiseChildren starts programs and waits for them, while others become orphans
// and end.
var raiseChildren = child.Define("raise.children", func(_ context.Context, n int) (string, error) {
	for i := range n {
		if err := exec.Command("sh", "-c", "sh -c 'exit 4' & sh -c 'sleep 0.01' & exit 0").Run(); err != nil {
			return "", fmt.Errorf("the parent of orphans: %w", err)
		}
		var exit *exec.ExitError
		if err := exec.Command("sh", "-c", fmt.Sprintf("exit %d", 1+i%9)).Run(); !errors.As(err, &exit) || exit.ExitCode() != 1+i%9 {
			return "", fmt.Errorf("program %d: %w", i, err)
		}
	}
	self, err := os.Readlink("/proc/self") // the host's view
	if err != nil || os.Getpid() != 1 {
		return "", fmt.Errorf("process %d, %w", os.Getpid(), err)
	}
	return self, nil
})

// Process 1 reaps the orphans that it is given, and never takes the exit status
// of a program that its functions wait for.
func TestOrphansOfProcessOne(t *testing.T) {
	watch(t)
	w := up(t, isolated(t))
	self, err := raiseChildren.Call(t.Context(), w, 50)
	if err != nil || self != fmt.Sprint(w.pid()) {
		t.Errorf("%s, %v; want %d", self, err, w.pid())
	}
	expect(t, "no zombies", func() bool {
		return !slices.ContainsFunc(descendants(t, w.pid()), func(pid int) bool {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			return err == nil && strings.Contains(string(b), "State:\tZ")
		})
	})
	if n, err := nested.Call(t.Context(), w, 4); n != 8 || err != nil { // a worker of process 1
		t.Error(n, err)
	}
	must(t, w.stop())
}

// descendants are the children of a process, and theirs.
func descendants(t *testing.T, of int) (pids []int) {
	for pid, ppid := range processes(t) {
		if ppid == of {
			pids = append(append(pids, pid), descendants(t, pid)...)
		}
	}
	return pids
}
