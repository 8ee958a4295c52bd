package check

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Goroutine is how a goroutine stands among the leaks.
const Goroutine = "goroutine: see the stacks"

// Ground is what there is before a soak, so that a look at its end shows what
// it has left behind. It is taken after everything has been used once that is
// meant to stay.
type Ground struct {
	Nonce      string   // NAME=value in the environment of every worker, and of what it starts
	Dirs       []string // that have to be empty at the end
	files      map[string]int
	goroutines int
}

// NewGround looks around.
func NewGround(nonce string, dirs ...string) Ground {
	return Ground{Nonce: nonce, Dirs: dirs, files: descriptors(), goroutines: runtime.NumGoroutine()}
}

// Leaks are what is left behind, one item each, when that has not gone away within the limit.
func (g Ground) Leaks(limit time.Duration) (found []string) {
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		found = g.look()
		if len(found) == 0 || time.Now().After(deadline) {
			return found
		}
	}
}

func (g Ground) look() (found []string) {
	for _, p := range Bearers(g.Nonce) {
		found = append(found, fmt.Sprintf("process %d: %s, with %s", p, words(p, "cmdline"), words(p, "environ")))
	}
	found = append(found, children()...)
	for what, n := range descriptors() {
		for range n - g.files[what] {
			found = append(found, "descriptor: "+what)
		}
	}
	if n := runtime.NumGoroutine(); n > g.goroutines {
		found = append(found, slices.Repeat([]string{Goroutine}, n-g.goroutines)...)
	}
	found = append(found, cgroups()...)
	for _, dir := range g.Dirs {
		found = append(found, filesIn(dir)...)
	}
	return found
}

// Bearers are the processes that have this entry in their environment.
func Bearers(entry string) (pids []int) {
	paths, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range paths {
		env, err := os.ReadFile(path)
		if err == nil && slices.ContainsFunc(bytes.Split(env, []byte{0}), func(e []byte) bool { return string(e) == entry }) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// words is a file of /proc/PID whose parts end with a NUL.
func words(pid int, file string) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	return strings.TrimSpace(string(bytes.ReplaceAll(b, []byte{0}, []byte{' '})))
}

// children are this process's own, zombies included.
func children() (found []string) {
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b[bytes.LastIndexByte(b, ')')+1:]), " ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(os.Getpid()) {
			found = append(found, fmt.Sprintf("child %s in state %s", filepath.Base(filepath.Dir(path)), f[0]))
		}
	}
	return found
}

// descriptors counts the open files of this process by what they are. The
// runtime's own, which come when they are first needed, are not counted.
func descriptors() map[string]int {
	all := map[string]int{}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		what, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil || strings.HasPrefix(what, "anon_inode:[event") {
			continue
		}
		kind, _, _ := strings.Cut(what, ":[") // a pipe or a socket is as good as another one
		all[kind]++
	}
	return all
}

// cgroups are the groups that this process has made.
func cgroups() (found []string) {
	own := fmt.Sprintf("verdigris.%d.", os.Getpid())
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), own) {
			found = append(found, "cgroup: "+path)
		}
		return nil
	})
	return found
}

func filesIn(dir string) (found []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		found = append(found, "file: "+filepath.Join(dir, e.Name()))
	}
	return found
}
