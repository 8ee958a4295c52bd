package seccomp

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/internal/seccomp/cthreads"
)

// The thread that starts the process has loaded a filter that notifies, so that
// the parent has the listener, and the process cannot lie about what it did.
func TestNotified(t *testing.T) {
	native(t)
	if e := play(t, "notify"); e.out != "socket(0x1, 0x2, 0x0) of the child; child: operation not permitted\n" {
		t.Fatal(e)
	}
}

func playNotify(args []string) error {
	if len(args) > 0 {
		_, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		fmt.Println("child:", err)
		return nil
	}
	a, _ := Native()
	p, err := Filter{Default: Allow, Rules: []Rule{{SysSocket, []Cond{{Value: unix.AF_UNIX}}, Notify}}}.Compile(a)
	if err != nil {
		return err
	}
	listening := make(chan *Notifier)
	fail := make(chan error)
	cmd := command(bg, "/proc/self/exe", "notify", "child")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	go func() {
		runtime.LockOSThread()
		n, err := LoadNotify(p, ThisThread)
		if err != nil {
			fail <- err
			return
		}
		if err := cmd.Start(); err != nil {
			fail <- err
			return
		}
		listening <- n
		select {}
	}()
	select {
	case err := <-fail:
		return err
	case n := <-listening:
		return answer(n, cmd)
	}
}

func answer(n *Notifier, cmd *exec.Cmd) error {
	notice, err := n.Receive()
	if err != nil {
		return err
	}
	who := "of somebody else"
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/comm", cmd.Process.Pid, notice.PID)); err == nil && len(status) > 0 {
		who = "of the child"
	}
	c, _ := notice.Call.Call()
	fmt.Printf("%v(%#x, %#x, %#x) %s; ", c, notice.Call.Args[0], notice.Call.Args[1], notice.Call.Args[2], who)
	if err := n.Fail(notice.ID, EPERM); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return err
	}
	received := make(chan error)
	go func() {
		_, err := n.Receive()
		received <- err
	}()
	time.Sleep(10 * time.Millisecond) // so that it waits, mostly
	if err := n.Close(); err != nil {
		return err
	}
	if err := <-received; !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("after Close: %w", err)
	}
	return nil
}

// A trapped call of Go code is in the runtime's dump.
func TestFromDumpOfARealDeath(t *testing.T) {
	a := native(t)
	cmd := command(t.Context(), "/proc/self/exe", "attempt", "traps", "udp_socket")
	e := run(t, cmd)
	v, ok := FromDump(a, []byte(e.err))
	c, _ := v.Call()
	if !ok || c != SysSocket || v.Args[0] != unix.AF_INET || v.Args[1] != unix.SOCK_DGRAM || e.status.ExitStatus() != 2 {
		t.Errorf("%v, %t, %v", v, ok, e)
	}
}

// So is one of C code that Go has called. A thread that C has made dies without a
// word: the runtime has no stack for it to die on.
func TestFromDumpOfC(t *testing.T) {
	a := native(t)
	if !cthreads.HasC {
		t.Skip("built without cgo")
	}
	e := run(t, command(t.Context(), "/proc/self/exe", "trapped"))
	v, ok := FromDump(a, []byte(e.err))
	if c, _ := v.Call(); !ok || c != SysSocket || v.Args[0] != unix.AF_UNIX || e.status.ExitStatus() != 2 {
		t.Errorf("%v, %t, %v", v, ok, e)
	}
	e = run(t, command(t.Context(), "/proc/self/exe", "trapped", "thread"))
	if v, ok := FromDump(a, []byte(e.err)); ok || !e.killed() {
		t.Errorf("%v, %t, %v", v, ok, e)
	}
}

func playTrapped(args []string) error {
	if _, err := load(Filter{Default: Allow, Rules: OnlySockets(Sockets{}).Refusing(Trap).Rules}, AllThreads); err != nil {
		return err
	}
	if len(args) > 0 {
		cthreads.SocketOnAThread()
	}
	cthreads.Socket()
	return nil
}

// The kernel's log tells it, where it can be read and nobody floods it.
func TestFromAuditOfARealDeath(t *testing.T) {
	a := native(t)
	log, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip(err)
	}
	defer unix.Close(log)
	if _, err := unix.Seek(log, 0, unix.SEEK_END); err != nil {
		t.Skip(err)
	}
	cmd := command(t.Context(), "/proc/self/exe", "attempt", "kills", "udp_socket")
	if e := run(t, cmd); !e.killed() {
		t.Fatal(e)
	}
	line := make([]byte, 8192)
	for {
		n, err := unix.Read(log, line)
		if err == unix.EPIPE {
			continue // lines were overwritten
		}
		if err != nil {
			t.Skipf("the kernel has not logged it (its rate is limited): %v", err)
		}
		pid, v, ok := FromAudit(line[:n])
		if c, _ := v.Call(); ok && pid == cmd.Process.Pid {
			if c != SysSocket || v.Arch != a {
				t.Errorf("%v: %s", v, line[:n])
			}
			return
		}
	}
}

func TestFromAudit(t *testing.T) {
	const line = `5,1234,25704092655,-;audit: type=1326 audit(1795385434.665:658): auid=4294967295 uid=0 gid=0 ses=4294967295 pid=17542 comm=%s exe="/tmp/x" sig=31 arch=c00000b7 syscall=221 compat=0 ip=0x40f38e code=0x80000000`
	for _, comm := range []string{`"exe"`, `"a pid=1 comm=b sig=31 arch=c000003e syscall=1 "`, "6578652022"} {
		pid, v, ok := FromAudit(fmt.Appendf(nil, line, comm))
		if c, _ := v.Call(); !ok || pid != 17542 || v.Arch != ARM64 || c != SysExecve {
			t.Errorf("%s: %d, %v, %t", comm, pid, v, ok)
		}
	}
	for _, other := range []string{"", "type=1400 pid=1", `type=1326 pid=1 comm="a" exe="b" sig=0 arch=c000003e syscall=1 `} {
		if pid, v, ok := FromAudit([]byte(other)); ok {
			t.Errorf("%s: %d, %v", other, pid, v)
		}
	}
}

// FromDump with dumps of both architectures, and with what is none.
func TestFromDump(t *testing.T) {
	const arm = "SIGSYS: bad system call\nPC=0x7fb8c m=0 sigcode=1\n\nr0      0x2\nr1      0x80802\nr2      0x0\nr8      0xc6\nr9      0x1\nr0      0x9\n"
	v, ok := FromDump(ARM64, []byte(arm))
	if want := "socket(0x2, 0x80802, 0x0, 0x0, 0x0, 0x0)"; !ok || v.String() != want {
		t.Errorf("%v %t", v, ok)
	}
	for name, text := range map[string]string{
		"empty":           "",
		"other signal":    "SIGSEGV: segmentation violation\nPC=0x1 m=0 sigcode=1\nrax 0x1\n",
		"sent by kill":    "SIGSYS: bad system call\nPC=0x1 m=0 sigcode=0\nrax    0x1\n",
		"no register":     "SIGSYS: bad system call\nPC=0x1 m=0 sigcode=1\nrbx    0x1\n",
		"number too long": "SIGSYS: bad system call\nPC=0x1 m=0 sigcode=1\nrax    0x100000000\n",
	} {
		if v, ok := FromDump(AMD64, []byte(text)); ok {
			t.Errorf("%s: %v", name, v)
		}
	}
}

// Calls of 32-bit programs and of x32 kill, where the kernel knows them and
// where it does not.
func TestForeignCallsKillAProcess(t *testing.T) {
	if native(t) != AMD64 {
		t.Skip("amd64 has them")
	}
	for _, foreign := range []string{"x32", "32bit"} {
		if foreign == "32bit" && !cthreads.HasC {
			continue
		}
		if e := play(t, "foreign", foreign, "confined"); !e.killed() {
			t.Errorf("%s: %v", foreign, e)
		}
		switch e := play(t, "foreign", foreign); {
		case !e.killed():
			t.Logf("%s, alone: %v", foreign, e)
		case threadState("/proc/thread-self/status").mode != "0":
			t.Logf("%s: a filter around these tests kills it already", foreign)
		default:
			t.Errorf("%s, alone: %v", foreign, e)
		}
	}
}

func playForeign(args []string) error {
	if len(args) == 2 {
		if _, err := load(Filter{Default: Allow}, AllThreads); err != nil {
			return err
		}
	}
	if args[0] == "32bit" {
		fmt.Println(cthreads.Getpid32() == os.Getpid())
		return nil
	}
	r, _, errno := unix.RawSyscall(0x40000000|unix.SYS_GETPID, 0, 0, 0)
	fmt.Println(int(r) == os.Getpid(), errno == 0 || errno == syscall.ENOSYS)
	return nil
}
