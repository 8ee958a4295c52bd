package seccomp

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mark is an error that the kernel gives for nothing here: who sees it, sees the
// filter.
const mark = Errno(unix.EADV)

// attempt is something that a group refuses, or that it has to leave alone.
type attempt struct {
	name  string
	group Group
	try   func() error
	// usual are the errors that it has without a filter, on some kernel or as some
	// user; none: it has to succeed.
	usual []syscall.Errno
	// allowed says that the group leaves it alone.
	allowed bool
	// always is the error that it has under the group whatever the action.
	always syscall.Errno
}

var (
	_0   = []byte("/nonexistent\x00")
	none = uintptr(1<<64 - 1) // no descriptor
)

// sys makes a system call, if the architecture has it.
func sys(c Call, args ...uintptr) func() error {
	return func() error {
		a, _ := Native()
		nr, ok := a.Number(c)
		if !ok {
			return errAbsent
		}
		args := append(slices.Clone(args), 0, 0, 0, 0, 0, 0)
		r, _, errno := unix.RawSyscall6(uintptr(nr), args[0], args[1], args[2], args[3], args[4], args[5])
		if errno != 0 {
			return errno
		}
		if c == SysFork && r == 0 {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
		return nil
	}
}

var errAbsent = errors.New("absent")

// at is the address of something that stays where it is.
func at[T any](v *T) uintptr { return uintptr(unsafe.Pointer(v)) }

var path = at(&_0[0])

func self() uintptr   { return uintptr(os.Getpid()) }
func parent() uintptr { return uintptr(os.Getppid()) }

// A signal 0 asks whether one could be sent; siginfo says that it is queued.
var siginfo = [32]int32{0, 0, -1 /* SI_QUEUE */}

var (
	local  = [16]byte{'m', 'a', 'r', 'k'}
	copied [16]byte
	from   = unix.Iovec{Base: &local[0], Len: 16}
	into   = unix.RemoteIovec{}
	owner  = [2]int32{1, 0} // F_OWNER_PID, filled in
	uring  [120]byte
	limits unix.Rlimit
	cpus   unix.CPUSet
	zero   [64]byte
)

func attempts() []attempt {
	into = unix.RemoteIovec{Base: at(&copied[0]), Len: 16}
	owner[1] = int32(os.Getppid())
	tcp := OnlySockets(Sockets{TCP: true})
	udp := OnlySockets(Sockets{UDP: true})
	local := OnlySockets(Sockets{Unix: true})
	own := OwnSignals(os.Getpid())
	eperm := []syscall.Errno{unix.EPERM, unix.ENOSYS, unix.EINVAL, unix.EBADF, unix.EFAULT, unix.ENOENT, unix.ENODEV, unix.EACCES, unix.ENOEXEC, unix.EOPNOTSUPP, unix.ESRCH, unix.ENOKEY}
	return []attempt{
		{name: "execve", group: NoExec(), try: func() error { return unix.Exec("/bin/true", []string{"true"}, nil) }},
		{name: "execveat a file in memory", group: NoExec(), try: execMemory},
		{name: "start a process", group: NoFork(), try: func() error { return exec.Command("/bin/true").Run() }},
		{name: "fork", group: NoFork(), try: sys(SysFork)},
		{name: "clone3", group: NoFork(), try: sys(SysClone3, 0, 0), usual: []syscall.Errno{unix.EINVAL}, always: unix.ENOSYS},

		{name: "unix socket", group: tcp, try: sys(SysSocket, unix.AF_UNIX, unix.SOCK_STREAM)},
		{name: "udp socket", group: tcp, try: sys(SysSocket, unix.AF_INET, unix.SOCK_DGRAM)},
		{name: "udp6 socket", group: tcp, try: sys(SysSocket, unix.AF_INET6, unix.SOCK_DGRAM), usual: []syscall.Errno{unix.EAFNOSUPPORT}},
		{name: "mptcp socket", group: tcp, try: sys(SysSocket, unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP), usual: []syscall.Errno{unix.EPROTONOSUPPORT}},
		{name: "netlink socket", group: tcp, try: sys(SysSocket, unix.AF_NETLINK, unix.SOCK_RAW)},
		{name: "raw socket", group: tcp, try: sys(SysSocket, unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP), usual: []syscall.Errno{unix.EPERM}},
		{name: "packet socket", group: tcp, try: sys(SysSocket, unix.AF_PACKET, unix.SOCK_RAW), usual: []syscall.Errno{unix.EPERM, unix.EAFNOSUPPORT}},
		{name: "vsock socket", group: tcp, try: sys(SysSocket, unix.AF_VSOCK, unix.SOCK_STREAM), usual: []syscall.Errno{unix.EAFNOSUPPORT}},
		{name: "alg socket", group: tcp, try: sys(SysSocket, unix.AF_ALG, unix.SOCK_SEQPACKET), usual: []syscall.Errno{unix.EAFNOSUPPORT}},
		{name: "unix socket with an upper half", group: tcp, try: sys(SysSocket, unix.AF_UNIX|1<<32, unix.SOCK_STREAM)},
		{name: "tcp socket", group: tcp, try: sys(SysSocket, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK), allowed: true},
		{name: "tcp socket by its number", group: tcp, try: sys(SysSocket, unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP), allowed: true},
		{name: "pair of sockets", group: tcp, try: sys(SysSocketpair, unix.AF_UNIX, unix.SOCK_STREAM, 0, at(&zero)), allowed: true},
		{name: "tcp socket where udp is allowed", group: udp, try: sys(SysSocket, unix.AF_INET, unix.SOCK_STREAM)},
		{name: "udp socket where it is allowed", group: udp, try: sys(SysSocket, unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDP), allowed: true},
		{name: "tcp socket where unix is allowed", group: local, try: sys(SysSocket, unix.AF_INET, unix.SOCK_STREAM)},
		{name: "unix socket where it is allowed", group: local, try: sys(SysSocket, unix.AF_UNIX, unix.SOCK_DGRAM), allowed: true},

		{name: "ptrace", group: NoTracing(), try: sys(SysPtrace, unix.PTRACE_PEEKUSR, self()), usual: []syscall.Errno{unix.ESRCH}},
		{name: "process_vm_readv", group: NoTracing(), try: sys(SysProcessVmReadv, self(), at(&from), 1, at(&into), 1)},
		{name: "process_vm_writev", group: NoTracing(), try: sys(SysProcessVmWritev, self(), at(&from), 1, at(&into), 1)},
		{name: "process_madvise", group: NoTracing(), try: sys(SysProcessMadvise, none, 0, 0, 0), usual: eperm},
		{name: "process_mrelease", group: NoTracing(), try: sys(SysProcessMrelease, none), usual: eperm},
		{name: "pidfd_getfd", group: NoTracing(), try: sys(SysPidfdGetfd, none), usual: eperm},
		{name: "kcmp", group: NoTracing(), try: sys(SysKcmp, self(), self(), 0, 0, 0), usual: []syscall.Errno{unix.ENOSYS}},

		{name: "io_uring_setup", group: NoIOUring(), try: sys(SysIoUringSetup, 1, at(&uring)), usual: []syscall.Errno{unix.ENOSYS, unix.EPERM}},
		{name: "io_uring_enter", group: NoIOUring(), try: sys(SysIoUringEnter, none), usual: eperm},
		{name: "io_uring_register", group: NoIOUring(), try: sys(SysIoUringRegister, none), usual: eperm},
		{name: "bpf", group: NoBPF(), try: sys(SysBpf, 9999), usual: eperm},
		{name: "userfaultfd", group: NoUserfaultfd(), try: sys(SysUserfaultfd, 1), usual: []syscall.Errno{unix.ENOSYS, unix.EPERM}},
		{name: "perf_event_open", group: NoPerf(), try: sys(SysPerfEventOpen), usual: eperm},
		{name: "add_key", group: NoKeys(), try: sys(SysAddKey, path, path, 0, 0, none), usual: eperm},
		{name: "request_key", group: NoKeys(), try: sys(SysRequestKey, path, path, 0, 0), usual: eperm},
		{name: "keyctl", group: NoKeys(), try: sys(SysKeyctl, 0, none-1, 1), usual: eperm},

		{name: "mount", group: NoMounts(), try: sys(SysMount, path, path, path), usual: eperm},
		{name: "umount2", group: NoMounts(), try: sys(SysUmount2, path), usual: eperm},
		{name: "pivot_root", group: NoMounts(), try: sys(SysPivotRoot, path, path), usual: eperm},
		{name: "chroot", group: NoMounts(), try: sys(SysChroot, path), usual: eperm},
		{name: "fsopen", group: NoMounts(), try: sys(SysFsopen, path), usual: eperm},
		{name: "fsconfig", group: NoMounts(), try: sys(SysFsconfig, none), usual: eperm},
		{name: "fsmount", group: NoMounts(), try: sys(SysFsmount, none), usual: eperm},
		{name: "fspick", group: NoMounts(), try: sys(SysFspick, none, path), usual: eperm},
		{name: "move_mount", group: NoMounts(), try: sys(SysMoveMount, none, path, none, path), usual: eperm},
		{name: "open_tree", group: NoMounts(), try: sys(SysOpenTree, none, path), usual: eperm},
		{name: "open_tree_attr", group: NoMounts(), try: sys(SysOpenTreeAttr, none, path), usual: eperm},
		{name: "mount_setattr", group: NoMounts(), try: sys(SysMountSetattr, none, path), usual: eperm},
		{name: "swapon", group: NoMounts(), try: sys(SysSwapon, path), usual: eperm},
		{name: "swapoff", group: NoMounts(), try: sys(SysSwapoff, path), usual: eperm},
		{name: "quotactl", group: NoMounts(), try: sys(SysQuotactl, none), usual: eperm},
		{name: "quotactl_fd", group: NoMounts(), try: sys(SysQuotactlFd, none), usual: eperm},

		{name: "unshare a mount namespace", group: NoNamespaces(), try: sys(SysUnshare, unix.CLONE_NEWNS), usual: []syscall.Errno{unix.EPERM}},
		{name: "unshare a time namespace", group: NoNamespaces(), try: sys(SysUnshare, unix.CLONE_NEWTIME|unix.CLONE_FS), usual: []syscall.Errno{unix.EPERM, unix.EINVAL}},
		{name: "unshare a user namespace", group: NoNamespaces(), try: sys(SysUnshare, unix.CLONE_NEWUSER), usual: []syscall.Errno{unix.EINVAL}}, // it has threads
		{name: "unshare descriptors", group: NoNamespaces(), try: sys(SysUnshare, unix.CLONE_FILES), allowed: true},
		{name: "a process in a user namespace", group: NoNamespaces(), try: inUserNamespace, usual: []syscall.Errno{unix.EPERM, unix.ENOSPC}},
		{name: "setns", group: NoNamespaces(), try: sys(SysSetns, none), usual: eperm},

		{name: "init_module", group: NoModules(), try: sys(SysInitModule), usual: eperm},
		{name: "finit_module", group: NoModules(), try: sys(SysFinitModule, none), usual: eperm},
		{name: "delete_module", group: NoModules(), try: sys(SysDeleteModule, path), usual: eperm},
		{name: "kexec_load", group: NoModules(), try: sys(SysKexecLoad, 0, 0, 0, 0xff00), usual: eperm},
		{name: "kexec_file_load", group: NoModules(), try: sys(SysKexecFileLoad, none, none, 0, 0, 0xff00), usual: eperm},
		{name: "reboot", group: NoModules(), try: sys(SysReboot), usual: eperm},

		{name: "type into a terminal", group: NoTTYInjection(), try: typeInto(unix.TIOCSTI), usual: []syscall.Errno{unix.EPERM, unix.EIO}},
		{name: "type with an upper half", group: NoTTYInjection(), try: typeInto(unix.TIOCSTI | 1<<32), usual: []syscall.Errno{unix.EPERM, unix.EIO}},
		{name: "paste", group: NoTTYInjection(), try: typeInto(unix.TIOCLINUX), usual: []syscall.Errno{unix.EPERM, unix.ENOTTY, unix.EINVAL}},
		{name: "ask the terminal", group: NoTTYInjection(), try: typeInto(unix.TIOCGWINSZ), allowed: true},

		{name: "kill the parent", group: own, try: sys(SysKill, parent(), 0)},
		{name: "kill everybody", group: own, try: sys(SysKill, none, 0), usual: []syscall.Errno{unix.ESRCH}},
		{name: "kill the group", group: own, try: sys(SysKill, 0, 0)},
		{name: "kill with an upper half", group: own, try: sys(SysKill, self()<<32|parent(), 0)},
		{name: "tgkill the parent", group: own, try: sys(SysTgkill, parent(), parent(), 0)},
		{name: "tkill", group: own, try: sys(SysTkill, parent(), 0)},
		{name: "queue a signal", group: own, try: sys(SysRtSigqueueinfo, parent(), 0, at(&siginfo))},
		{name: "queue a signal to a thread", group: own, try: sys(SysRtTgsigqueueinfo, parent(), parent(), 0, at(&siginfo))},
		{name: "signal by descriptor", group: own, try: sys(SysPidfdSendSignal, none), usual: eperm},
		{name: "have others signalled", group: own, try: sys(SysFcntl, 1, unix.F_SETOWN, parent())},
		{name: "have others signalled, extended", group: own, try: sys(SysFcntl, 1, unix.F_SETOWN_EX, at(&owner))},
		{name: "have others signalled by ioctl", group: own, try: sys(SysIoctl, 1, siocspgrp, at(&owner[1])), usual: []syscall.Errno{unix.ENOTTY, unix.EINVAL}},
		{name: "have others signalled by the other ioctl", group: own, try: sys(SysIoctl, 1, fiosetown, at(&owner[1])), usual: []syscall.Errno{unix.ENOTTY, unix.EINVAL}},
		{name: "signal itself", group: own, try: sys(SysKill, self(), 0), allowed: true},
		{name: "signal an own thread", group: own, try: sys(SysTgkill, self(), self(), 0), allowed: true},

		{name: "limits of the parent", group: OwnLimits(), try: sys(SysPrlimit64, parent(), unix.RLIMIT_NOFILE, 0, at(&limits))},
		{name: "own limits", group: OwnLimits(), try: sys(SysPrlimit64, 0, unix.RLIMIT_NOFILE, 0, at(&limits)), allowed: true},
		{name: "processors of the parent", group: OwnScheduling(), try: func() error {
			unix.SchedGetaffinity(os.Getppid(), &cpus)
			return unix.SchedSetaffinity(os.Getppid(), &cpus)
		}},
		{name: "priority of the parent", group: OwnScheduling(), try: func() error {
			nice, _ := unix.Getpriority(unix.PRIO_PROCESS, os.Getppid())
			return unix.Setpriority(unix.PRIO_PROCESS, os.Getppid(), 20-nice)
		}},
		{name: "priority of a group", group: OwnScheduling(), try: sys(SysSetpriority, unix.PRIO_PGRP, 1<<30), usual: []syscall.Errno{unix.ESRCH}},
		{name: "scheduler of the parent", group: OwnScheduling(), try: sys(SysSchedSetparam, parent(), at(&zero))},
		{name: "scheduling class of the parent", group: OwnScheduling(), try: sys(SysSchedSetscheduler, parent(), 0, at(&zero))},
		{name: "scheduling attributes of the parent", group: OwnScheduling(), try: sys(SysSchedSetattr, parent()), usual: eperm},
		{name: "i/o priority of the parent", group: OwnScheduling(), try: sys(SysIoprioSet, 1, parent(), 0)},
		{name: "i/o priority of a group", group: OwnScheduling(), try: sys(SysIoprioSet, 2, 1<<30, 0), usual: []syscall.Errno{unix.ESRCH}},
		{name: "pages of the parent", group: OwnScheduling(), try: sys(SysMigratePages, parent()), usual: eperm},
		{name: "single pages of the parent", group: OwnScheduling(), try: sys(SysMovePages, parent()), usual: eperm},
		{name: "own processors", group: OwnScheduling(), try: func() error {
			unix.SchedGetaffinity(0, &cpus)
			return unix.SchedSetaffinity(0, &cpus)
		}, allowed: true},

		{name: "personality", group: OwnPersonality(), try: sys(SysPersonality, 0x40000)},
		{name: "ask for the personality", group: OwnPersonality(), try: sys(SysPersonality, 0xffffffff), allowed: true},
		{name: "file in memory", group: NoMemoryPrograms(), try: sys(SysMemfdCreate, path, 0), usual: []syscall.Errno{unix.EINVAL, unix.EACCES}},
		{name: "executable file in memory", group: NoMemoryPrograms(), try: sys(SysMemfdCreate, path, unix.MFD_EXEC), usual: []syscall.Errno{unix.EINVAL, unix.EACCES}},
		{name: "data in memory", group: NoMemoryPrograms(), try: sys(SysMemfdCreate, at(&_0[1]), unix.MFD_NOEXEC_SEAL), usual: []syscall.Errno{unix.EINVAL}, allowed: true},
	}
}

func execMemory() error {
	b, err := os.ReadFile("/bin/true")
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("true", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	if _, err := unix.Write(fd, b); err != nil {
		return err
	}
	argv, empty := []*byte{&b[0], nil}, byte(0)
	b[0] = 0
	return sys(SysExecveat, uintptr(fd), at(&empty), at(&argv[0]), 0, unix.AT_EMPTY_PATH)()
}

func inUserNamespace() error {
	cmd := exec.Command("/bin/true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
	return cmd.Run()
}

// typeInto types a character into a terminal of its own.
func typeInto(request uintptr) func() error {
	return func() error {
		fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			return err
		}
		return sys(SysIoctl, uintptr(fd), request, at(&zero))()
	}
}

// playAttempt makes one, under its group with an action or under no filter, and
// prints its error.
func playAttempt(args []string) error {
	name := strings.ReplaceAll(args[1], "_", " ")
	all := attempts()
	a := all[slices.IndexFunc(all, func(a attempt) bool { return strings.ReplaceAll(a.name, "_", " ") == name })]
	actions := map[string]Action{"fails": Fail(mark), "kills": KillProcess, "traps": Trap}
	if action, ok := actions[args[0]]; ok {
		if _, err := load(Filter{Default: Allow, Rules: a.group.Refusing(action).Rules}, AllThreads); err != nil {
			return err
		}
	}
	err := a.try()
	if errno := syscall.Errno(0); errors.As(err, &errno) || err == nil {
		fmt.Println(int(errno))
		return nil
	}
	return err
}

// What a group refuses fails, or kills, as it says, and it does not without it.
func TestRefused(t *testing.T) {
	native(t)
	outer := threadState("/proc/thread-self/status").mode != "0"
	for _, a := range attempts() {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			role := strings.ReplaceAll(a.name, " ", "_")
			alone := play(t, "attempt", "alone", role)
			if strings.Contains(alone.out, errAbsent.Error()) {
				t.Skip("this architecture has no such system call")
			}
			failed := play(t, "attempt", "fails", role)
			killed := play(t, "attempt", "kills", role)
			got := alone.errno(t)
			if outer && (got == unix.EPERM || got == unix.ENOSYS) {
				t.Skipf("a filter around these tests refuses it already: %v", got)
			}
			if got == syscall.Errno(mark) || got != 0 && !slices.Contains(a.usual, got) {
				t.Errorf("alone: %v", alone)
			}
			want := syscall.Errno(mark)
			switch {
			case a.allowed:
				want = got
			case a.always != 0:
				want = a.always
			}
			if failed.errno(t) != want {
				t.Errorf("with an error: %v, want %d", failed, want)
			}
			if want == syscall.Errno(mark) && !killed.killed() || want != syscall.Errno(mark) && killed.errno(t) != want {
				t.Errorf("with death: %v", killed)
			}
		})
	}
}

// errno is what an attempt printed; nothing is the success of an exec.
func (e end) errno(t *testing.T) syscall.Errno {
	t.Helper()
	var n int
	if _, err := fmt.Sscan(e.out, &n); err != nil && e.out != "" || e.status != 0 {
		t.Errorf("not an error number: %v", e)
	}
	return syscall.Errno(n)
}
