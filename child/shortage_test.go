//go:build linux

package child_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/child"
)

func init() {
	// where no file can be made
	roles["parent: without room for files"] = playWithoutFiles
	// where no process can be made for a while
	roles["parent: without processes"] = playWithoutProcesses
}

// F50: nothing is ever written to a file. The program runs where none can be
// made, and does not notice.
func TestNoTemporaryFiles(t *testing.T) {
	watch(t)
	a := start(t, os.Args[0], "parent: without room for files", "TMPDIR=/dev/null")
	if got := a.line(""); got != "it does not notice" {
		t.Error(got)
	}
}

func playWithoutFiles() {
	child.Init()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	complain := func(what string, facts ...any) {
		fmt.Println(what, facts)
		os.Exit(0)
	}
	if err := os.Chdir("/proc"); err != nil {
		complain("no /proc", err)
	}
	if f, err := os.CreateTemp("", ""); err == nil {
		complain("a temporary file can be made", f.Name())
	}
	if _, err := os.Create("file"); err == nil {
		complain("a file can be made")
	}
	cfg := child.Config{Env: []string{"TMPDIR"}, Memory: 256 << 20}
	in := bytes.Repeat([]byte("x"), 8<<20)
	if out, err := child.Once(context.Background(), cfg, echo, in); err != nil || !bytes.Equal(in, out) {
		complain("a large call", err)
	}
	if _, err := child.Once(context.Background(), cfg, perish, "panic"); !errors.Is(err, child.Panicked) || !strings.Contains(err.Error(), "no such colour") {
		complain("a crash", err)
	}
	fmt.Println("it does not notice")
}

// F48, F53: a program that may have no more processes gets an error that says so,
// keeps everything it has, and goes on when it may again.
func TestOutOfProcesses(t *testing.T) {
	watch(t)
	a := start(t, os.Args[0], "parent: without processes")
	if got := a.line(""); got != "it goes on" {
		t.Error(got)
	}
}

func playWithoutProcesses() {
	child.Init()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	complain := func(what string, facts ...any) {
		fmt.Println(what, facts)
		os.Exit(0)
	}
	cfg := child.Config{Contain: child.ContainGroup}
	once := func() error { _, err := child.Once(context.Background(), cfg, double, 1); return err }
	raiseThreads(30)
	if os.Getuid() == 0 { // for whom there is no such limit
		const nobody = 65534
		if err := errors.Join(syscall.Setresuid(nobody, nobody, nobody), unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)); err != nil {
			complain("it cannot become somebody else", err)
		}
	}
	if err := once(); err != nil {
		complain("before", err)
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &old); err != nil {
		complain("getrlimit", err)
	}
	files, _ := os.ReadDir("/proc/self/fd")
	for range 3 {
		_ = unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: 1, Max: old.Max})
		err := once()
		_ = unix.Setrlimit(unix.RLIMIT_NPROC, &old)
		if !errors.Is(err, syscall.EAGAIN) || !errors.Is(err, child.ErrNotStarted) || !strings.Contains(err.Error(), "no more processes are allowed") {
			complain("without processes", err)
		}
	}
	if now, _ := os.ReadDir("/proc/self/fd"); len(now) != len(files) {
		complain("descriptors", len(files), len(now))
	}
	if err := once(); err != nil {
		complain("after", err)
	}
	fmt.Println("it goes on")
}

// raiseThreads makes the runtime have that many threads, so that it needs no more.
func raiseThreads(n int) {
	fds := make([]int, 2)
	if err := syscall.Pipe(fds); err != nil { // blocking, unlike os.Pipe
		panic(err)
	}
	var all sync.WaitGroup
	for range n {
		all.Go(func() { _, _ = syscall.Read(fds[0], make([]byte, 1)) })
	}
	settles(func() bool { tasks, _ := os.ReadDir("/proc/self/task"); return len(tasks) > n })
	syscall.Close(fds[1])
	all.Wait()
	syscall.Close(fds[0])
}
