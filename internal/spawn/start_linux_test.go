package spawn

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestWorkerGetsWhatTheCommandSays(t *testing.T) {
	checkLeaks(t)
	r, w := pipe(t)
	hold, _ := pipe(t)
	dir := t.TempDir()
	c := self("report", w, hold)
	c.Argv = []string{"verdigris: resizer", "x", ""}
	c.Env = append(c.Env, "A=1")
	c.Dir = dir
	p := start(t, c)
	w.Close()
	var got report
	must(t, json.NewDecoder(r).Decode(&got))
	switch {
	case !slices.Equal(got.Argv, c.Argv):
		t.Errorf("arguments %q", got.Argv)
	case !slices.Equal(got.Env, c.Env):
		t.Errorf("environment %q", got.Env)
	case got.Dir != dir:
		t.Errorf("directory %q", got.Dir)
	case got.PID != p.PID() || got.Group != p.PID():
		t.Errorf("process %d in group %d, want both %d", got.PID, got.Group, p.PID())
	case got.Comm != "a name that is":
		t.Errorf("name %q", got.Comm)
	}
}

// Each of many workers that are started at the same time has exactly its own
// descriptors. A leaked one would also keep the end of a sibling's pipe from
// being seen while the sibling's siblings live.
func TestDescriptorsOfConcurrentStarts(t *testing.T) {
	checkLeaks(t)
	const workers = 64
	inherited := inheritable(t)
	stay, release := pipe(t)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			r, w, err := os.Pipe()
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			r.SetReadDeadline(time.Now().Add(limit))
			want := maps.Clone(inherited)
			want[0], want[1], want[2] = os.DevNull, os.DevNull, link(os.Stderr)
			want[3], want[4] = link(w), link(stay)
			if _, err := Start(self("report", w, stay)); err != nil {
				t.Error(err)
				return
			}
			w.Close()
			b := readAll(t, r)
			var got report
			if err := json.Unmarshal([]byte(b), &got); err != nil {
				t.Error(err)
			} else if !maps.Equal(got.FDs, want) {
				t.Errorf("descriptors %v, want %v", got.FDs, want)
			}
		})
	}
	all.Wait()
	release.Close()
}

func link(f *os.File) string {
	s, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	return s
}

// The clone moves descriptors about before it executes; none of that may hit
// the descriptor of the program, whatever the numbers are.
func TestManyFilesInAnyOrder(t *testing.T) {
	checkLeaks(t)
	for _, n := range []int{0, 1, 2, 5, 6, 7, 8, 9, 10, 20, 60, 200} {
		r, w := pipe(t)
		files := []*os.File{w}
		for range n {
			f := open(t, os.DevNull)
			files = append(files, f)
		}
		slices.Reverse(files[1:])
		files = append(files, w, files[0])
		p := start(t, sh(t, fmt.Sprintf("echo a >&3; echo b >/proc/self/fd/%d", n+4), files...))
		w.Close()
		if got := readAll(t, r); got != "a\nb\n" {
			t.Errorf("%d files: %q", n, got)
		}
		if s := end(t, p); s.Kind != Exited || s.Code != 0 {
			t.Errorf("%d files: %v", n, s)
		}
	}
}

// C programs cannot cope with non-blocking output.
func TestFilesAreBlocking(t *testing.T) {
	checkLeaks(t)
	r, w := pipe(t)
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	must(t, err)
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	defer theirs.Close()
	c := sh(t, `for fd in 1 2 3; do grep flags /proc/$$/fdinfo/$fd >&4; done`, theirs, w)
	c.Stdout, c.Stderr = w, theirs
	start(t, c)
	w.Close()
	lines := readAll(t, r)
	if strings.Count(lines, "\n") != 3 {
		t.Errorf("lines %q", lines)
	}
	for line := range strings.Lines(lines) {
		var flags int
		fmt.Sscanf(line, "flags: %o", &flags)
		if flags&syscall.O_NONBLOCK != 0 {
			t.Errorf("non-blocking: %q", line)
		}
	}
}

func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) *os.File {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(content), mode))
		return open(t, path)
	}
	closed, _ := os.Open(os.DevNull)
	closed.Close()
	busy, err := os.OpenFile(filepath.Join(dir, "busy"), os.O_CREATE|os.O_RDWR, 0o755)
	must(t, err)
	busy.WriteString("x")
	defer busy.Close()
	reopened := open(t, busy.Name())
	true_ := open(t, "/bin/true")
	argv := []string{"w"}
	for _, test := range []struct {
		name   string
		c      Command
		op     Op
		errno  error
		advice string
	}{
		{"no argv", Command{Exe: true_}, OpCheck, nil, "Argv[0]"},
		{"nil file", Command{Exe: true_, Argv: argv, Files: []*os.File{nil}}, OpCheck, nil, "Files[0]"},
		{"closed file", Command{Exe: true_, Argv: argv, Files: []*os.File{closed}}, OpFiles, syscall.EBADF, "descriptor 3"},
		{"closed program", Command{Exe: closed, Argv: argv}, OpStart, syscall.EBADF, ""},
		{"NUL in argv", Command{Exe: true_, Argv: []string{"a\x00b"}}, OpStart, syscall.EINVAL, ""},
		{"no directory", Command{Exe: true_, Argv: argv, Dir: filepath.Join(dir, "none")}, OpChdir, os.ErrNotExist, "none"},
		{"not executable", Command{Exe: write("mode", "#!/bin/sh\n", 0o644), Argv: argv}, OpStart, syscall.EACCES, "executable"},
		{"not a program", Command{Exe: write("text", "hello", 0o755), Argv: argv}, OpStart, syscall.ENOEXEC, "not a program"},
		{"still written", Command{Exe: reopened, Argv: argv}, OpStart, syscall.ETXTBSY, "writer"},
		{"no interpreter", Command{Exe: write("script", "#!/none/at/all\n", 0o755), Argv: argv}, OpStart, syscall.ENOENT, "loader"},
		{"too large", Command{Exe: true_, Argv: []string{strings.Repeat("x", 1<<20)}}, OpStart, syscall.E2BIG, "too large"},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkLeaks(t)
			_, err := Start(test.c)
			var e *Error
			if !errors.As(err, &e) || e.Op != test.op {
				t.Fatalf("error %v, want one of the step %q", err, test.op)
			}
			if test.errno != nil && !errors.Is(err, test.errno) {
				t.Errorf("error %v, want %v", err, test.errno)
			}
			if !strings.Contains(err.Error(), test.advice) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q does not say %q in one line", err, test.advice)
			}
			if test.op != OpStart && e.Advice() != "" {
				t.Errorf("advice %q for the step %q", e.Advice(), e.Op)
			}
			if e.Shortage() {
				t.Error("is called a shortage")
			}
		})
	}
}

// With too few descriptors a start fails cleanly, with a typed error.
func TestFewDescriptors(t *testing.T) {
	checkLeaks(t)
	r, w := pipe(t)
	p := start(t, self("squeeze", w))
	w.Close()
	lines := strings.Split(strings.TrimSpace(readAll(t, r)), "\n")
	if s := end(t, p); s.Code != 0 || len(lines) != 16 {
		t.Fatalf("%v: %q", s, lines)
	}
	enough := slices.IndexFunc(lines, func(l string) bool { return strings.HasSuffix(l, " ok") })
	for i, l := range lines {
		want := fmt.Sprintf("%d shortage", i)
		if enough >= 0 && i >= enough {
			want = fmt.Sprintf("%d ok", i)
		}
		if l != want {
			t.Errorf("%q, want %q", l, want)
		}
	}
	if enough < 1 || enough > 12 {
		t.Errorf("enough were %d free descriptors", enough)
	}
	t.Logf("a start needs %d free descriptors", enough)
}

func TestReplacedProgram(t *testing.T) {
	checkLeaks(t)
	own, err := BuildID()
	must(t, err)
	path := filepath.Join(t.TempDir(), "program")
	copyProgram(t, path)
	r, w := pipe(t)
	c := self("replace", w)
	c.Exe = open(t, path)
	c.Argv = append(c.Argv, path)
	start(t, c)
	w.Close()
	want := "exit status 7\nexit status 7\n" + own + " <nil>\n"
	if got := readAll(t, r); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// copyProgram copies this program. No child may be forked meanwhile: it would
// hold the copy open for writing, which keeps it from being executed.
func copyProgram(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	must(t, os.WriteFile(path, b, 0o755))
}

func TestHoldLeaksNothing(t *testing.T) {
	checkLeaks(t)
	must(t, Hold())
	h, err := openHeld()
	must(t, err)
	must(t, h.exe.Close())
	must(t, h.null.Close())
}
