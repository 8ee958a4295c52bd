package cgroup

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// limit bounds every wait of the tests.
const limit = 10 * time.Second

// roleVar makes this test program play a part in a test.
const roleVar = "CGROUP_TEST_ROLE"

// roles are in the files of the tests that need them.
var roles = map[string]func(){}

func TestMain(m *testing.M) {
	if role := roles[os.Getenv(roleVar)]; role != nil {
		role()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// self is this program in a role.
func self(role string, env ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(append(os.Environ(), roleVar+"="+role), env...)
	cmd.Stderr = os.Stderr
	return cmd
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// host is this machine, for tests that need something of it. At the end,
// nothing of this program may be left in the file system.
func host(t testing.TB, needs func(*Host) Support) *Host {
	t.Helper()
	h := find(machine{})
	if s := needs(h); !s.OK {
		t.Skip(s.Why)
	}
	t.Cleanup(func() {
		if left := remains(h, os.Getpid()); left != nil {
			t.Errorf("left behind: %v", left)
		}
	})
	return h
}

func kill(h *Host) Support   { return h.Kill }
func memory(h *Host) Support { return h.Memory }
func tasks(h *Host) Support  { return h.Tasks }

// remains are the directories of a program.
func remains(h *Host, pid int) (dirs []string) {
	for _, s := range []*stem{h.kill, h.memory, h.tasks} {
		if s != nil {
			found, _ := filepath.Glob(fmt.Sprintf("%s/%s%d.*", s.base, prefix, pid))
			dirs = append(dirs, found...)
		}
	}
	return dirs
}

func newGroup(t testing.TB, h *Host, l Limits) *Group {
	t.Helper()
	g, err := h.New(l)
	must(t, err)
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// born starts a command inside a group, and returns what it prints, by line.
func born(t testing.TB, g *Group, cmd *exec.Cmd) *bufio.Scanner {
	t.Helper()
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, startIn(g, cmd))
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return bufio.NewScanner(out)
}

// alive reports whether a process lives; a zombie does not.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	s := string(b)
	return !strings.HasPrefix(s[strings.LastIndexByte(s, ')')+1:], " Z")
}

// startIn starts a command as a member of a group.
func startIn(g *Group, cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if g.File() != nil {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(g.File().Fd())
	}
	failed := make(chan error)
	go func() { failed <- entered(g, cmd.Start) }()
	return <-failed
}
