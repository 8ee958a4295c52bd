//go:build linux

package child_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// freezer is a control group whose processes do not even die while it is frozen.
type freezer string

// newFreezer needs the freezer of version 1: what that of version 2 has frozen can be killed.
func newFreezer(t *testing.T) freezer {
	dir := filepath.Join("/sys/fs/cgroup/freezer", fmt.Sprintf("verdigris-test-%d-%d", os.Getpid(), time.Now().UnixNano()))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Skipf("SKIPPED, a process that SIGKILL does not end was not seen: no freezer of cgroup version 1 here: %v", err)
	}
	t.Cleanup(func() {
		freezer(dir).set(t, "THAWED")
		expect(t, "the end of the group", func() bool { return os.Remove(dir) == nil })
	})
	return freezer(dir)
}

func (f freezer) set(t *testing.T, state string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(string(f), "freezer.state"), []byte(state), 0))
	expect(t, state, func() bool {
		b, err := os.ReadFile(filepath.Join(string(f), "freezer.state"))
		return err == nil && strings.TrimSpace(string(b)) == state
	})
}

// freeze puts a process where nothing reaches it.
func (f freezer) freeze(t *testing.T, pid int) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(string(f), "cgroup.procs"), []byte(fmt.Sprint(pid)), 0))
	f.set(t, "FROZEN")
}

// What SIGKILL does not end is let go: its calls fail, its place is free, and
// somebody is told. It is reaped when it dies at last.
func TestUnkillableWorker(t *testing.T) { child.EachTransport(t, testUnkillableWorker) }

func testUnkillableWorker(t *testing.T) {
	watch(t)
	f := newFreezer(t)
	g := newGate(t)
	rec := newRecorder()
	cfg := child.Config{
		Name: "w", Logger: slog.New(rec), Concurrency: 1, Grace: time.Millisecond, Wait: limit,
		Dump: 10 * time.Millisecond, Heartbeat: 20 * time.Millisecond,
	}.WithKillGrace(200 * time.Millisecond)
	w := up(t, cfg)
	pid := w.pid()
	running := async(named("a"), w, hold, holding{Gate: g, Say: "a"})
	rec.wait(t, "holding a")
	waiting := async(named("b"), w, double, 1)
	expect(t, "two calls", func() bool { return w.Stats().InFlight == 2 })
	f.freeze(t, pid)

	err := w.end()
	crash := as[*child.CrashError](t, err)
	if crash.Cause != child.Abandoned || crash.PID != pid || crash.Observed.Code != -1 || !crash.Cause.Ordered() {
		t.Errorf("%+v", crash)
	}
	want := fmt.Sprintf("worker w (pid %d, run 1) did not die of SIGKILL and was abandoned: it was killed because it did not answer the heartbeat: no answer for 3 periods of 20ms, while running hold [a]", pid)
	if err.Error() != want {
		t.Errorf("%q\nwant %q", err, want)
	}
	if c := as[*child.CrashError](t, receive(t, "the running call", running).err); !reflect.DeepEqual(c.Exit, crash.Exit) {
		t.Error(c)
	}
	if r := rec.wait(t, "worker abandoned"); r.level != slog.LevelError || r.attrs["pid"] != int64(pid) {
		t.Error(r)
	}
	if state := stateOf(t, pid); state != "D" {
		t.Errorf("state %s: this test shows nothing", state)
	}
	for fd, file := range descriptors(t) {
		if strings.Contains(file, "verdigris-status") {
			t.Errorf("descriptor %d is open: %s", fd, file)
		}
	}

	// Its place is filled while it is still there.
	_, done, stop := run(t, w.Process)
	if a := receive(t, "the call that waited", waiting); a.value != 2 || a.err != nil {
		t.Error(a)
	}
	wantDouble(t, w)
	if s := w.Stats(); s.Run != 2 || s.PID == pid || !exists(pid) {
		t.Errorf("%+v", s)
	}
	stop()
	must(t, receive(t, "the end", done))

	f.set(t, "THAWED")
	expect(t, "its death", func() bool { return !exists(pid) })
	g.open(t)
}

// stateOf is the kernel's letter for what a process is doing.
func stateOf(t *testing.T, pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	return strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))[0]
}

// With too many of them nothing is started, until one has died.
func TestTooManyAbandoned(t *testing.T) {
	watch(t)
	cfg := child.Config{Wait: child.NoWait}.WithKillGrace(time.Millisecond)
	var pids []int
	for range child.MaxAbandoned {
		w := up(t, cfg.Undying())
		pids = append(pids, w.pid())
		freeze(t, w.pid()) // or it would see that we are gone
		w.Kill()
		if crash := as[*child.CrashError](t, w.end()); crash.Cause != child.Abandoned {
			t.Error(crash)
		}
	}
	_, err := child.Once(t.Context(), cfg, double, 1)
	if a := as[*child.AbandonedError](t, err); !slices.Equal(a.PIDs, pids) || !errors.Is(err, child.ErrNotStarted) {
		t.Errorf("%v, want %v", err, pids)
	}
	if s := as[*child.StartError](t, err); s.Step != "spawn" || strings.Contains(s.Error(), "\n") {
		t.Error(s)
	}
	must(t, syscall.Kill(pids[3], syscall.SIGKILL))
	expect(t, "a start", func() bool {
		v, err := child.Once(context.Background(), cfg, double, 1)
		return v == 2 && err == nil
	})
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// A worker that does not die while it is being started is a failed start, and
// counts as abandoned too.
func TestUnkillableStart(t *testing.T) {
	watch(t)
	g := newGate(t)
	cfg := child.Config{StartTimeout: 200 * time.Millisecond, Setup: theShop.With(shopConfig{Name: "s", Open: "hang", Gate: g})}
	for _, how := range []string{"timeout", "kill", "halt"} {
		if how != "timeout" {
			cfg.StartTimeout = limit
		}
		w, _ := begin(t, cfg.WithKillGrace(time.Millisecond).Undying())
		w.log.wait(t, "opening s")
		pid := w.pid()
		freeze(t, pid)
		switch how {
		case "kill":
			w.Kill()
		case "halt":
			w.halt()
		}
		start := as[*child.StartError](t, w.end())
		if crash, ok := errors.AsType[*child.CrashError](start); how == "kill" && (!ok || crash.Cause != child.Abandoned) {
			t.Error(start)
		}
		must(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	g.open(t)
}

// A worker that does not die is abandoned at the end of the ladder, too.
func TestUnkillableStop(t *testing.T) {
	watch(t)
	cfg := fake("fake: deaf to everything").WithKillGrace(time.Millisecond).Undying()
	cfg.Stop = child.Stop{Drain: time.Millisecond, Close: time.Millisecond, Term: time.Millisecond}
	w := up(t, cfg)
	pid := w.pid()
	if crash := as[*child.CrashError](t, w.stop()); crash.Cause != child.Abandoned || !strings.Contains(crash.Error(), "did not stop in time") {
		t.Error(crash)
	}
	must(t, syscall.Kill(pid, syscall.SIGKILL))
}
