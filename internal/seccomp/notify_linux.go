//go:build amd64 || arm64

package seccomp

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Notifier receives the system calls that a filter notifies of. One goroutine
// receives; Close may be called from any.
type Notifier struct{ file *os.File }

func newNotifier(fd int) (*Notifier, error) {
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, &LoadError{Step: StepVerify, Err: err}
	}
	return &Notifier{os.NewFile(uintptr(fd), "seccomp listener")}, nil
}

// Notice is a system call that somebody wants to make, and waits.
type Notice struct {
	ID   uint64 // for the answer
	PID  int    // of the thread, as the receiver sees it; 0: it cannot
	Call Violation
}

// File is the descriptor, to be handed to another process.
func (n *Notifier) File() *os.File { return n.file }

// Close gives up the listener: what waits, and what comes, fails with ENOSYS.
func (n *Notifier) Close() error { return n.file.Close() }

// The kernel's structures, linux/seccomp.h.
type seccompData struct {
	number  int32
	arch    uint32
	pointer uint64
	args    [6]uint64
}

type seccompNotif struct {
	id         uint64
	pid, flags uint32
	data       seccompData
}

type seccompNotifResp struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// Receive waits for the next call; it ends with an error when the notifier is
// closed, and with ENOENT when nobody is left under the filter.
//
// A call whose maker dies at the very moment in which it is received makes
// Receive wait in the kernel for the next one, or for the end of all who are under
// the filter (since Linux 6.11); Close waits with it.
func (n *Notifier) Receive() (Notice, error) {
	raw, err := n.file.SyscallConn()
	if err != nil {
		return Notice{}, err
	}
	var got seccompNotif
	var errno syscall.Errno
	err = raw.Read(func(fd uintptr) bool {
		switch state(fd) {
		case 0:
			return false
		case unix.POLLHUP:
			errno = unix.ENOENT
			return true
		}
		got = seccompNotif{} // the kernel demands zeros
		_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&got)))
		return errno != unix.EINTR && errno != unix.EAGAIN
	})
	if err != nil {
		return Notice{}, os.ErrClosed // nothing else ends that wait
	}
	if errno != 0 {
		return Notice{}, os.NewSyscallError("SECCOMP_IOCTL_NOTIF_RECV", errno)
	}
	return Notice{got.id, int(got.pid), got.data.violation()}, nil
}

// state polls, so that a call that is not there any more is not waited for.
func state(fd uintptr) int16 {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(p, 0); err != nil || n == 0 {
		return 0
	}
	return p[0].Revents
}

func (d seccompData) violation() Violation {
	return Violation{Arch: archOf(d.arch), Number: uint32(d.number), Args: d.args}
}

// Fail answers: the call returns e without being done. ENOENT means that who
// made it has gone.
//
// There is no answer that lets the kernel do the call, on purpose: the memory
// behind its pointers may change after it was looked at (seccomp_unotify(2)).
func (n *Notifier) Fail(id uint64, e Errno) error {
	raw, err := n.file.SyscallConn()
	if err != nil {
		return err
	}
	var errno syscall.Errno
	answer := seccompNotifResp{id: id, errno: -int32(e)}
	err = raw.Control(func(fd uintptr) {
		_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&answer)))
	})
	if err == nil && errno != 0 {
		err = os.NewSyscallError("SECCOMP_IOCTL_NOTIF_SEND", errno)
	}
	return err
}
