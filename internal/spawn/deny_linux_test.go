package spawn

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func init() { roles["deny"] = playDeny }

// playDeny lets the kernel refuse one system call to the cloning thread, and to
// what it clones, and tells what comes of starts.
func playDeny() {
	out := os.NewFile(3, "out")
	call, _ := strconv.Atoi(os.Args[1])
	number, _ := strconv.Atoi(os.Args[2])
	c := shell("sleep 1000")
	if err := Hold(); err != nil {
		panic(err)
	}
	fds(nil) // the runtime's own descriptors are open from here on
	before := len(fds(nil))
	onCloneThread(func() {
		if err := deny(call, syscall.Errno(number)); err != nil {
			panic(err)
		}
	})
	for range 3 {
		_, err := Start(c)
		var e *Error
		if !errors.As(err, &e) {
			panic(fmt.Sprint("started: ", err))
		}
		fmt.Fprintln(out, e.Op, e.Shortage(), errors.Is(err, syscall.Errno(number)), len(fds(nil))-before, len(children(nil)))
	}
}

// deny installs a filter (seccomp(2)) for the calling thread alone.
func deny(call int, errno syscall.Errno) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(call), Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, failed := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	if failed != 0 {
		return failed
	}
	return nil
}

// F27, F48, F53: whatever the kernel refuses, a start fails with an error that
// says what it is, and leaves nothing. In particular a worker that could not
// make its own process group is not run in ours, where killing it would kill us.
func TestStartsThatTheKernelRefuses(t *testing.T) {
	for _, test := range []struct {
		name     string
		call     int
		errno    syscall.Errno
		shortage bool
	}{
		{"no memory", unix.SYS_CLONE, syscall.ENOMEM, true},
		{"no process numbers", unix.SYS_CLONE, syscall.EAGAIN, true},
		{"no group", unix.SYS_SETPGID, syscall.EPERM, false},
		{"no signal of the parent's death", unix.SYS_PRCTL, syscall.EINVAL, false},
		{"no descriptors", unix.SYS_DUP3, syscall.EMFILE, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkLeaks(t)
			r, w := pipe(t)
			c := self("deny", w)
			c.Argv = append(c.Argv, fmt.Sprint(test.call), fmt.Sprint(int(test.errno)))
			p := start(t, c)
			w.Close()
			want := strings.Repeat(fmt.Sprintf("%s %v true 0 0\n", OpStart, test.shortage), 3)
			if got := readAll(t, r); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if s := end(t, p); s.Kind != Exited || s.Code != 0 {
				t.Errorf("ended with %v", s)
			}
		})
	}
}

func init() { roles["crowd"] = playCrowd }

// playCrowd is a program that is not root and may have so many processes.
func playCrowd() {
	out := os.NewFile(3, "out")
	c := shell("exec sleep 1000")
	started := 0
	for {
		_, err := Start(c)
		if err == nil {
			started++
			continue
		}
		var e *Error
		fmt.Fprintln(out, started > 0, errors.As(err, &e) && e.Shortage(), errors.Is(err, syscall.EAGAIN), e != nil && e.Advice() != "")
		return
	}
}

// F48: a real limit, of a user that nobody else is.
func TestOutOfProcesses(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become a user that has no processes yet")
	}
	checkLeaks(t)
	r, w := pipe(t)
	const lonely = "64321"
	prlimit, err := exec.LookPath("prlimit")
	if err != nil {
		t.Skip("SKIPPED, a limit of processes was not seen: no prlimit and setpriv (util-linux) here")
	}
	c := Command{
		Exe: open(t, prlimit), Env: append(roleEnv("crowd"), "PATH="+os.Getenv("PATH")), Files: []*os.File{w, open(t, "/proc/self/exe")},
		Argv: []string{"prlimit", "--nproc=40", "setpriv", "--reuid", lonely, "--regid", lonely, "--clear-groups", "/proc/self/fd/4"},
	}
	start(t, c)
	w.Close()
	if got := readAll(t, r); got != "true true true true\n" {
		t.Errorf("got %q", got)
	}
}
