package child

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/internal/ring"
	"github.com/verdigris-go/verdigris/internal/spawn"
	"github.com/verdigris-go/verdigris/internal/statuspage"
)

// pipeSize is what is asked for the call pipes' buffers: fewer wake-ups for
// large messages. The kernel may refuse (/proc/sys/fs/pipe-max-size); then they
// keep their 64 KiB.
const pipeSize = 1 << 20

// channels are both ends of everything between a parent and one run: in the
// pairs, [0] is the reading and [1] the writing end; of control, [0] is ours.
type channels struct {
	control        [2]*os.File
	calls, answers [2]*os.File
	stdout, stderr [2]*os.File
	page           *statuspage.Page
	rings          *ring.Ring // for calls and answers, if the worker knows what to do with them; may be nil
}

func openChannels() (*channels, error) {
	ch := &channels{}
	err := ch.open()
	if err != nil {
		ch.closeOurs()
		ch.closeTheirs()
		return nil, err
	}
	return ch, nil
}

func (ch *channels) open() (err error) {
	if ch.control, err = socketpair(); err != nil {
		return err
	}
	for _, p := range []struct {
		pair *[2]*os.File
		ours int // index of our end
	}{{&ch.calls, 1}, {&ch.answers, 0}, {&ch.stdout, 0}, {&ch.stderr, 0}} {
		if *p.pair, err = pipe(p.ours); err != nil {
			return err
		}
	}
	ch.page, err = statuspage.New()
	return err
}

// theirs are the worker's descriptors from 3 on; see docs/wire.md.
func (ch *channels) theirs() []*os.File {
	files := []*os.File{ch.control[1], ch.calls[0], ch.answers[1], ch.page.File()}
	if ch.rings != nil {
		files = append(files, ch.rings.Files()...)
	}
	return files
}

func (ch *channels) closeTheirs() {
	closeAll(ch.control[1], ch.calls[0], ch.answers[1], ch.stdout[1], ch.stderr[1])
	if ch.rings != nil {
		ch.rings.Passed()
	}
}

func (ch *channels) closeOurs() {
	closeAll(ch.control[0], ch.stdout[0], ch.stderr[0])
	ch.closePipes()
	ch.closeRings()
	if ch.page != nil {
		ch.page.Close()
	}
}

// closePipes and closeRings close our ends of what calls do not travel by.
func (ch *channels) closePipes() { closeAll(ch.calls[1], ch.answers[0]) }

func (ch *channels) closeRings() {
	if ch.rings != nil {
		ch.rings.Close()
	}
}

func socketpair() (pair [2]*os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return pair, os.NewSyscallError("socketpair", err)
	}
	return filesOf(fds, 0)
}

// pipe makes one, of which ours is the index of our end.
func pipe(ours int) (pair [2]*os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return pair, os.NewSyscallError("pipe2", err)
	}
	return filesOf(fds, ours)
}

// filesOf makes files of a pair: ours goes into the runtime's poller. The worker's
// does not: it is only passed on, and each registration and each event of a
// descriptor there wakes a thread.
func filesOf(fds [2]int, ours int) (pair [2]*os.File, err error) {
	err = unix.SetNonblock(fds[ours], true)
	for i, fd := range fds {
		pair[i] = os.NewFile(uintptr(fd), "channel")
	}
	return pair, os.NewSyscallError("fcntl", err)
}

// growPipes makes the pipes as large as it is allowed, now that they are used.
func (ch *channels) growPipes() {
	grow(ch.calls[1])
	grow(ch.answers[0])
}

func grow(f *os.File) {
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
	}
}

// terminate asks a process group to end, also one that is stopped.
func terminate(p *spawn.Process) {
	_ = p.SignalGroup(syscall.SIGTERM) // these fail only when it is dead already
	_ = p.SignalGroup(syscall.SIGCONT)
}

// writeNow writes what the kernel takes at once, which may be nothing.
func writeNow(fd uintptr, b []byte) (int, error) {
	for {
		n, err := writeOnce(int(fd), b)
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, nil
		default:
			return 0, os.NewSyscallError("write", err)
		}
	}
}

func writeOnce(fd int, b []byte) (int, error) {
	if len(b) == 0 || len(b) > quick {
		return syscall.Write(fd, b)
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func readOnce(fd int, b []byte) (int, error) {
	if len(b) == 0 || len(b) > 128*quick {
		return syscall.Read(fd, b)
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// readNow reads what is there, which may be nothing.
func readNow(fd uintptr, b []byte) (int, error) {
	for {
		n, err := readOnce(int(fd), b)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return 0, nil
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// awaitInput waits for something to read, in a system call on this thread, and reports
// whether there may be something. It may end early.
func awaitInput(fd uintptr, limit time.Duration) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	timeout := unix.NsecToTimespec(int64(limit))
	n, err := unix.Ppoll(fds[:], &timeout, nil)
	return n > 0 && err == nil
}

// hasInput reports whether there is something to read.
func hasInput(f *os.File) (has bool) {
	raw, err := f.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { has = awaitInput(fd, 0) })
	}
	return has
}

// descriptors are what a worker inherits.
type descriptors struct {
	control, calls, answers, status *os.File
	rings                           *ring.Worker // nil if there are none
}

// inherited takes over the worker's descriptors. They are what the protocol
// says, or this process was not started by a parent. Programs that the worker
// starts do not get them.
func inherited() (d descriptors, err error) {
	for _, want := range []struct {
		fd   int
		mode uint32
		name string
		file **os.File
	}{
		{fdControl, unix.S_IFSOCK, "control", &d.control},
		{fdCalls, unix.S_IFIFO, "calls", &d.calls},
		{fdAnswers, unix.S_IFIFO, "answers", &d.answers},
		{fdStatus, unix.S_IFREG, "status page", &d.status},
	} {
		var st unix.Stat_t
		if err := unix.Fstat(want.fd, &st); err != nil || st.Mode&unix.S_IFMT != want.mode {
			return d, fmt.Errorf("descriptor %d is not the %s channel: the environment has %s set, but no verdigris parent has started this process", want.fd, want.name, marker)
		}
		unix.CloseOnExec(want.fd)
		if want.fd == fdControl { // read in the runtime's poller, by a goroutine; calls are read on a thread of their own
			if err := unix.SetNonblock(want.fd, true); err != nil {
				return d, os.NewSyscallError("fcntl", err)
			}
		}
		*want.file = os.NewFile(uintptr(want.fd), want.name)
	}
	rings := [ring.Files]int{fdRings, fdRings + 1, fdRings + 2}
	if d.rings, _ = ring.Open(rings); d.rings == nil { // the parent will not hear of any
		closeStrays(rings[:])
	}
	return d, nil
}

// closeStrays closes those of these descriptors that have come along by accident:
// what Go opens is closed by exec.
func closeStrays(fds []int) {
	for _, fd := range fds {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
}

// killOwnGroup kills the process group that this process leads, and so this
// process. A group that somebody else leads is none of its business.
func killOwnGroup() {
	if unix.Getpgrp() == os.Getpid() {
		_ = unix.Kill(0, unix.SIGKILL)
	}
}

// ownerOf is the user that a file belongs to.
func ownerOf(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// dumpsCore reports whether the kernel is writing a core file of a process (since Linux
// 4.15, proc_pid_status(5)).
func dumpsCore(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && bytes.Contains(status, []byte("\nCoreDumping:\t1\n"))
}

// traced reports whether a debugger is attached to this process.
func traced() bool {
	status, err := os.ReadFile("/proc/self/status")
	return err == nil && bytes.Contains(status, []byte("\nTracerPid:\t")) && !bytes.Contains(status, []byte("\nTracerPid:\t0\n"))
}
