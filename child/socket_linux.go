package child

import (
	"io"
	"os"
	"runtime"

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

// receiveWith reads what is there, which may be nothing, and the descriptors that
// come with it, as many as one frame may have; more says that there were others.
// Programs that this one starts do not get them.
func receiveWith(fd uintptr, p []byte) (n int, fds []int, more bool, err error) {
	var room [(wire.MaxBlobs + 4) * 4 * 2]byte // more than unix.CmsgSpace(4 * wire.MaxBlobs)
	control := room[:unix.CmsgSpace(4*wire.MaxBlobs)]
	for {
		var got, flags int
		n, got, flags, _, err = unix.Recvmsg(int(fd), p, control, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return 0, nil, false, nil
		case err != nil:
			return 0, nil, false, os.NewSyscallError("recvmsg", err)
		case got > 0:
			fds = descriptorsIn(control[:got])
		case n == 0:
			err = io.EOF
		}
		return n, fds, flags&unix.MSG_CTRUNC != 0, err
	}
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
