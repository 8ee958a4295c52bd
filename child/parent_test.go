//go:build linux

package child_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/child"
)

// Parents that this test program plays. Their workers are as always.
func init() {
	parent := func(name string, f func()) {
		roles["parent: "+name] = func() {
			child.Init()
			slog.SetDefault(slog.New(slog.DiscardHandler))
			f()
		}
	}
	// with workers, some of them busy and one with a family, until its end
	parent("to be ended", func() {
		keep := serveFor(3)
		go func() {
			_, _ = hold.Call(context.Background(), keep[0], holding{Gate: gate(os.Getenv("GATE")), Stubborn: true})
		}()
		_, _ = breed.Call(context.Background(), keep[1], true)
		fmt.Println("up")
		ends[os.Getenv("END")]()
	})
	// that starts workers without end
	parent("to be killed while it starts workers", func() {
		fmt.Println("up")
		for {
			go func() { _ = child.New(parentsConfig()).Serve(context.Background()) }()
			time.Sleep(5 * time.Millisecond)
		}
	})
	// that ends workers with families, and tells what has survived
	parent("to end families", func() {
		for _, c := range []child.Contain{child.ContainGroup, child.ContainPIDNamespace} {
			_ = os.Setenv("CONTAIN", fmt.Sprint(int(c)))
			for _, end := range []func(*child.Process){(*child.Process).Kill, func(p *child.Process) { _ = p.Close() }} {
				p := serveFor(1)[0]
				_, err := breed.Call(context.Background(), p, true)
				end(p)
				_ = p.Close() // waits for the end
				fmt.Println(c, err, len(bearers(nil, "NONCE="+os.Getenv("NONCE")))-1)
			}
		}
	})
	// with eight calls on their way, until a signal asks it to end in order
	parent("to be signalled", playSignalled)
	// its program's file is gone before it starts a worker
	parent("without its file", func() {
		path, err := os.Executable()
		if err != nil {
			panic(err)
		}
		if err := os.Remove(path); err != nil {
			panic(err)
		}
		_ = os.WriteFile(path, []byte("#!/bin/sh\nexit 99\n"), 0o700) // an upgrade, say
		fmt.Println(child.Once(context.Background(), child.Config{}, double, 21))
	})
	// with fewer and fewer descriptors to spare
	parent("squeezed", playSqueezed)
}

func playSqueezed() {
	once := func() error {
		_, err := child.Once(context.Background(), child.Config{}, double, 21)
		return err
	}
	fmt.Println(once()) // what stays open is open now
	before := countFiles()
	failures := 0
	for spare := 40; spare >= 0; spare-- {
		lim := syscall.Rlimit{Cur: uint64(before + spare), Max: 1024}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
			panic(err)
		}
		err := once()
		lim.Cur = lim.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim)
		if err != nil {
			failures++
		}
		var start *child.StartError
		if err != nil && (!errors.As(err, &start) || start.Step != "spawn" || !errors.Is(err, syscall.EMFILE) || !errors.Is(err, child.ErrShortage)) {
			fmt.Printf("%d to spare: %v\n", spare, err)
		}
		if after := countFiles(); after != before {
			fmt.Printf("%d to spare: %d files are left, of %d\n", spare, after, before)
		}
	}
	fmt.Println("some failed:", failures > 5, "some did not:", failures < 40, "then:", once())
}

func countFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	return len(entries) - 1
}

// ends are how a program ends without stopping its workers.
var ends = map[string]func(){
	"SIGKILL":   func() { select {} }, // it comes from outside
	"os.Exit":   func() { os.Exit(3) },
	"log.Fatal": func() { log.Fatal("cannot go on") },
	"panic":     func() { go panic("no more") },
}

func parentsConfig() child.Config {
	c, _ := strconv.Atoi(os.Getenv("CONTAIN"))
	return child.Config{Contain: child.Contain(c), Env: []string{"NONCE", "PATH"}}
}

func serveFor(n int) (all []*child.Process) {
	for range n {
		p := child.New(parentsConfig())
		up := make(chan struct{})
		go p.ServeReady(context.Background(), func() { close(up) })
		<-up
		all = append(all, p)
	}
	return all
}

func playSignalled() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	serving, end := context.WithCancel(context.Background())
	var served, calls sync.WaitGroup
	var mu sync.Mutex
	answered, crashed, ended := 0, 0, 0
	for i := range 8 {
		p := child.New(child.Config{Logger: slog.New(slog.NewTextHandler(os.Stdout, nil)), Name: fmt.Sprint("w", i)})
		up := make(chan struct{})
		served.Go(func() {
			err := p.ServeReady(serving, func() { close(up) })
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				ended++
			}
		})
		<-up
		calls.Go(func() {
			_, err := hold.Call(context.Background(), p, holding{Gate: gate(os.Getenv("GATE")), Say: "x"})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				answered++
			} else {
				crashed++
			}
		})
	}
	<-ctx.Done()
	fmt.Println("signalled")
	calls.Wait()
	end()
	served.Wait()
	fmt.Printf("answered %d, crashed %d, ended %d\n", answered, crashed, ended)
}

// actor is this program in a role, in a process group of its own.
type actor struct {
	t     testing.TB
	cmd   *exec.Cmd
	lines *bufio.Scanner
	out   *os.File
}

func start(t testing.TB, path, role string, env ...string) *actor {
	return startWith(t, path, &syscall.SysProcAttr{Setpgid: true}, role, env...)
}

func startWith(t testing.TB, path string, attr *syscall.SysProcAttr, role string, env ...string) *actor {
	r, w, err := os.Pipe()
	must(t, err)
	must(t, r.SetReadDeadline(time.Now().Add(limit)))
	cmd := exec.Command(path)
	cmd.Env = append(env, roleVar+"="+role, "PATH="+os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = w, w, attr
	must(t, cmd.Start())
	w.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		r.Close()
	})
	return &actor{t, cmd, bufio.NewScanner(r), r}
}

// line returns the next line that contains this.
func (a *actor) line(part string) string {
	a.t.Helper()
	var seen []string
	for a.lines.Scan() {
		if seen = append(seen, a.lines.Text()); strings.Contains(a.lines.Text(), part) {
			return a.lines.Text()
		}
	}
	a.t.Fatalf("no line with %q among %q (%v)", part, seen, a.lines.Err())
	return ""
}

// F22, F23: however a program ends, its workers end with it, and in a PID
// namespace all that they have started.
func TestParentEnds(t *testing.T) {
	watch(t)
	for _, c := range containments(t) {
		for end := range ends {
			t.Run(c.String()+", "+end, func(t *testing.T) {
				g, mark := newGate(t), nonce()
				a := start(t, os.Args[0], "parent: to be ended", mark, "GATE="+string(g), fmt.Sprint("CONTAIN=", int(c)), "END="+end)
				a.line("up")
				if end == "SIGKILL" {
					must(t, a.cmd.Process.Kill())
				}
				_ = a.cmd.Wait()
				ended := time.Now()
				expect(t, "the death of all workers", func() bool { return len(workersAmong(bearers(t, mark))) == 0 })
				if took := time.Since(ended); took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
				if c == child.ContainPIDNamespace {
					expect(t, "the death of their families", func() bool { return len(bearers(t, mark)) == 0 })
				}
				for _, pid := range bearers(t, mark) {
					_ = syscall.Kill(pid, syscall.SIGKILL) // programs that workers had started are not promised to die
				}
				g.open(t)
			})
		}
	}
}

// workersAmong are those that Init has taken over, or will.
func workersAmong(pids []int) (workers []int) {
	for _, pid := range pids {
		if cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); strings.Contains(string(cmdline), ": worker ") {
			workers = append(workers, pid)
		}
	}
	return workers
}

// F25: at whatever moment of a start. CHILD_TEST_STORM is how many rounds.
func TestParentKilledWhileStarting(t *testing.T) {
	watch(t)
	rounds := 5
	if n, err := strconv.Atoi(os.Getenv("CHILD_TEST_STORM")); err == nil {
		rounds = n
	}
	for _, c := range containments(t) {
		for range rounds {
			mark := nonce()
			a := start(t, os.Args[0], "parent: to be killed while it starts workers", mark, fmt.Sprint("CONTAIN=", int(c)))
			a.line("up")
			time.Sleep(rand.N(60 * time.Millisecond)) // the moment is what is tested
			must(t, a.cmd.Process.Kill())
			_ = a.cmd.Wait()
			expect(t, "the end of all", func() bool { return len(bearers(t, mark)) == 0 })
		}
	}
}

// F19 without the rights of root: there are no control groups then.
func TestNothingSurvivesWithoutRights(t *testing.T) {
	watch(t)
	if os.Getuid() != 0 {
		t.Skip("the other tests have shown it: this is not root")
	}
	mark := nonce()
	a := startWith(t, "/proc/self/exe", &syscall.SysProcAttr{Setpgid: true, Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}, "parent: to end families", mark)
	for _, want := range []string{"process group and sweep <nil> 0", "process group and sweep <nil> 0", "PID namespace <nil> 0", "PID namespace <nil> 0"} {
		if got := a.line(""); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	must(t, a.cmd.Wait())
}

// F79: a signal that goes to parent and workers alike is the parent's business:
// all running calls are answered, then the workers are stopped in order.
func TestEverybodyIsSignalled(t *testing.T) {
	watch(t)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		for name, send := range map[string]func(pid int) error{
			"each process": func(pid int) error { return syscall.Kill(pid, sig) }, // as systemd does to a control group
			"each group":   func(pid int) error { return syscall.Kill(-pid, sig) },
		} {
			t.Run(sig.String()+" to "+name, func(t *testing.T) { signalEverybody(t, send) })
		}
	}
}

func signalEverybody(t *testing.T, send func(pid int) error) {
	g := newGate(t)
	a := start(t, os.Args[0], "parent: to be signalled", "GATE="+string(g))
	for range 8 {
		a.line("holding x")
	}
	var workers []int
	for pid, ppid := range processes(t) {
		if ppid == a.cmd.Process.Pid {
			workers = append(workers, pid)
		}
	}
	if len(workers) != 8 {
		t.Errorf("workers %v", workers)
	}
	for _, pid := range append(workers, a.cmd.Process.Pid) {
		must(t, send(pid))
	}
	a.line("signalled")
	g.open(t)
	if got := a.line("answered"); got != "answered 8, crashed 0, ended 8" {
		t.Error(got)
	}
	if err := a.cmd.Wait(); err != nil {
		t.Error(err)
	}
	for _, pid := range workers {
		if exists(pid) {
			t.Errorf("worker %d is left", pid)
		}
	}
}

// A worker that is signalled from its clone on dies of it before it can catch
// any signal, and is started again.
func TestSignalledWhileStarting(t *testing.T) {
	watch(t)
	for _, c := range []child.Contain{child.ContainAuto, child.ContainGroup} { // the kernel protects the first process of a PID namespace
		again := 0
		for round := range 30 {
			w, ready := begin(t, child.Config{Name: "young", Contain: c})
			pester(t, ready, []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}[round%3])
			select {
			case <-ready:
			case err := <-w.done:
				t.Fatalf("%v: %v", c, err)
			case <-time.After(limit):
				t.Fatalf("it is not ready\n%s", stacks())
			}
			again += w.log.count("starting the worker again")
			wantDouble(t, w)
			must(t, w.stop())
			if round >= 5 && again > 0 {
				break
			}
		}
		t.Logf("%v: started again %d times", c, again)
		if again == 0 {
			t.Errorf("%v: none was hit: this test shows nothing", c)
		}
	}
}

// childrenNow is children, only quicker, where the kernel has lists of them.
func childrenNow() (pids []int) {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		b, _ := os.ReadFile(list)
		for _, word := range strings.Fields(string(b)) {
			pid, _ := strconv.Atoi(word)
			pids = append(pids, pid)
		}
	}
	return pids
}

// pester sends a signal again and again to the first child of this process that
// appears, until it is dead, or ready.
func pester(t *testing.T, ready <-chan struct{}, sig syscall.Signal) {
	t.Helper()
	var pid int
	for deadline := time.Now().Add(limit); pid == 0; {
		if now := childrenNow(); len(now) > 0 {
			pid = now[0]
		}
		if time.Now().After(deadline) {
			t.Skip("SKIPPED, a signal to a young process was not seen: this kernel does not list children (CONFIG_PROC_CHILDREN)")
		}
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // it has gone already
	}
	defer unix.Close(fd)
	expect(t, "an end", func() bool {
		select {
		case <-ready:
			return true
		default:
			return unix.PidfdSendSignal(fd, sig, nil, 0) != nil
		}
	})
}

// A program whose file has been deleted or replaced starts itself all the same.
func TestFileOfTheProgramIsGone(t *testing.T) {
	watch(t)
	path := t.TempDir() + "/program"
	copyFile(t, os.Args[0], path)
	a := start(t, path, "parent: without its file")
	if got := a.line(""); got != "42 <nil>" {
		t.Error(got)
	}
}

// A start without enough descriptors fails, says so, and leaves nothing open.
func TestOutOfDescriptors(t *testing.T) {
	watch(t)
	a := start(t, os.Args[0], "parent: squeezed")
	for _, want := range []string{"<nil>", "some failed: true some did not: true then: <nil>"} {
		if got := a.line(""); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	must(t, err)
	defer in.Close()
	syscall.ForkLock.RLock() // or a process forked meanwhile holds it open for writing: ETXTBSY
	defer syscall.ForkLock.RUnlock()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o700)
	must(t, err)
	_, err = io.Copy(out, in)
	must(t, errors.Join(err, out.Close()))
}

// Somebody else in the program reaps the worker: that is one more death, told
// as far as it is known.
func TestStolenExit(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Name: "w"})
	pid := w.pid()
	stolen := make(chan bool)
	go func() { // a reaper as badly written ones are
		var status syscall.WaitStatus
		got, _ := syscall.Wait4(pid, &status, 0, nil)
		stolen <- got == pid
	}()
	_, err := perish.Call(named("a"), w, "exit 3")
	crash := as[*child.CrashError](t, err)
	if receive(t, "the thief", stolen) {
		if crash.Exit.Cause != child.Unknown || !strings.Contains(err.Error(), "ended in an unknown way") {
			t.Error(err)
		}
	} else if crash.Observed.Code != 3 {
		t.Error(err)
	}
	as[*child.CrashError](t, w.end())
}
