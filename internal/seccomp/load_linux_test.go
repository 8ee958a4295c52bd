package seccomp

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// harmless is a filter that takes nothing from anybody: the tests call reboot(2)
// without its magic numbers only, which is an error anyway.
var harmless = Filter{Default: Allow, Rules: []Rule{{SysReboot, nil, Fail(EACCES)}}}

// All threads are under the filter, those that were there and those that come.
func TestLoadForAllThreads(t *testing.T) {
	native(t)
	if e := play(t, "threads"); e.out != "ok\n" {
		t.Fatal(e)
	}
}

func playThreads([]string) error {
	hold := make(chan struct{})
	defer close(hold)
	thread := func() {
		started := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(started)
			<-hold
		}()
		<-started
	}
	thread()
	thread()
	outer := threadState("/proc/thread-self/status")
	p, err := load(harmless, AllThreads)
	if err != nil {
		return err
	}
	thread()
	files, _ := filepath.Glob("/proc/self/task/*/status")
	for _, file := range files {
		if s := threadState(file); s.privileges != "1" || s.mode != "2" || s.filters != outer.filters+1 {
			return fmt.Errorf("%s: %+v, before: %+v", file, s, outer)
		}
	}
	if len(files) < 4 || !p.InForce() {
		return fmt.Errorf("%d threads, in force %t", len(files), p.InForce())
	}
	if err := sys(SysReboot)(); err != unix.EACCES {
		return fmt.Errorf("reboot: %w", err)
	}
	fmt.Println("ok")
	return nil
}

// threadFacts are what the kernel says of a thread.
type threadFacts struct {
	privileges, mode string
	filters          int
}

func threadState(file string) threadFacts {
	b, _ := os.ReadFile(file)
	facts := map[string]string{}
	for line := range strings.Lines(string(b)) {
		k, v, _ := strings.Cut(line, ":")
		facts[k] = strings.TrimSpace(v)
	}
	filters, _ := strconv.Atoi(facts["Seccomp_filters"])
	return threadFacts{facts["NoNewPrivs"], facts["Seccomp"], filters}
}

// One thread has a filter of its own: the kernel refuses, and says so by a
// positive result without an error.
func TestLoadDoesNotFailOpen(t *testing.T) {
	native(t)
	if e := play(t, "diverge"); e.out != "ok\n" {
		t.Fatal(e)
	}
}

func playDiverge([]string) error {
	tid := make(chan int)
	own := make(chan error)
	hold := make(chan struct{})
	defer close(hold)
	go func() {
		runtime.LockOSThread()
		_, err := load(Filter{Default: Allow}, ThisThread)
		own <- err
		tid <- unix.Gettid()
		<-hold
	}()
	if err := <-own; err != nil {
		return err
	}
	other := <-tid
	p, err := load(harmless, AllThreads)
	var refused *LoadError
	if !errors.As(err, &refused) || refused.Step != StepLoad || refused.Thread != other {
		return fmt.Errorf("thread %d has its own filter, and loading says: %w", other, err)
	}
	if p.InForce() || !strings.Contains(err.Error(), strconv.Itoa(other)) {
		return fmt.Errorf("in force %t: %w", p.InForce(), err)
	}
	fmt.Println("ok")
	return nil
}

// A kernel that says yes and does nothing is found out: here a filter, loaded
// before, that answers seccomp(2) with success.
func TestLoadIsVerified(t *testing.T) {
	native(t)
	if e := play(t, "fooled"); e.out != "ok\n" {
		t.Fatal(e)
	}
}

func playFooled([]string) error {
	a, _ := Native()
	p, err := harmless.Compile(a)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, errno := set(0, fooling(a)); errno != 0 {
		return errno
	}
	if _, err := p.load(0); err == nil {
		return errors.New("it believes")
	} else if e := new(LoadError); !errors.As(err, &e) || e.Step != StepVerify {
		return err
	}
	fmt.Println("ok")
	return nil
}

// fooling is a program by which seccomp(2) returns 0 and does nothing.
func fooling(a Arch) []Instruction {
	nr, _ := a.Number(SysSeccomp)
	return []Instruction{
		{Op: ldAbs, K: offsetNumber},
		{Op: jeq, K: nr, JF: 1},
		{Op: ret, K: 0x00050000}, // an error of 0
		{Op: ret, K: Allow.result()},
	}
}

// What the thread that starts workers has loaded holds in them from their first
// instruction, and not in the rest of the program.
func TestLoadForOneThreadAndItsChildren(t *testing.T) {
	native(t)
	if e := play(t, "spawner"); e.out != "child: refused, in force true\nparent: not refused, in force false\n" {
		t.Fatal(e)
	}
}

func playSpawner(args []string) error {
	a, _ := Native()
	p, err := harmless.Compile(a)
	if err != nil {
		return err
	}
	say := func(who string) {
		how := "not refused"
		if sys(SysReboot)() == unix.EACCES {
			how = "refused"
		}
		fmt.Printf("%s: %s, in force %t\n", who, how, p.InForce())
	}
	if len(args) > 0 {
		say("child")
		return nil
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := Load(p, ThisThread); err != nil {
			done <- err
			return
		}
		cmd := command(bg, "/proc/self/exe", "spawner", "child")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		done <- cmd.Run()
	}()
	if err := <-done; err != nil {
		return err
	}
	say("parent")
	return nil
}

// The thread under the filter is nobody else's, also after its goroutine has ended.
func TestOtherThreadsStayFree(t *testing.T) {
	native(t)
	if e := play(t, "others"); e.out != "inside true, outside 0 of 32, after 0 of 32\n" {
		t.Fatal(e)
	}
}

func playOthers([]string) error {
	a, _ := Native()
	p, err := harmless.Compile(a)
	if err != nil {
		return err
	}
	ask, end := make(chan error), make(chan struct{})
	inside := false
	var all sync.WaitGroup
	all.Go(func() {
		err := Load(p, ThisThread)
		inside = p.InForce()
		ask <- err
		<-end
	})
	if err := <-ask; err != nil {
		return err
	}
	outside, n := everywhere(p)
	close(end)
	all.Wait()
	after, m := everywhere(p)
	fmt.Printf("inside %t, outside %d of %d, after %d of %d\n", inside, outside, n, after, m)
	return nil
}

// everywhere asks on many threads at once on how many of them p is in force.
func everywhere(p Program) (under, threads int) {
	const n = 32
	var mu sync.Mutex
	var all, met sync.WaitGroup
	met.Add(n)
	for range n {
		all.Go(func() {
			runtime.LockOSThread()
			met.Done()
			met.Wait() // all hold a thread now
			yes := p.InForce()
			mu.Lock()
			defer mu.Unlock()
			if threads++; yes {
				under++
			}
		})
	}
	all.Wait()
	return under, threads
}

// Programs that this kernel or this function cannot load.
func TestLoadRefuses(t *testing.T) {
	a := native(t)
	other := AMD64 + ARM64 - a
	for name, p := range map[string]Program{
		"foreign":          compile(t, harmless, other),
		"none":             {},
		"without listener": compile(t, Filter{Default: Allow, Rules: []Rule{{SysReboot, nil, Notify}}}, a),
	} {
		var e *LoadError
		before := threadState("/proc/thread-self/status")
		if err := Load(p, AllThreads); !errors.As(err, &e) || e.Step != StepCheck {
			t.Errorf("%s: %v", name, err)
		}
		if after := threadState("/proc/thread-self/status"); after.filters != before.filters {
			t.Errorf("%s: %+v, then %+v", name, before, after)
		}
	}
}

// Kernels as they answered, by Probe.
func TestKernels(t *testing.T) {
	all := Features(1<<len(featureNames) - 1)
	for name, k := range map[string]struct {
		has    Features
		all    Features // what an ordinary filter lacks for all threads
		notify Features // what one that notifies lacks for all threads
	}{
		"6.18":                 {all, 0, 0},
		"5.4":                  {all &^ Features(SyncListener|KillableWait), 0, Features(SyncListener)},
		"4.19":                 {Features(Filters | CanTrap | CanFail | CanKill | CanLog | Sync), 0, Features(CanNotify | Listener | SyncListener)},
		"without seccomp":      {0, Features(Filters | CanFail | CanKill | Sync), Features(Filters | CanFail | CanKill | Sync | CanNotify | Listener | SyncListener)},
		"4.9, no kill process": {Features(Filters | Sync), Features(CanFail | CanKill), Features(CanFail | CanKill | CanNotify | Listener | SyncListener)},
	} {
		ordinary := compile(t, harmless, AMD64)
		notifying := compile(t, Filter{Default: Notify}, AMD64)
		for p, want := range map[*Program]Features{&ordinary: k.all, &notifying: k.notify} {
			err := Kernel{k.has}.Check(*p, AllThreads)
			missing := new(MissingError)
			if errors.As(err, &missing); missing.Features != want || (err == nil) != (want == 0) {
				t.Errorf("%s: lacks %v, want %v", name, missing.Features, want)
			}
			if err != nil && !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// Asking changes nothing, and this kernel has at least what spawn needs.
func TestProbe(t *testing.T) {
	native(t)
	k := Probe()
	if !k.Features.Has(Filters | CanKill | CanFail | CanTrap | CanLog | Sync) {
		t.Skipf("this kernel, or what this runs in, has only: %v", k.Features)
	}
	t.Log(k.Features)
	if err := exec.Command("/bin/true").Run(); err != nil {
		t.Error(err)
	}
}
