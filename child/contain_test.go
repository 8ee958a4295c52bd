//go:build linux

package child_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// family is what breed starts: five processes in the worker's group, and five
// times two that have left it by a double fork into another session.
const family = 5 + 2*5

var (
	// breed starts a family.
	breed = child.Define("breed", func(context.Context, bool) (bool, error) {
		for range 5 {
			if err := exec.Command("sleep", "60").Start(); err != nil {
				return false, err
			}
			if err := exec.Command("setsid", "sh", "-c", "sleep 60 & setsid sleep 60 & exit").Run(); err != nil {
				return false, err
			}
		}
		return true, nil
	})

	// multiply starts processes that start processes, for some seconds.
	multiply = child.Define("multiply", func(context.Context, bool) (bool, error) {
		loop := "i=0; while [ $i -lt 300 ]; do setsid sleep 3 & sleep 0.01; i=$((i+1)); done"
		for range 3 {
			if err := exec.Command("setsid", "sh", "-c", loop).Start(); err != nil {
				return false, err
			}
		}
		return true, nil
	})

	// flee starts a process in another session and with another environment, which
	// holds the worker's output.
	flee = child.Define("flee", func(context.Context, bool) (int, error) {
		cmd := exec.Command("sleep", "60")
		cmd.Env, cmd.SysProcAttr = []string{}, &syscall.SysProcAttr{Setsid: true}
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		return cmd.Process.Pid, nil
	})
)

// containments are the ways that can be had here.
func containments(t testing.TB) (can []child.Contain) {
	for _, c := range []child.Contain{child.ContainGroup, child.ContainCgroup, child.ContainPIDNamespace} {
		_, err := child.Once(context.Background(), child.Config{Contain: c}, double, 1)
		var start *child.StartError
		switch {
		case err == nil:
			can = append(can, c)
		case !errors.As(err, &start) || start.Step != "spawn":
			t.Errorf("%v: %v", c, err)
		default:
			t.Logf("%v cannot be had here: %v", c, err)
		}
	}
	return can
}

// nonce marks the processes of one test.
func nonce() string { return fmt.Sprintf("NONCE=%d-%d", os.Getpid(), time.Now().UnixNano()) }

// F19, F21: whatever ends a worker ends all that it has started.
func TestNothingSurvivesAWorker(t *testing.T) {
	watch(t)
	for _, c := range containments(t) {
		for _, end := range []struct {
			name   string
			start  child.Func[bool, bool]
			atOnce int
			end    func(w *worker)
		}{
			{"killed", breed, family, func(w *worker) { w.Kill() }},
			{"crashed", breed, family, func(w *worker) { _, _ = perish.Call(context.Background(), w, "exit 3") }},
			{"stopped", breed, family, func(w *worker) { w.halt() }},
			{"killed while it multiplies", multiply, 20, func(w *worker) { w.Kill() }},
		} {
			t.Run(c.String()+", "+end.name, func(t *testing.T) {
				mark := nonce()
				w := up(t, child.Config{Contain: c, Env: []string{mark, "PATH"}})
				if got := w.Stats().Enforced; got.Kill != c || got.KillWhy != "" {
					t.Errorf("in force: %+v", got)
				}
				_, err := end.start.Call(t.Context(), w, true)
				must(t, err)
				expect(t, "a family", func() bool { return len(bearers(t, mark)) > end.atOnce })
				end.end(w)
				_ = w.end()
				if left := bearers(t, mark); len(left) > 0 {
					t.Errorf("left: %v", left)
					for _, pid := range left {
						_ = syscall.Kill(pid, syscall.SIGKILL)
					}
				}
			})
		}
	}
}
