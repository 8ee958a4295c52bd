//go:build linux

package child_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

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
	// with workers, some of them busy, until it is killed
	parent("to be killed", func() {
		keep := serveFor(3)
		go func() {
			_, _ = hold.Call(context.Background(), keep[0], holding{Gate: gate(os.Getenv("GATE")), Stubborn: true})
		}()
		go func() { _, _ = spawnSleepers.Call(context.Background(), keep[1], true) }()
		fmt.Println("up")
		select {}
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
		if err != nil && (!errors.As(err, &start) || start.Step != "spawn" || !errors.Is(err, syscall.EMFILE)) {
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

func serveFor(n int) (all []*child.Process) {
	for range n {
		p := child.New(child.Config{Env: []string{"NONCE", "PATH"}})
		up := make(chan struct{})
		go p.ServeReady(context.Background(), func() { close(up) })
		<-up
		all = append(all, p)
	}
	return all
}

func playSignalled() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
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
	r, w, err := os.Pipe()
	must(t, err)
	must(t, r.SetReadDeadline(time.Now().Add(limit)))
	cmd := exec.Command(path)
	cmd.Env = append(env, roleVar+"="+role, "PATH="+os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = w, w, &syscall.SysProcAttr{Setpgid: true}
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

func TestParentKilled(t *testing.T) {
	watch(t)
	for round := range 3 {
		g, nonce := newGate(t), fmt.Sprintf("NONCE=%d-%d", os.Getpid(), time.Now().UnixNano())
		a := start(t, os.Args[0], "parent: to be killed", nonce, "GATE="+string(g))
		a.line("up")
		if round == 0 { // else at any time
			expect(t, "the sleepers", func() bool { return len(bearers(t, nonce)) >= 4 })
		}
		must(t, a.cmd.Process.Kill())
		_ = a.cmd.Wait()
		expect(t, "the death of all workers", func() bool {
			for _, pid := range bearers(t, nonce) {
				if cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); strings.Contains(string(cmdline), ": worker ") {
					return false
				}
			}
			return true
		})
		for _, pid := range bearers(t, nonce) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // programs that workers had started are not promised to die
		}
		g.open(t)
	}
}

// A signal that goes to parent and workers alike is the parent's business: all
// running calls are answered, then the workers are stopped in order.
func TestWholeGroupSignalled(t *testing.T) {
	watch(t)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
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
		for _, pid := range append(workers, a.cmd.Process.Pid) { // as systemd does to a whole control group
			must(t, syscall.Kill(pid, sig))
		}
		a.line("signalled")
		g.open(t)
		if got := a.line("answered"); got != "answered 8, crashed 0, ended 8" {
			t.Errorf("%v: %s", sig, got)
		}
		if err := a.cmd.Wait(); err != nil {
			t.Errorf("%v: %v", sig, err)
		}
		for _, pid := range workers {
			if exists(pid) {
				t.Errorf("%v: worker %d is left", sig, pid)
			}
		}
	}
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
