package landlock

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// attempt is something that needs one right.
type attempt struct {
	name  string
	fs    FS
	net   Net
	scope Scope
	try   func(s stage) error
	usual []syscall.Errno // errors that it has when it is allowed; none: it has to succeed
	want  syscall.Errno   // when it is denied
}

// stage is where attempts are made.
type stage struct {
	dir  string // the attempt's own
	pid  int    // a process outside, of the same user
	port uint16 // on which something listens
	name string // of an abstract socket on which something listens
}

func (s stage) in(name string) string { return filepath.Join(s.dir, name) }

// What stands in the directory of each attempt.
func prepare(t testing.TB, dir string, uid int) {
	t.Helper()
	for _, d := range []string{dir, dir + "/a", dir + "/b", dir + "/empty"} {
		must(t, os.Mkdir(d, 0o777))
		must(t, os.Chown(d, uid, uid))
	}
	for _, f := range []string{dir + "/file", dir + "/a/file"} {
		must(t, os.WriteFile(f, []byte("content"), 0o777))
		must(t, os.Chown(f, uid, uid))
	}
}

func open(flags int) func(stage) error {
	return func(s stage) error {
		fd, err := unix.Open(s.in("file"), flags|unix.O_CLOEXEC, 0)
		unix.Close(fd)
		return err
	}
}

func mknod(mode uint32, dev uint64) func(stage) error {
	return func(s stage) error { return unix.Mknod(s.in("new"), mode|0o600, int(dev)) }
}

func attempts() []attempt {
	return []attempt{
		{name: "execute", fs: Execute, usual: []syscall.Errno{unix.ENOEXEC}, want: unix.EACCES, try: func(s stage) error {
			return unix.Exec(s.in("file"), []string{"file"}, nil)
		}},
		{name: "write-file", fs: WriteFile, want: unix.EACCES, try: open(unix.O_WRONLY)},
		{name: "read-file", fs: ReadFile, want: unix.EACCES, try: open(unix.O_RDONLY)},
		{name: "read-dir", fs: ReadDir, want: unix.EACCES, try: func(s stage) error {
			fd, err := unix.Open(s.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			unix.Close(fd)
			return err
		}},
		{name: "remove-dir", fs: RemoveDir, want: unix.EACCES, try: func(s stage) error { return unix.Rmdir(s.in("empty")) }},
		{name: "remove-file", fs: RemoveFile, want: unix.EACCES, try: func(s stage) error { return unix.Unlink(s.in("file")) }},
		{name: "make-char", fs: MakeChar, want: unix.EACCES, try: mknod(unix.S_IFCHR, 0)}, // a whiteout, which needs no privilege
		{name: "make-dir", fs: MakeDir, want: unix.EACCES, try: func(s stage) error { return unix.Mkdir(s.in("new"), 0o700) }},
		{name: "make-reg", fs: MakeReg, want: unix.EACCES, try: mknod(unix.S_IFREG, 0)},
		{name: "make-sock", fs: MakeSock, want: unix.EACCES, try: mknod(unix.S_IFSOCK, 0)},
		{name: "make-fifo", fs: MakeFifo, want: unix.EACCES, try: mknod(unix.S_IFIFO, 0)},
		{name: "make-block", fs: MakeBlock, usual: []syscall.Errno{unix.EPERM}, want: unix.EACCES, try: mknod(unix.S_IFBLK, unix.Mkdev(7, 250))},
		{name: "make-sym", fs: MakeSym, want: unix.EACCES, try: func(s stage) error { return unix.Symlink("x", s.in("new")) }},
		{name: "refer-rename", fs: Refer, want: unix.EXDEV, try: func(s stage) error { return unix.Rename(s.in("a/file"), s.in("b/file")) }},
		{name: "refer-link", fs: Refer, want: unix.EXDEV, try: func(s stage) error { return unix.Link(s.in("a/file"), s.in("b/file")) }},
		{name: "truncate", fs: Truncate, want: unix.EACCES, try: func(s stage) error { return unix.Truncate(s.in("file"), 1) }},
		{name: "open-truncate", fs: Truncate, want: unix.EACCES, try: open(unix.O_RDWR | unix.O_TRUNC)},
		{name: "ioctl-dev", fs: IoctlDev, usual: []syscall.Errno{unix.ENOTTY}, want: unix.EACCES, try: func(stage) error {
			fd, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("open: %v", err)
			}
			_, err = unix.IoctlGetInt(fd, unix.TCGETS)
			return err
		}},
		{name: "resolve-unix", fs: ResolveUnix, usual: []syscall.Errno{unix.ECONNREFUSED}, want: unix.EACCES, try: func(s stage) error {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err == nil {
				err = unix.Mknod(s.in("socket"), unix.S_IFSOCK|0o700, 0)
			}
			if err != nil {
				return fmt.Errorf("%v", err)
			}
			return unix.Connect(fd, &unix.SockaddrUnix{Name: s.in("socket")})
		}},
		{name: "bind-tcp", net: BindTCP, want: unix.EACCES, try: func(s stage) error {
			return tcp(func(fd int) error {
				return unix.Bind(fd, &unix.SockaddrInet4{Port: int(s.port), Addr: [4]byte{127, 0, 0, 2}})
			})
		}},
		{name: "connect-tcp", net: ConnectTCP, want: unix.EACCES, try: func(s stage) error {
			return tcp(func(fd int) error {
				return unix.Connect(fd, &unix.SockaddrInet4{Port: int(s.port), Addr: [4]byte{127, 0, 0, 1}})
			})
		}},
		{name: "abstract-unix", scope: AbstractUnix, want: unix.EPERM, try: func(s stage) error {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				return err
			}
			return unix.Connect(fd, &unix.SockaddrUnix{Name: s.name})
		}},
		{name: "signals", scope: Signals, want: unix.EPERM, try: func(s stage) error { return unix.Kill(s.pid, 0) }},
	}
}

func tcp(f func(fd int) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP)
	if err != nil {
		return fmt.Errorf("%v", err)
	}
	return f(fd)
}

// policy denies everything, and allows it again where attempts are made, with
// or without the right that this one needs.
func (a attempt) policy(s stage, abi ABI, allowed bool) Policy {
	p := Policy{FS: abi.FS(), Net: abi.Net(), Scopes: abi.Scopes()}
	allow, ports := p.FS, p.Net
	switch {
	case allowed:
		p.Scopes &^= a.scope
	default:
		allow &^= a.fs
		ports &^= a.net
	}
	p.Paths = []Path{{Name: s.dir, Allow: allow}, {Name: "/dev/zero", Allow: allow}}
	if ports != 0 {
		p.Ports = []Port{{s.port, ports}}
	}
	return p
}

// playAttempt makes one, restricted or not, and prints its error. Its arguments
// are the mode, the name and the stage.
func playAttempt(args []string) error {
	pid, _ := strconv.Atoi(args[3])
	port, _ := strconv.Atoi(args[4])
	s := stage{args[2], pid, uint16(port), args[5]}
	all := attempts()
	a := all[slices.IndexFunc(all, func(a attempt) bool { return a.name == args[1] })]
	if args[0] != "alone" {
		if err := restrict(a.policy(s, Probe().ABI, args[0] == "allowed")); err != nil {
			return err
		}
	}
	err := a.try(s)
	if errno := syscall.Errno(0); err == nil || errors.As(err, &errno) {
		fmt.Println(int(errno))
		return nil
	}
	return err
}

// Each right: what needs it works without a policy and with the right, and fails
// without it, as root and as nobody.
func TestRights(t *testing.T) {
	abi := kernel(t)
	for _, uid := range users() {
		outside := stay(t, uid)
		port := listen(t)
		for _, a := range attempts() {
			t.Run(fmt.Sprintf("%d/%s", uid, a.name), func(t *testing.T) {
				t.Parallel()
				if a.fs&^abi.FS() != 0 || a.net&^abi.Net() != 0 || a.scope&^abi.Scopes() != 0 {
					t.Skipf("ABI %d does not know it", abi)
				}
				for mode, want := range map[string][]syscall.Errno{"alone": a.allowed(), "allowed": a.allowed(), "denied": {a.want}} {
					dir := shared(t, uid)
					out := play(t, uid, "attempt", mode, a.name, dir, fmt.Sprint(outside.pid), fmt.Sprint(port), outside.name)
					if n, err := strconv.Atoi(strings.TrimSpace(out)); err != nil || !slices.Contains(want, syscall.Errno(n)) {
						t.Errorf("%s: %s, want %d", mode, out, want)
					}
				}
			})
		}
	}
}

func (a attempt) allowed() []syscall.Errno {
	return append([]syscall.Errno{0}, a.usual...)
}

// shared is a directory that a user can work in.
func shared(t testing.TB, uid int) string {
	t.Helper()
	top, err := os.MkdirTemp("", "landlock")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(top) })
	must(t, os.Chmod(top, 0o755))
	dir := filepath.Join(top, "dir")
	prepare(t, dir, uid)
	return dir
}

func listen(t testing.TB) int {
	t.Helper()
	config := net.ListenConfig{}
	config.SetMultipathTCP(false)
	l, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// stay starts a process outside, that listens on an abstract socket.
func stay(t testing.TB, uid int) stage {
	t.Helper()
	cmd := self(t.Context(), uid, "stay")
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	name, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	return stage{pid: cmd.Process.Pid, name: strings.TrimSpace(name)}
}

// playStay stays until its standard input ends.
func playStay([]string) error {
	name := fmt.Sprintf("@landlock-test-%d", os.Getpid())
	l, err := net.Listen("unix", name)
	if err != nil {
		return err
	}
	defer l.Close()
	fmt.Println(name)
	os.Stdin.Read(make([]byte, 1))
	return nil
}
