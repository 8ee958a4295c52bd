package early

import (
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// settle does what the package is for, in a process that has a parent at the
// other end of its control channel. One that only has the marker is left alone:
// Init complains about it.
func settle() {
	if !isSocket(fdControl) {
		return
	}
	catch()
	if hungUp(fdControl) {
		os.Exit(StatusOrphan)
	}
	closeStrays()
}

func isSocket(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFSOCK
}

// catch takes the signals that mean the parent, and drops them.
func catch() {
	drop := make(chan os.Signal, 1)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(sig) {
			signal.Notify(drop, sig)
		}
	}
}

// hungUp reports whether nobody is at the other end any more.
func hungUp(fd int) bool {
	for {
		p := []unix.PollFd{{Fd: int32(fd)}}
		_, err := unix.Poll(p, 0)
		if err != unix.EINTR {
			return err == nil && p[0].Revents&unix.POLLHUP != 0
		}
	}
}

// closeStrays closes what is none of ours. The runtime's own descriptors are
// close-on-exec, like all that Go opens.
func closeStrays() {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return // no worker can be started without /proc
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || fd < fdStrays {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
}
