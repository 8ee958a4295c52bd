package sweep

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limit bounds every wait of the tests.
const limit = 10 * time.Second

// roleVar makes this test program play a part instead of running tests.
const roleVar = "SWEEP_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "":
		os.Exit(m.Run())
	case "headless":
		playHeadless()
	case "adopt":
		playAdopt()
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// begin starts a shell script whose processes have the mark, and waits until
// there are n of them.
func begin(t testing.TB, mark, script string, n int) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Env = []string{Var + "=" + mark, "PATH=" + os.Getenv("PATH")}
	must(t, cmd.Start())
	t.Cleanup(func() {
		for _, pid := range bearers(mark) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(limit); len(bearers(mark)) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d processes of %d", len(bearers(mark)), n)
		}
	}
}

// bearers finds the processes with a mark, by other means than the sweep's.
func bearers(mark string) (pids []int) {
	paths, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range paths {
		b, _ := os.ReadFile(path)
		if slices.ContainsFunc(strings.Split(string(b), "\x00"), func(e string) bool { return strings.HasPrefix(e, Var+"="+mark) }) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}

func none(t testing.TB, mark string) {
	t.Helper()
	time.Sleep(5 * time.Millisecond) // whoever has been missed would have forked by now
	if left := bearers(mark); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Wherever they have gone, all die, and nobody else does.
func TestAllBearersDie(t *testing.T) {
	mark, other := NewMark(), NewMark()
	begin(t, other, "sleep 60 & sleep 60", 3)
	begin(t, mark, `for i in 1 2 3 4 5; do sleep 60 & done
		for i in 1 2 3 4 5; do setsid sh -c 'sleep 60 & setsid sleep 60 & exit'; done
		wait`, 16)
	must(t, Kill(mark, limit))
	none(t, mark)
	if n := len(bearers(other)); n != 3 {
		t.Errorf("%d of 3 with another mark live", n)
	}
	must(t, Kill(other, limit))
	none(t, other)
}

// The mark of a worker's worker begins with the worker's.
func TestMarksBelowAMark(t *testing.T) {
	mark := NewMark()
	begin(t, mark+".x", "exec sleep 60", 1)
	begin(t, mark+"x", "exec sleep 60", 1)
	must(t, Kill(mark, limit))
	if left := bearers(mark); len(left) != 1 {
		t.Errorf("of both, %v are left", left)
	}
}

// F21: processes that fork while they are being killed.
func TestForkLoop(t *testing.T) {
	for name, script := range map[string]string{
		"a parent that stays":     "for i in 1 2 3 4; do setsid sh -c 'while :; do setsid sleep 0.1 & sleep 0.01; done' & done; wait",
		"each goes when it forks": `R='[ $N -gt 0 ] || exit; N=$((N-1)) setsid sh -c "$R" & exit'; export R N=2000; sh -c "$R"; sh -c "$R"; sh -c "$R"; sleep 4`, // for some seconds
	} {
		t.Run(name, func(t *testing.T) {
			mark := NewMark()
			begin(t, mark, script, 1)
			time.Sleep(50 * time.Millisecond)
			if len(bearers(mark)) == 0 {
				t.Fatal("it has ended by itself")
			}
			must(t, Kill(mark, limit))
			none(t, mark)
		})
	}
}

// playHeadless is a process whose first thread ends before the others. Its
// directory in /proc looks like that of a zombie.
func playHeadless() {
	go func() {
		runtime.LockOSThread()
		time.Sleep(time.Hour)
	}()
	runtime.LockOSThread()
	time.Sleep(10 * time.Millisecond)
	_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT, 0, 0, 0)
}

func TestProcessWithoutItsFirstThread(t *testing.T) {
	mark := NewMark()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{roleVar + "=headless", Var + "=" + mark}
	must(t, cmd.Start())
	dead := make(chan error, 1)
	go func() { dead <- cmd.Wait() }()
	for deadline := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		if s, err := parseStat(string(text)); err == nil && s.zombie && s.threads > 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("its first thread lives on")
		}
	}
	must(t, Kill(mark, limit))
	select {
	case <-dead:
	case <-time.After(limit):
		_ = cmd.Process.Kill()
		t.Error("it was not found")
	}
}

// playAdopt is a process that inherits the orphans of its children: after the
// sweep none of them is left as a zombie, and no child of its own is reaped.
func playAdopt() {
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	own := exec.Command("/bin/sh", "-c", "exit 3")
	_ = own.Start()
	mark := NewMark()
	cmd := exec.Command("/bin/sh", "-c", "setsid sleep 60 & setsid sleep 60 & sleep 60 & exit 0")
	cmd.Env = []string{Var + "=" + mark, "PATH=" + os.Getenv("PATH")}
	_ = cmd.Run()
	fmt.Println(Kill(mark, limit))
	err := own.Wait()
	fmt.Println(err)
	_, err = syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
	fmt.Println(err)
}

func TestOrphansThatBecomeOurs(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{roleVar + "=adopt", "PATH=" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	if want := "<nil>\nexit status 3\nno child processes\n"; string(out) != want || err != nil {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
}

// Many sweeps at once share their looks, and all get their answer.
func TestConcurrentSweeps(t *testing.T) {
	before := runtime.NumGoroutine()
	var sweeps sync.WaitGroup
	marks := make([]string, 16)
	for i := range marks {
		marks[i] = NewMark()
		begin(t, marks[i], "setsid sleep 60 & sleep 60", 3)
	}
	for _, mark := range marks {
		sweeps.Go(func() {
			if err := Kill(mark, limit); err != nil {
				t.Error(err)
			}
		})
	}
	sweeps.Wait()
	for _, mark := range marks {
		none(t, mark)
	}
	for deadline := time.Now().Add(limit); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the sweeper does not end")
		}
	}
}

// What cannot be killed in time is named.
func TestLeft(t *testing.T) {
	s := &search{mark: "m", done: make(chan error, 1), found: []int{7}, failed: unix.EPERM}
	if open := settle([]*search{s}, sure, nil); len(open) != 0 {
		t.Error("it goes on")
	}
	var left *LeftError
	if err := <-s.done; !errors.As(err, &left) || !slices.Equal(left.PIDs, []int{7}) || !errors.Is(err, unix.EPERM) {
		t.Error(err)
	}
}

// A look that may have missed somebody is not the last, up to a bound.
func TestUnsureLooks(t *testing.T) {
	s := &search{mark: "m", deadline: time.Now().Add(time.Hour), done: make(chan error, 1)}
	for range enough - 1 {
		if len(settle([]*search{s}, unsure, nil)) != 1 {
			t.Fatal("settled too early")
		}
	}
	if len(settle([]*search{s}, unsure, nil)) != 0 || <-s.done != nil {
		t.Error("it never ends")
	}
}

// A process that is being executed hides its mark. However often it is looked at
// meanwhile, nobody says that there is nobody.
func TestProcessThatIsBeingExecuted(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) { must(t, os.WriteFile(filepath.Join(dir, "77", name), []byte(text), 0o600)) }
	must(t, os.Mkdir(filepath.Join(dir, "77"), 0o700))
	put("environ", "")
	put("stat", "77 (sh) R 1"+strings.Repeat(" 0", 60))
	eyes, s := newEyes(), &search{mark: "m", deadline: time.Now().Add(time.Hour), done: make(chan error, 1)}
	look := func() (sight, bool) {
		proc, err := openDir(unix.AT_FDCWD, dir)
		must(t, err)
		defer unix.Close(proc)
		saw, err := eyes.over(proc, []*search{s})
		return saw, len(settle([]*search{s}, saw, err)) == 0
	}
	for n := range 3 * enough {
		if saw, settled := look(); settled || n > 0 && saw != pending {
			t.Fatalf("look %d: %v, settled: %v", n, saw, settled)
		}
	}
	put("environ", "A=b\x00")
	if saw, settled := look(); saw != sure || !settled || <-s.done != nil {
		t.Errorf("it is a stranger: %v, settled: %v", saw, settled)
	}
}

func TestParseStat(t *testing.T) {
	line := func(state string, flags, threads, envEnd string) string {
		f := strings.Fields("S 7 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 8 7 6 5 4 3 2 1 0 0 0 0 0 0 0 17 0 0 0 0 0 0 1 1 1 1 1 1 1 0")
		f[0], f[statFlags], f[statThreads], f[statEnvEnd] = state, flags, threads, envEnd
		return "12 (a) S 1 ) " + strings.Join(f, " ")
	}
	for _, test := range []struct {
		text string
		want stat
	}{
		{line("S", "0", "1", "99"), stat{parent: 7, threads: 1}},
		{line("R", "0", "1", "0"), stat{parent: 7, threads: 1, executing: true}},
		{line("Z", "0", "2", "0"), stat{parent: 7, threads: 2, zombie: true}},
		{line("I", "2129984", "1", "0"), stat{parent: 7, threads: 1, kernel: true}},
	} {
		if got, err := parseStat(test.text); got != test.want || err != nil {
			t.Errorf("%+v, %v; want %+v", got, err, test.want)
		}
	}
	if _, err := parseStat("1 (x) S 1"); err == nil {
		t.Error("a short line is taken")
	}
}

// With so many processes on the machine.
func BenchmarkKillNobody(b *testing.B) {
	paths, _ := filepath.Glob("/proc/[0-9]*")
	b.ReportMetric(float64(len(paths)), "processes")
	mark := NewMark()
	for b.Loop() {
		if err := Kill(mark, limit); err != nil {
			b.Fatal(err)
		}
	}
}
