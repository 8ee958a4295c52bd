package child

import (
	"io"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/wire"
)

// sendWith writes what the kernel takes at once, and with its first byte the
// descriptors. They are left out when this user has too many on their way: the
// receiver then finds that they are lost.
func sendWith(fd uintptr, p []byte, files []*os.File) (n int, err error) {
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	rights := unix.UnixRights(fds...)
	for {
		n, err = unix.SendmsgN(int(fd), p, rights, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		runtime.KeepAlive(files)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return 0, nil
		case err == unix.ETOOMANYREFS && rights != nil:
			rights = nil
		case err != nil:
			return 0, os.NewSyscallError("sendmsg", err)
		default:
			return n, nil
		}
	}
}

// maxRights is room for the descriptors of one frame.
var maxRights = unix.CmsgSpace(4 * wire.MaxBlobs)

// receiveWith reads what is there, which may be nothing, and the descriptors that
// come with it, as many as one frame may have; more says that there were others.
// Programs that this one starts do not get them. room has maxRights bytes.
func receiveWith(fd uintptr, p, room []byte) (n int, fds []int, more bool, err error) {
	for {
		var got, flags int
		n, got, flags, err = receiveOnce(fd, p, room)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return 0, nil, false, nil
		case err != nil:
			return 0, nil, false, os.NewSyscallError("recvmsg", err)
		case got > 0:
			fds = descriptorsIn(room[:got])
		case n == 0:
			err = io.EOF
		}
		return n, fds, flags&unix.MSG_CTRUNC != 0, err
	}
}

// receiveOnce is recvmsg(2). It does not wait, so the runtime need not know of it, see
// quick: an idle process spends most of its time on what a system call begins there.
func receiveOnce(fd uintptr, p, room []byte) (n, got, flags int, err error) {
	iov := unix.Iovec{Base: unsafe.SliceData(p)}
	iov.SetLen(len(p))
	msg := unix.Msghdr{Iov: &iov, Control: unsafe.SliceData(room)}
	msg.SetIovlen(1)
	msg.SetControllen(len(room))
	r, _, errno := syscall.RawSyscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&msg)), unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
	if errno != 0 {
		return 0, 0, 0, errno
	}
	return int(r), int(msg.Controllen), int(msg.Flags), nil
}

// descriptorsIn takes those that the kernel has given us.
func descriptorsIn(control []byte) (fds []int) {
	messages, _ := unix.ParseSocketControlMessage(control) // the kernel's own
	for i := range messages {
		if some, err := unix.ParseUnixRights(&messages[i]); err == nil {
			fds = append(fds, some...)
		}
	}
	return fds
}
