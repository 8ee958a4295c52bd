//go:build linux

package child_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/ccrash"
	"github.com/verdigris-go/verdigris/internal/cgroup"
)

const mib = 1 << 20

var (
	// useHeap fills so many bytes of the Go heap at a time, and keeps them.
	useHeap = child.Define("use.heap", func(_ context.Context, size int) (int, error) {
		for at := 0; at < size; at += mib {
			kept = append(kept, make([]byte, mib))
			for i := 0; i < mib; i += 4096 {
				kept[len(kept)-1][i] = 1
			}
		}
		return len(kept), nil
	})
	kept [][]byte

	// collect makes garbage for the collector.
	collect = child.Define("collect", func(_ context.Context, size int) (n int, _ error) {
		for range size / 4096 {
			n += len(append(make([]byte, 0, 4096), 1))
		}
		runtime.GC()
		return n, nil
	})

	// leak loses memory in C for as long as the call lasts, a MiB at a time.
	leak = child.Define("leak", func(_ context.Context, pause time.Duration) (bool, error) {
		for range 4 << 10 { // enough is enough
			if !ccrash.Leak(mib) {
				return false, nil
			}
			time.Sleep(pause)
		}
		return true, nil
	})

	// settings are what a worker's runtime was told.
	settings = child.Define("settings", func(context.Context, bool) (s struct {
		Procs  int
		Memory int64
		Score  int
	}, err error,
	) {
		b, err := os.ReadFile("/proc/self/oom_score_adj")
		s.Procs, s.Memory = runtime.GOMAXPROCS(0), debug.SetMemoryLimit(-1)
		s.Score, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		return s, err
	})
)

// needs skips a test on a machine that cannot keep a limit by control groups.
func needs(t testing.TB, s cgroup.Support) {
	t.Helper()
	if !s.OK {
		t.Skip(s.Why)
	}
}

func TestMemoryByGroup(t *testing.T) {
	needs(t, cgroup.Find().Memory)
	watch(t)
	w := up(t, child.Config{Name: "w", Memory: 64 * mib, Env: []string{"GOMEMLIMIT=off"}})
	wantDouble(t, w)
	if e := w.Stats().Enforced; e.Memory != child.LimitCgroup || e.MemoryWhy != "" {
		t.Errorf("%+v", e)
	}
	_, err := useHeap.Call(t.Context(), w, 256*mib)
	crash := as[*child.CrashError](t, err)
	if crash.Exit.Cause != child.OutOfMemory || crash.Exit.Observed.Signal != syscall.SIGKILL ||
		!strings.HasPrefix(crash.Exit.Detail, "the kernel killed it at its Config.Memory of 64.0 MiB (peak 6") {
		t.Error(crash)
	}
	w.end()
}

// Without a control group the watch ends a worker while its call still runs.
func TestMemoryByWatch(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Name: "w", Memory: 128 * mib}.WithoutGroups())
	wantDouble(t, w)
	if e := w.Stats().Enforced; e.Memory != child.LimitWatch || e.MemoryWhy != "the test wants none" {
		t.Errorf("%+v", e)
	}
	_, err := leak.Call(t.Context(), w, time.Millisecond)
	crash := as[*child.CrashError](t, err)
	var used float64
	fmt.Sscanf(crash.Exit.Detail, "it used %f MiB, and its Config.Memory is 128.0 MiB", &used)
	if crash.Exit.Cause != child.OutOfMemory || used < 128 || used > 256 {
		t.Error(crash)
	}
	w.end()
}

// What is faster than the watch meets RLIMIT_DATA, here a Go program its end.
func TestMemoryByRlimit(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Name: "w", Memory: 64 * mib}.WithoutGroups().WithoutWatch())
	wantDouble(t, w)
	_, err := useHeap.Call(t.Context(), w, 8<<10*mib)
	crash := as[*child.CrashError](t, err)
	if crash.Exit.Cause != child.OutOfMemory || !strings.HasPrefix(crash.Exit.Detail, "its runtime got no more memory at its Config.Memory of 64.0 MiB") {
		t.Error(crash)
	}
	w.end()
}

func TestSettingsOfTheRuntime(t *testing.T) {
	watch(t)
	t.Setenv("GOMEMLIMIT", "123MiB") // not for workers
	t.Setenv("GOMAXPROCS", "7")
	procs := runtime.GOMAXPROCS(0)
	for _, test := range []struct {
		cfg    child.Config
		procs  int
		memory int64
	}{
		{child.Config{}, min(procs, 2), 1<<63 - 1},
		{child.Config{Concurrency: 8}, min(procs, 9), 1<<63 - 1},
		{child.Config{Memory: 100 * mib}, min(procs, 2), 90 * mib},
		{child.Config{Memory: 100 * mib, Env: []string{"GOMEMLIMIT=50MiB", "GOMAXPROCS=1"}}, 1, 50 * mib},
		{child.Config{Env: []string{"GOMEMLIMIT", "GOMAXPROCS"}}, 7, 123 * mib},
	} {
		s, err := child.Once(t.Context(), test.cfg, settings, true)
		if err != nil || s.Procs != test.procs || s.Memory != test.memory {
			t.Errorf("%+v: %+v, %v", test.cfg, s, err)
		}
	}
}

// A worker is a likelier victim than its parent, and a worker's worker is one still.
func TestOOMScore(t *testing.T) {
	watch(t)
	b, err := os.ReadFile("/proc/self/oom_score_adj")
	must(t, err)
	own, err := strconv.Atoi(strings.TrimSpace(string(b)))
	must(t, err)
	s, err := child.Once(t.Context(), child.Config{}, settings, true)
	if want := min(own+500, 1000); err != nil || s.Score != want {
		t.Errorf("%+v, %v, want %d", s, err, want)
	}
}

var (
	// bomb forks as long as it can, and beyond.
	bomb = child.Define("bomb", func(_ context.Context, full string) (bool, error) {
		for n, told := 0, false; n < 500; { // if it is not stopped, it stops itself
			err := exec.Command("setsid", "sleep", "60").Start()
			if err == nil {
				n++
			} else if !told {
				told = os.WriteFile(full, nil, 0o600) == nil
			}
		}
		return true, nil
	})

	// threads takes so many threads of the system.
	threads = child.Define("threads", func(_ context.Context, n int) (bool, error) {
		for range n {
			go func() {
				runtime.LockOSThread()
				time.Sleep(limit)
			}()
		}
		time.Sleep(limit)
		return true, nil
	})
)

// A fork bomb leaves its parent the forks that it needs, and dies whole.
func TestForkBomb(t *testing.T) {
	needs(t, cgroup.Find().Tasks)
	watch(t)
	nonce := fmt.Sprintf("FORK_BOMB=%d", time.Now().UnixNano())
	w := up(t, child.Config{Name: "w", Tasks: 64, Env: []string{nonce, "PATH"}})
	if e := w.Stats().Enforced; e.Tasks != child.LimitCgroup {
		t.Errorf("%+v", e)
	}
	full := filepath.Join(t.TempDir(), "full")
	async(t.Context(), w, bomb, full)
	expect(t, "a full group", func() bool { _, err := os.Stat(full); return err == nil })
	must(t, exec.Command("true").Run())
	if n := len(bearers(t, nonce)); n < 10 || n > 64 {
		t.Errorf("%d processes", n)
	}
	w.Kill()
	w.end()
	if left := bearers(t, nonce); left != nil {
		t.Errorf("left: %v", left)
	}
}

// A worker that gets no more threads dies, and its error says of what.
func TestTooFewTasks(t *testing.T) {
	needs(t, cgroup.Find().Tasks)
	watch(t)
	w := up(t, child.Config{Name: "w", Tasks: 16})
	wantDouble(t, w)
	_, err := threads.Call(t.Context(), w, 30)
	crash := as[*child.CrashError](t, err)
	if !strings.Contains(crash.Exit.Detail, "it had met its Config.Tasks of 16, which counts threads too, ") {
		t.Error(crash)
	}
	w.end()
}

// Where Tasks cannot be kept, nothing is started.
func TestTasksFailClosed(t *testing.T) {
	watch(t)
	_, err := child.Once(t.Context(), child.Config{Tasks: 64}.WithoutGroups(), double, 1)
	as[*child.StartError](t, err)
	if want := "worker worker did not start (spawn): Config.Tasks cannot be kept here: the test wants none"; err.Error() != want {
		t.Error(err)
	}
}

func TestLimitsThatAreRefused(t *testing.T) {
	for _, test := range []struct {
		cfg  child.Config
		want string
	}{
		{child.Config{Memory: 1}, "Memory 1 is less than the "},
		{child.Config{Memory: -1}, "Memory -1 is less than"},
		{child.Config{Tasks: 15}, "Tasks 15 is less than the 16 threads that a worker needs for itself"},
		{child.Config{Tasks: -1}, "Tasks -1 is less than"},
	} {
		if err := test.cfg.Check(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Error(err)
		}
	}
	must(t, child.Config{Memory: child.LeastMemory, Tasks: 16}.Check())
}

// The least that may be asked for is enough for a worker that does little.
func TestLeastLimits(t *testing.T) {
	if cgroup.Find().Tasks.OK {
		watch(t)
		w := up(t, child.Config{Name: "w", Tasks: 16})
		for range 20 {
			_, err := collect.Call(t.Context(), w, 32*mib)
			must(t, err)
		}
	}
	w := up(t, child.Config{Name: "w", Memory: child.LeastMemory}.WithoutGroups())
	wantDouble(t, w)
}

// hoard is a state that is larger than its worker may be.
var hoard = child.DefineState("hoard", func(ctx context.Context, size int) (*int, error) {
	for range size / mib {
		ccrash.Leak(mib)
	}
	return &size, nil
}, nil)

// A worker that runs out of memory before it is ready is told apart from one
// whose start was broken off.
func TestOutOfMemoryWhileStarting(t *testing.T) {
	watch(t)
	for name, cfg := range map[string]child.Config{"group": {}, "watch": child.Config{}.WithoutGroups()} {
		cfg.Memory, cfg.Setup = 64*mib, hoard.With(1<<10*mib)
		_, err := child.Once(t.Context(), cfg, double, 1)
		as[*child.StartError](t, err)
		if !errors.Is(err, child.OutOfMemory) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func init() {
	// in a control group that is too small for its worker
	roles["parent: cramped"] = func() {
		child.Init()
		gate(os.Getenv("GATE")).wait()
		_, err := child.Once(context.Background(), child.Config{}, useHeap, 1<<10*mib)
		fmt.Println("first:", err)
		p := child.New(child.Config{})
		up := make(chan struct{})
		ended := make(chan error)
		go func() { ended <- p.ServeReady(context.Background(), func() { close(up) }) }()
		<-up
		if err := syscall.Kill(p.Stats().PID, syscall.SIGKILL); err != nil {
			panic(err)
		}
		fmt.Println("second:", <-ended)
	}
	// with a worker that is limited and has started something that leaves its group
	roles["parent: with limits"] = func() {
		child.Init()
		slog.SetDefault(slog.New(slog.DiscardHandler))
		p := child.New(child.Config{Tasks: 50, Env: []string{"NONCE", "PATH"}})
		up := make(chan struct{})
		go p.ServeReady(context.Background(), func() { close(up) })
		<-up
		fmt.Println(spawnSleepers.Call(context.Background(), p, true))
		select {}
	}
	roles["parent: the next one"] = func() {
		child.Init()
		fmt.Println(child.Once(context.Background(), child.Config{Tasks: 50}, double, 21))
	}
}

// When parent and worker share a control group whose memory is out, the worker
// is the victim, and its error says so; a worker that was killed otherwise is
// not mistaken for one.
func TestMemoryOfSharedGroup(t *testing.T) {
	host := cgroup.Find()
	needs(t, host.Memory)
	watch(t)
	group, err := host.New(cgroup.Limits{Memory: 256 * mib})
	must(t, err)
	t.Cleanup(func() { must(t, group.Close()) })
	for _, dir := range group.Dirs() { // with cgroup v2 the parent would be taken along
		_ = os.WriteFile(dir+"/memory.oom.group", []byte("0"), 0)
	}
	g := newGate(t)
	a := start(t, os.Args[0], "parent: cramped", "GATE="+string(g))
	must(t, group.Join(a.cmd.Process.Pid))
	g.open(t)
	if got := a.line("first:"); !strings.Contains(got, "ran out of memory: the OOM killer has ended a process of the control group that it shares with its parent") {
		t.Error(got)
	}
	if got := a.line("second:"); !strings.Contains(got, "was killed from outside") {
		t.Error(got)
	}
	must(t, a.cmd.Wait())
}

// A parent that is killed leaves its groups and whatever lives in them. The
// next program that needs a group removes both.
func TestGroupsOfKilledParent(t *testing.T) {
	needs(t, cgroup.Find().Tasks)
	watch(t)
	nonce := fmt.Sprintf("NONCE=%d-%d", os.Getpid(), time.Now().UnixNano())
	a := start(t, os.Args[0], "parent: with limits", nonce)
	a.line("<nil>")
	pid := a.cmd.Process.Pid
	if groups, left := groupsOf(t, pid), bearers(t, nonce); len(groups) == 0 || len(left) < 4 {
		t.Fatalf("groups %v, processes %v", groups, left)
	}
	must(t, a.cmd.Process.Kill()) // from here on, another program on this machine may be the next one
	_ = a.cmd.Wait()
	if got := start(t, os.Args[0], "parent: the next one").line(""); got != "42 <nil>" {
		t.Error(got)
	}
	if groups, left := groupsOf(t, pid), bearers(t, nonce); groups != nil || left != nil {
		t.Errorf("left: groups %v, processes %v", groups, left)
	}
}

// The danger is told once in a program, loudly when it is certain.
func TestDangerIsToldOnce(t *testing.T) {
	for level, danger := range map[slog.Level]cgroup.Danger{
		slog.LevelWarn: {Certain: true, Why: "set"}, slog.LevelInfo: {Why: "by default"},
	} {
		log := newRecorder()
		child.ForgetWarning(t)
		child.WarnOfOOM(slog.New(log), cgroup.Danger{})
		for range 3 {
			child.WarnOfOOM(slog.New(log), danger)
		}
		records, _ := log.look()
		if len(records) != 1 || records[0].level != level || !strings.HasSuffix(records[0].message, ": "+danger.Why) {
			t.Error(log)
		}
	}
}
