package seccomp

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/internal/seccomp/cthreads"
)

var bg = context.Background()

// seconds of it: the runtime calls sched_getaffinity for the first time after
// one, and gives memory back after some more.
const seconds = 5

// A Go program lives on under the list, with a filter that kills.
func TestRuntimeSurvives(t *testing.T) {
	native(t)
	t.Parallel()
	exe := filepath.Join(t.TempDir(), "test")
	build := exec.Command("go", "test", "-c", "-o", exe, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	survives(t, exe, "churn", "go")
}

// So does one with C code, under both lists; and the race detector's is C.
func TestCGoSurvives(t *testing.T) {
	native(t)
	if !cthreads.HasC {
		t.Skip("built without cgo")
	}
	t.Parallel()
	survives(t, "/proc/self/exe", "churn", "c")
}

func survives(t *testing.T, exe string, role ...string) {
	t.Helper()
	e := playIn(t, exe, role...)
	if e.status.ExitStatus() != 0 || e.status.Signaled() {
		t.Fatal(e)
	}
	t.Log(e.out)
}

// Without the calls that come late the process dies, so this test would see it.
func TestChurnFindsWhatIsMissing(t *testing.T) {
	native(t)
	if !cthreads.HasC {
		t.Skip("built without cgo")
	}
	for _, late := range []Call{SysSchedGetaffinity, SysEpollCreate1, SysMadvise, SysTgkill, SysRseq} {
		t.Run(late.String(), func(t *testing.T) {
			t.Parallel()
			if e := play(t, "churn", "c", late.String()); !e.killed() {
				t.Error(e)
			}
		})
	}
}

// playChurn does what makes a runtime busy, under a filter that kills. Its
// second argument is a system call to leave out.
func playChurn(args []string) error {
	groups := Runtime(os.Getpid())
	if args[0] == "c" {
		groups = append(groups, CGo()...)
	}
	f := Filter{Rules: Join(groups...)}
	if len(args) == 2 {
		f.Rules = without(f.Rules, args[1])
	}
	if _, err := load(f, AllThreads); err != nil {
		return err
	}
	if s := churn(args[0] == "c"); s != "" {
		return fmt.Errorf("%s", s)
	}
	fmt.Printf("GOMAXPROCS %d of %d\n", runtime.GOMAXPROCS(0), runtime.NumCPU())
	return nil
}

func without(rules []Rule, name string) []Rule {
	var kept []Rule
	for _, r := range rules {
		if r.Call.String() != name {
			kept = append(kept, r)
		}
	}
	return kept
}

func churn(c bool) string {
	var all sync.WaitGroup
	stop := make(chan struct{})
	again := func(f func()) {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					f()
				}
			}
		})
	}
	procs := runtime.GOMAXPROCS(0)
	again(garbage)
	again(mortalThreads)
	again(timers)
	again(spin)
	if c {
		again(func() { cthreads.Round(4) })
	}
	again(func() { debug.FreeOSMemory(); time.Sleep(100 * time.Millisecond) })
	time.Sleep(seconds * time.Second)
	close(stop)
	all.Wait()
	if now := runtime.GOMAXPROCS(0); now != procs {
		return fmt.Sprintf("GOMAXPROCS fell from %d to %d", procs, now)
	}
	return ""
}

var sink [][]byte

func garbage() {
	sink = nil
	for range 200 {
		sink = append(sink, make([]byte, 64<<10))
	}
	runtime.GC()
}

// mortalThreads makes threads end, so that new ones are made.
func mortalThreads() {
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			runtime.LockOSThread() // never unlocked: the thread ends
			time.Sleep(time.Millisecond)
		})
	}
	all.Wait()
}

func timers() {
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() { <-time.After(time.Duration(i) * 100 * time.Microsecond) })
	}
	all.Wait()
	var m runtime.MemStats
	runtime.ReadMemStats(&m) // stops the world
}

// spin has to be preempted by a signal.
func spin() {
	for n := 0; n < 1<<26; n++ {
	}
}
