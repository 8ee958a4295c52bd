package cgroup

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// entered runs f on a thread that is in the group's v1 directories.
func entered(g *Group, f func() error) error {
	runtime.LockOSThread() // and never unlock: a thread that could not leave must end
	leave, err := g.Enter()
	if err != nil {
		return err
	}
	err = f()
	if left := leave(); left != nil {
		return left
	}
	runtime.UnlockOSThread()
	return err
}

// membershipOf is in which groups a process is.
func membershipOf(t testing.TB, pid string) string {
	b, err := os.ReadFile("/proc/" + pid + "/cgroup")
	must(t, err)
	return string(b)
}

// A process that is started in a group is there from its first moment, and
// this program stays where it is.
func TestBornInside(t *testing.T) {
	h := host(t, kill)
	before := membershipOf(t, "self")
	g := newGroup(t, h, every(h))
	out := born(t, g, exec.Command("cat", "/proc/self/cgroup"))
	var lines []string
	for out.Scan() {
		lines = append(lines, out.Text())
	}
	for _, dir := range g.Dirs() {
		name := filepath.Base(filepath.Dir(dir)) + "/" + filepath.Base(dir)
		if !strings.Contains(strings.Join(lines, "\n")+"\n", name+"\n") {
			t.Errorf("it is not in %s but in %q", dir, lines)
		}
	}
	if now := membershipOf(t, "self"); now != before {
		t.Errorf("this program was moved to %s", now)
	}
	threads, _ := filepath.Glob("/proc/self/task/*/cgroup")
	for _, thread := range threads {
		if b, err := os.ReadFile(thread); err == nil && string(b) != before {
			t.Errorf("a thread has stayed in %s", b)
		}
	}
}

// every is all limits that can be had, wide enough for anything.
func every(h *Host) (l Limits) {
	if h.Memory.OK {
		l.Memory = 1 << 30
	}
	if h.Tasks.OK {
		l.Tasks = 200
	}
	return l
}

func TestJoin(t *testing.T) {
	h := host(t, kill)
	g := newGroup(t, h, every(h))
	cmd := exec.Command("sleep", "60")
	must(t, cmd.Start())
	must(t, g.Join(cmd.Process.Pid))
	groups := membershipOf(t, strconv.Itoa(cmd.Process.Pid))
	if n := strings.Count(groups, prefix); n != len(g.Dirs()) {
		t.Errorf("it is in %d of %d directories: %s", n, len(g.Dirs()), groups)
	}
	must(t, g.Kill())
	cmd.Wait()
	if !g.Empty(limit) {
		t.Error("it is not empty")
	}
}

// Five descendants in the group of the leader and five that have left it: all die.
const family = `for i in 1 2 3 4 5; do sleep 60 & echo $!; setsid sh -c 'echo $$; exec sleep 60' & done; wait`

func TestKillLeavesNobody(t *testing.T) {
	h := host(t, kill)
	g := newGroup(t, h, Limits{})
	out := born(t, g, exec.Command("sh", "-c", family))
	var pids []int
	for range 10 {
		out.Scan()
		pid, _ := strconv.Atoi(out.Text())
		pids = append(pids, pid)
	}
	if g.Empty(0) {
		t.Error("it is empty")
	}
	must(t, g.Kill())
	if !g.Empty(limit) {
		t.Error("it is not empty")
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("%d lives", pid)
		}
	}
}

// What the kernel does at once since 5.14 also works process by process, while
// the processes flee: each forks another one and ends.
func TestKillProcessByProcess(t *testing.T) {
	h := host(t, kill)
	script := filepath.Join(t.TempDir(), "flee")
	must(t, os.WriteFile(script, []byte("#!/bin/sh\n$0 &\n"), 0o700))
	for range 3 {
		g := newGroup(t, h, Limits{})
		out := born(t, g, exec.Command("sh", "-c", "for i in 1 2 3 4; do for j in 1 2 3 4 5 6; do "+script+" & done; done; echo; sleep 60"))
		out.Scan()
		must(t, killFrozen(g.parts[0].dir))
		if !g.Empty(time.Second) {
			t.Fatal("it is not empty")
		}
	}
}

func TestCloseRemovesWhatAWorkerHasMade(t *testing.T) {
	h := host(t, kill)
	g, err := h.New(Limits{})
	must(t, err)
	deep := filepath.Join(g.Dirs()[0], "a", "b")
	must(t, os.MkdirAll(deep, 0o755))
	cmd := exec.Command("sleep", "60")
	must(t, cmd.Start())
	must(t, write(deep+"/cgroup.procs", strconv.Itoa(cmd.Process.Pid)))
	must(t, g.Close())
	cmd.Wait()
	must(t, g.Close())
	if _, err := os.Stat(g.Dirs()[0]); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// Many groups come and go at the same time; the program's own directory is
// there while there is one, and gone afterwards.
func TestManyAtOnce(t *testing.T) {
	h := host(t, kill)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				g, err := h.New(every(h))
				if err != nil {
					t.Error(err)
					return
				}
				if err := g.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// The program's own directory may vanish while it is empty.
func TestOwnDirectoryRemoved(t *testing.T) {
	h := host(t, kill)
	h.kill.mu.Lock()
	must(t, h.kill.open())
	must(t, os.Remove(h.kill.dir))
	h.kill.mu.Unlock()
	newGroup(t, h, Limits{})
}

func TestMemoryLimit(t *testing.T) {
	h := host(t, memory)
	const most = 64 << 20
	g := newGroup(t, h, Limits{Memory: most})
	if n, ok := g.OOMKills(); n != 0 || !ok {
		t.Errorf("OOM kills %d, %v", n, ok)
	}
	cmd := self("hog")
	born(t, g, cmd)
	err := cmd.Wait()
	if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || s.Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v", err)
	}
	if n, ok := g.OOMKills(); n < 1 || !ok {
		t.Errorf("OOM kills %d, %v", n, ok)
	}
	if n, ok := g.Peak(); n < most*9/10 || n > most*11/10 || !ok {
		t.Errorf("peak %d, %v", n, ok)
	}
}

var sink []byte

func init() {
	roles["hog"] = func() {
		for size := 1 << 20; size <= 4<<30; size *= 2 {
			sink = make([]byte, size)
			for i := 0; i < len(sink); i += 4096 {
				sink[i] = 1
			}
		}
	}
}

// A fork bomb under a limit leaves this program its forks, and dies whole.
func TestForkBomb(t *testing.T) {
	h := host(t, tasks)
	g := newGroup(t, h, Limits{Tasks: 64})
	out := born(t, g, self("bomb"))
	if !out.Scan() || !strings.Contains(out.Text(), "resource temporarily unavailable") {
		t.Errorf("its forks failed with %q", out.Text())
	}
	must(t, exec.Command("true").Run())
	if n := len(pidsIn(g.Dirs()[len(g.Dirs())-1])); n > 64 {
		t.Errorf("%d processes", n)
	}
	must(t, g.Kill())
	if !g.Empty(limit) {
		t.Error("it is not empty")
	}
}

func init() {
	roles["bomb"] = func() {
		told := false
		for {
			if err := exec.Command("setsid", "sleep", "60").Start(); err != nil && !told {
				fmt.Println(err)
				told = true
			}
		}
	}
}

// A program that was killed has left a group in which a process lives, in a
// session of its own. The next program kills it and removes the group.
func TestLeftovers(t *testing.T) {
	h := host(t, kill)
	parent := self("parent")
	stdout, err := parent.StdoutPipe()
	must(t, err)
	must(t, parent.Start())
	var grandchild int
	if _, err := fmt.Fscan(stdout, &grandchild); err != nil {
		t.Fatal(err)
	}
	g, err := find(machine{}).New(every(h)) // while the other program lives
	must(t, err)
	must(t, g.Close())
	if !alive(grandchild) || len(remains(h, parent.Process.Pid)) == 0 {
		t.Fatal("a living program was taken for a dead one")
	}
	must(t, parent.Process.Kill()) // from here on, another program on this machine may be the next one
	parent.Wait()
	g, err = find(machine{}).New(every(h))
	must(t, err)
	must(t, g.Close())
	if left := remains(h, parent.Process.Pid); left != nil || alive(grandchild) {
		t.Errorf("left: %v, grandchild alive: %v", left, alive(grandchild))
	}
}

func init() {
	roles["parent"] = func() {
		h := find(machine{})
		g, err := h.New(every(h))
		if err != nil {
			panic(err)
		}
		cmd := exec.Command("setsid", "sh", "-c", "echo $$; exec sleep 60 >/dev/null")
		cmd.Stdout = os.Stdout
		if err := startIn(g, cmd); err != nil {
			panic(err)
		}
		time.Sleep(time.Minute)
	}
}

// Only the name of a dead program makes a directory a leftover, and only when
// nobody holds its lock.
func TestWhatIsLeftAlone(t *testing.T) {
	h := host(t, kill)
	for name, stays := range map[string]bool{
		"verdigris.x":          true,
		"verdigris.1.2.3":      false, // process 1 began at another time
		"verdigris.-1.5":       true,
		"verdigris.99999999.1": false,
		"verdigris.99999998.1": true, // somebody holds its lock
		ownName():              true,
		"other.99999999.1":     true,
	} {
		dir := filepath.Join(h.kill.base, name)
		must(t, os.Mkdir(dir, 0o755))
		defer os.Remove(dir)
		if name == "verdigris.99999998.1" {
			lock, err := lockDir(dir)
			must(t, err)
			defer lock.Close()
		}
		h.kill.sweep()
		if _, err := os.Stat(dir); (err == nil) != stays {
			t.Errorf("%s: %v", name, err)
		}
		os.Remove(dir)
	}
}

func TestUnsupportedLimits(t *testing.T) {
	h := &Host{Kill: Support{Why: "no tree"}, Memory: Support{Why: "no controller"}, Tasks: Support{Why: "no pids"}}
	for l, want := range map[Limits]string{
		{}:                    "cgroup: no group for killing: no tree",
		{Memory: 5}:           "cgroup: no group for 5 bytes of memory: no controller",
		{Tasks: 6}:            "cgroup: no group for 6 tasks: no pids",
		{Memory: 5, Tasks: 6}: "cgroup: no group for 5 bytes of memory and 6 tasks: no controller",
	} {
		if _, err := h.New(l); err == nil || err.Error() != want {
			t.Errorf("%v: %v", l, err)
		}
	}
}

// As under systemd's DelegateSubgroup=: the program is in a group below the one
// that is delegated, and makes its own beside itself.
func TestDelegatedParent(t *testing.T) {
	h := host(t, kill)
	delegated := filepath.Join(h.kill.base, fmt.Sprintf("delegated.%d", os.Getpid()))
	main := filepath.Join(delegated, "main")
	must(t, os.MkdirAll(main, 0o755))
	t.Cleanup(func() {
		if err := errors.Join(os.Remove(main), os.Remove(delegated)); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Setxattr(delegated, "trusted.delegate", []byte("1"), 0); err != nil {
		t.Skip(err)
	}
	if h.Memory.By == V2 {
		must(t, enable(h.kill.base, []string{"memory", "pids"}))
	}
	dir, err := os.Open(main)
	must(t, err)
	defer dir.Close()
	program := self("delegated")
	program.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	out, err := program.Output()
	must(t, err)
	var got struct {
		Before, After string
		Dirs          []string
		Base          string
		Limited       bool
		Worker        string
	}
	must(t, json.Unmarshal(out, &got))
	t.Logf("%+v", got)
	switch {
	case got.Base != delegated:
		t.Errorf("its groups are in %s", got.Base)
	case got.Limited != (h.Memory.OK && h.Tasks.OK):
		t.Error("it has no limits")
	case got.Before != got.After || !strings.Contains(got.Before, "/main\n"):
		t.Errorf("it was in %s and is in %s", got.Before, got.After)
	case !strings.Contains(got.Worker, filepath.Base(delegated)+"/"+prefix):
		t.Errorf("its worker was in %s", got.Worker)
	}
}

func init() {
	roles["delegated"] = func() {
		own := func() string {
			b, _ := os.ReadFile("/proc/self/cgroup")
			return string(b)
		}
		before, h := own(), find(machine{})
		limits := every(h)
		g, err := h.New(limits)
		if err != nil {
			panic(err)
		}
		var worker strings.Builder
		cmd := exec.Command("cat", "/proc/self/cgroup")
		cmd.Stdout = &worker
		if err := errors.Join(startIn(g, cmd), cmd.Wait(), g.Close()); err != nil {
			panic(err)
		}
		_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
			"Before": before, "After": own(), "Dirs": g.Dirs(), "Base": h.kill.base,
			"Limited": limits.Memory > 0 && limits.Tasks > 0, "Worker": worker.String(),
		})
	}
}
