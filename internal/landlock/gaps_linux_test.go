package landlock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a plan calls a gap is one: under a policy that denies everything that can
// be denied, it is done.
func TestGapsAreReal(t *testing.T) {
	abi := kernel(t)
	if abi > Newest {
		t.Skipf("nothing is known about ABI %d", abi)
	}
	plan, err := Policy{FS: AllFS, Net: AllNet, Scopes: AllScopes}.Compile(abi)
	must(t, err)
	gaps := map[Hole]bool{}
	for _, g := range plan.Gaps {
		gaps[g.Hole] = true
	}
	for _, uid := range users() {
		for hole, name := range map[Hole]string{BeyondTCP: "beyond-tcp", Metadata: "metadata", MemoryPrograms: "memory-programs", UnixPaths: "unix-paths"} {
			dir := shared(t, uid)
			out := play(t, uid, "gap", name, dir)
			if real := out == "" || out == "done\n"; real != gaps[hole] {
				t.Errorf("%d: %v: the plan says %t, and it says %q", uid, hole, gaps[hole], out)
			}
		}
	}
}

func playGap(args []string) error {
	dir := args[1]
	l, err := net.Listen("unix", dir+"/socket")
	if err != nil {
		return err
	}
	defer l.Close()
	program, err := os.ReadFile("/bin/true")
	if err != nil {
		return err
	}
	p := closed()
	p.Net, p.Scopes = Probe().ABI.Net(), Probe().ABI.Scopes()
	if err := restrict(p); err != nil {
		return err
	}
	err = map[string]func() error{
		"beyond-tcp": beyondTCP,
		"metadata": func() error {
			return errors.Join(unix.Stat(dir, &unix.Stat_t{}), unix.Chmod(dir+"/file", 0o600), unix.Chdir(dir))
		},
		"memory-programs": func() error { return execMemory(program) },
		"unix-paths": func() error {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				return err
			}
			return unix.Connect(fd, &unix.SockaddrUnix{Name: dir + "/socket"})
		},
	}[args[0]]()
	if err == nil {
		fmt.Println("done")
	}
	return err
}

func beyondTCP() error {
	udp, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Sendto(udp, []byte("x"), 0, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	mptcp, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP)
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ENOPROTOOPT) {
		return nil // this kernel has none
	}
	if err != nil {
		return err
	}
	return unix.Bind(mptcp, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
}

// execMemory prints nothing when it succeeds: this program is another one then.
func execMemory(program []byte) error {
	fd, err := unix.MemfdCreate("program", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	if _, err := unix.Write(fd, program); err != nil {
		return err
	}
	empty, argv := [1]byte{}, [2]*byte{}
	argv[0] = &empty[0]
	_, _, errno := unix.Syscall6(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(&empty[0])), uintptr(unsafe.Pointer(&argv[0])), 0, unix.AT_EMPTY_PATH, 0)
	return errno
}

// Each hole has words of its own.
func TestHoles(t *testing.T) {
	seen := map[string]bool{}
	for h := Files; h <= MemoryPrograms; h++ {
		if s := h.String(); s == "" || seen[s] || strings.Contains(s, "%") {
			t.Errorf("%d: %q", h, s)
		} else {
			seen[s] = true
		}
	}
}
