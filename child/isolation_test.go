//go:build linux

package child_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
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

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/child"
)

// glance is what a process sees of itself.
type glance struct {
	Env     []string
	Args    []string
	Dir     string
	Files   map[int]string
	Ignored string // mask of ignored signals
	Blocked string // mask of blocked ones
}

var (
	inspect = child.Define("inspect", func(context.Context, bool) (glance, error) { return glanceAt("self") })

	// inspectProgram starts a program and looks at it.
	inspectProgram = child.Define("inspect.program", func(context.Context, bool) (glance, error) {
		cmd := exec.Command("/bin/sleep", "60")
		if err := cmd.Start(); err != nil {
			return glance{}, err
		}
		defer cmd.Wait()
		defer cmd.Process.Kill()
		return glanceAt(fmt.Sprint(cmd.Process.Pid))
	})

	// nested calls a function in a worker of the worker.
	nested = child.Define("nested", func(ctx context.Context, n int) (int, error) { return child.Once(ctx, child.Config{}, double, n) })
)

func glanceAt(pid string) (g glance, err error) {
	entries, err := os.ReadDir("/proc/" + pid + "/fd")
	if err != nil {
		return g, err
	}
	g.Files = map[int]string{}
	for _, e := range entries {
		var n int
		fmt.Sscan(e.Name(), &n)
		if target, err := os.Readlink("/proc/" + pid + "/fd/" + e.Name()); err == nil {
			kind, _, _ := strings.Cut(target, ":[")
			g.Files[n] = kind
		}
	}
	environ, _ := os.ReadFile("/proc/" + pid + "/environ")
	g.Env = strings.Split(strings.TrimRight(string(environ), "\x00"), "\x00")
	if pid == "self" {
		g.Env = os.Environ()
	}
	args, _ := os.ReadFile("/proc/" + pid + "/cmdline")
	g.Args = strings.Split(strings.TrimRight(string(args), "\x00"), "\x00")
	status, _ := os.ReadFile("/proc/" + pid + "/status")
	for line := range strings.Lines(string(status)) {
		if mask, ok := strings.CutPrefix(line, "SigIgn:"); ok {
			g.Ignored = strings.TrimSpace(mask)
		}
		if mask, ok := strings.CutPrefix(line, "SigBlk:"); ok {
			g.Blocked = strings.TrimSpace(mask)
		}
	}
	g.Dir, err = os.Readlink("/proc/" + pid + "/cwd")
	return g, err
}

// runVar is passed on by whatever a worker starts, where a sweep has to find it.
const runVar = "VERDIGRIS_RUN="

func isMark(entry string) bool { return strings.HasPrefix(entry, runVar) }

func TestEnvironment(t *testing.T) {
	watch(t)
	for name, value := range map[string]string{"SECRET": "x", "PASSED": "yes", "GOTRACEBACK": "none", "GOCOVERDIR": "", "GORACE": "", "TWICE": "parent's"} {
		t.Setenv(name, value)
	}
	os.Unsetenv("GOCOVERDIR")
	os.Unsetenv("GORACE")
	g, err := child.Once(t.Context(), child.Config{Env: []string{"PASSED", "UNSET_HERE", "SET=to this=that", "EMPTY=", "GOTRACEBACK=single", "TWICE", "TWICE=mine", "VERDIGRIS_WORKER=0"}}, inspect, true)
	must(t, err)
	slices.Sort(g.Env)
	g.Env = slices.DeleteFunc(g.Env, isMark)
	procs := fmt.Sprintf("GOMAXPROCS=%d", min(runtime.GOMAXPROCS(0), 2))
	want := []string{"EMPTY=", procs, "GORACE=atexit_sleep_ms=0", "GOTRACEBACK=single", "PASSED=yes", "SET=to this=that", "TWICE=mine"}
	if !slices.Equal(g.Env, want) {
		t.Errorf("%q\nwant %q", g.Env, want)
	}
	g, err = child.Once(t.Context(), child.Config{}, inspect, true)
	must(t, err)
	g.Env = slices.DeleteFunc(g.Env, isMark)
	if slices.Sort(g.Env); !slices.Equal(g.Env, []string{procs, "GORACE=atexit_sleep_ms=0", "GOTRACEBACK=none"}) {
		t.Errorf("by default: %q", g.Env)
	}
}

func TestNameOfTheProcess(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Name: "resizer", Dir: "/"})
	g, err := inspect.Call(t.Context(), w, true)
	must(t, err)
	if want := filepath.Base(os.Args[0]) + ": worker resizer"; len(g.Args) != 1 || g.Args[0] != want || g.Dir != "/" {
		t.Errorf("arguments %q in %s, want %q", g.Args, g.Dir, want)
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", w.pid()))
	if err != nil || string(comm) != "resizer\n" {
		t.Errorf("comm %q, %v", comm, err)
	}
	if w.String() != "worker resizer" || w.Name() != "resizer" {
		t.Error(w)
	}
}

// expected are a worker's descriptors, apart from those of its runtime.
var expected = map[int]string{0: "/dev/null", 1: "pipe", 2: "pipe", 3: "socket", 4: "pipe", 5: "pipe", 6: "/memfd:verdigris-status (deleted)"}

// ownFiles leaves out what belongs to the runtime.
func ownFiles(files map[int]string) map[int]string {
	own := maps.Clone(files)
	maps.DeleteFunc(own, func(n int, kind string) bool {
		return strings.HasPrefix(kind, "anon_inode") || strings.HasPrefix(kind, "/proc/") || strings.HasPrefix(kind, "/sys/fs/cgroup/") ||
			n > 6 && kind == expected[6] // the runtime's own descriptor for its crash report
	})
	return own
}

// F43: a worker has its own descriptors and nobody else's, also when many start
// at once, and when this program has some that an exec does not close.
func TestDescriptorsOfWorkers(t *testing.T) {
	watch(t)
	keep, err := os.Open("/etc/passwd") // one of the parent's, which no worker may see
	must(t, err)
	defer keep.Close()
	stray := [2]int{}
	must(t, unix.Pipe2(stray[:], 0))
	high, err := unix.FcntlInt(uintptr(stray[0]), unix.F_DUPFD, 200)
	must(t, err)
	for _, fd := range append(stray[:], high) {
		defer unix.Close(fd)
	}
	child.EachTransport(t, func(t *testing.T) {
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				g, err := child.Once(context.Background(), child.Config{StartTimeout: limit, Contain: child.ContainGroup}, inspect, true)
				if own := ownFiles(g.Files); err != nil || !maps.Equal(own, expected) {
					t.Errorf("%v %v", own, err)
				}
			})
		}
		all.Wait()
	})
}

// A program that a function starts gets none of the protocol's descriptors, no
// marker, and the usual signals.
func TestProgramsOfWorkers(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Env: []string{"A=b"}})
	g, err := inspectProgram.Call(t.Context(), w, true)
	must(t, err)
	if want := map[int]string{0: "/dev/null", 1: "/dev/null", 2: "/dev/null"}; !maps.Equal(ownFiles(g.Files), want) {
		t.Errorf("descriptors %v", g.Files)
	}
	for _, v := range g.Env {
		if strings.HasPrefix(v, "VERDIGRIS") && !isMark(v) {
			t.Errorf("environment %q", g.Env)
		}
	}
	self, err := glanceAt("self") // this process ignores what it was started with
	must(t, err)
	blocked, err := strconv.ParseUint(g.Blocked, 16, 64)
	must(t, err)
	const caught = 1<<(syscall.SIGHUP-1) | 1<<(syscall.SIGINT-1) | 1<<(syscall.SIGTERM-1)
	if g.Ignored != self.Ignored || blocked&caught != 0 { // a worker catches these, and must not pass that on
		t.Errorf("ignored signals %s, this process has %s; blocked %s", g.Ignored, self.Ignored, g.Blocked)
	}
}

// deeper calls itself in a worker of its own, and returns how often that went well.
var deeper child.Func[int, int]

func init() {
	deeper = child.Define("deeper", func(ctx context.Context, n int) (int, error) {
		below, err := child.Once(ctx, child.Config{}, deeper, n+1)
		if err != nil && below == 0 {
			slog.Info("no deeper", "error", err.Error())
			return n, nil
		}
		return below, err
	})
}

// F57: a function that calls itself in a worker does not fill the machine.
func TestDepthOfWorkers(t *testing.T) {
	watch(t)
	if n, err := child.Once(t.Context(), child.Config{}, deeper, 1); n != 8 || err != nil {
		t.Error(n, err)
	}
}

func TestWorkerOfAWorker(t *testing.T) {
	watch(t)
	if n, err := child.Once(t.Context(), child.Config{}, nested, 4); n != 8 || err != nil {
		t.Error(n, err)
	}
}

// Calls of concurrency 1 stay on one thread, for C libraries that want that.
func TestOneThread(t *testing.T) {
	watch(t)
	w := up(t, child.Config{})
	first, err := thread.Call(t.Context(), w, true)
	must(t, err)
	for range 200 {
		if id, err := thread.Call(t.Context(), w, true); id != first || err != nil {
			t.Fatal(first, id, err)
		}
	}
}

// A worker's marker in somebody's environment is no parent.
func TestMarkerWithoutAParent(t *testing.T) {
	watch(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{"VERDIGRIS_WORKER=1", "GORACE=atexit_sleep_ms=0"}
	out, err := cmd.CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 70 || !strings.Contains(string(out), "no verdigris parent has started this process") {
		t.Errorf("%v: %s", err, out)
	}
}
