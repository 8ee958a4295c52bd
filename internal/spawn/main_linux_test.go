package spawn

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// limit bounds every wait of the tests.
const limit = 10 * time.Second

// roleVar makes this test program play a part instead of running tests.
const roleVar = "SPAWN_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		roles[role]()
		os.Exit(0)
	}
	if err := Hold(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	onCloneThread(func() {}) // its goroutine belongs to the baseline
	os.Exit(m.Run())
}

// roles are what this program can play; each ends by returning.
var roles = map[string]func(){
	"report":  playReport,
	"parent":  playParent,
	"storm":   playStorm,
	"replace": playReplace,
	"ignore":  playIgnore,
	"steal":   playSteal,
	"squeeze": playSqueeze,
	"desert":  playDesert,
	"seven":   func() { os.Exit(7) },
}

// self is this test program in a role.
func self(role string, files ...*os.File) Command {
	return Command{Argv: []string{"role " + role}, Env: roleEnv(role), Files: files, Stderr: os.Stderr}
}

// roleEnv also keeps the race detector from pausing for a second at the exit.
func roleEnv(role string) []string {
	return []string{roleVar + "=" + role, "GORACE=atexit_sleep_ms=0"}
}

// sh is a shell script as a worker: much quicker to start than Go with the
// race detector.
func sh(t testing.TB, script string, files ...*os.File) Command {
	return Command{Exe: open(t, "/bin/sh"), Argv: []string{"sh", "-c", script}, Files: files}
}

func open(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// start starts c, and kills it at the end of the test if it still lives.
func start(t testing.TB, c Command) *Process {
	t.Helper()
	p, err := Start(c)
	must(t, err)
	t.Cleanup(func() {
		p.SignalGroup(syscall.SIGKILL)
		<-p.Done()
	})
	return p
}

// end waits for the end of p.
func end(t testing.TB, p *Process) State {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(limit):
		t.Fatalf("process %d did not end:\n%s", p.PID(), stacks())
	}
	return p.State()
}

// pipe returns a pipe whose reading end fails after the limit.
func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	must(t, r.SetReadDeadline(time.Now().Add(limit)))
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// readAll reads until nobody holds the writing end any more.
func readAll(t testing.TB, r *os.File) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read %q, then: %v\n%s", b, err, stacks())
	}
	return string(b)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func stacks() []byte {
	buf := make([]byte, 1<<20)
	return buf[:runtime.Stack(buf, true)]
}

// checkLeaks fails the test if it leaves a child, a descriptor or a goroutine
// behind. It is called first, so that it looks last.
func checkLeaks(t testing.TB) {
	t.Helper()
	before := fdCount(t)
	goroutines := runtime.NumGoroutine()
	t.Cleanup(func() {
		settled := func() bool {
			return len(children(t)) == 0 && fdCount(t) == before && runtime.NumGoroutine() <= goroutines
		}
		if eventually(settled) {
			return
		}
		t.Errorf("left behind: children %v, descriptors %d -> %d %v, goroutines %d -> %d\n%s",
			children(t), before, fdCount(t), fds(t), goroutines, runtime.NumGoroutine(), stacks())
	})
}

// eventually polls for what nothing can be awaited for.
func eventually(ok func() bool) bool {
	for deadline := time.Now().Add(limit / 2); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

func fdCount(t testing.TB) int { return len(fds(t)) }

// fds is what each descriptor of this process stands for, without the one
// that reads the directory and those of the Go runtime.
func fds(t testing.TB) map[int]string {
	const dir = "/proc/self/fd"
	all := map[int]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		n, _ := strconv.Atoi(e.Name())
		switch {
		case err != nil: // the directory itself, closed by now
		case strings.HasPrefix(target, "anon_inode:[event"):
		default:
			all[n] = target
		}
	}
	return all
}

// inheritable are the descriptors that an exec does not close: those that this
// process has inherited, since Go opens none that way.
func inheritable(t testing.TB) map[int]string {
	all := fds(t)
	for fd := range all {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if errno != 0 || flags&syscall.FD_CLOEXEC != 0 {
			delete(all, fd)
		}
	}
	return all
}

// children are the children of this process, zombies included.
func children(t testing.TB) (pids []int) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		pid, ppid := parentOf(path)
		if ppid == os.Getpid() {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// parentOf reads a /proc/PID/stat: "pid (name) state ppid ...".
func parentOf(path string) (pid, ppid int) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, 0
	}
	rest := b[bytes.LastIndexByte(b, ')')+1:]
	fields := strings.Fields(string(rest))
	pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(path)))
	ppid, _ = strconv.Atoi(fields[1])
	return pid, ppid
}
