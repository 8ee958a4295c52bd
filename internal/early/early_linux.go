package early

import (
	"os"
	"os/signal"
	"strconv"
	"sync"
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
	go Catch() // while the program is initialised, on another processor if there is one
}

func isSocket(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFSOCK
}

// caught are the signals that mean the parent, but for those that it ignores itself.
var caught []os.Signal

// catch takes the signals that mean the parent, and drops them.
func catch() {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(sig) {
			caught = append(caught, sig)
			catchRaw(sig)
		}
	}
}

// Catch hands the signals that mean the parent over to package os/signal, so that
// they stay caught when somebody else asks for them there and then stops. It takes
// longer than all else that this package does (0.1 to 0.2 ms): os/signal needs a
// thread and two goroutines. So it is begun here, and Init waits for it before
// anybody's code runs. It may be called from any goroutine, and more than
// once; each call returns when it is done.
var Catch = sync.OnceFunc(func() {
	if len(caught) > 0 {
		signal.Notify(make(chan os.Signal, 1), caught...)
	}
})

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
	if closeCounted() {
		return
	}
	for _, fd := range listed() {
		closeStray(fd)
	}
}

// closeCounted goes through the lowest numbers until it has seen as many
// descriptors as there are, which takes a fifth of the time of a look into the
// directory: 15 us. It reports false when it has not seen all, or does not know how
// many there are: the size of the directory says so since Linux 6.2.
func closeCounted() bool {
	const highest = 256
	var dir unix.Stat_t
	if unix.Stat("/proc/self/fd", &dir) != nil {
		return false
	}
	left := dir.Size
	for fd := 0; fd < highest && left > 0; fd++ {
		if closeStray(fd) {
			left--
		}
	}
	return left == 0 && dir.Size > 0
}

// closeStray closes a descriptor that is a stray, and reports whether there was one.
func closeStray(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err == nil && fd >= fdStrays && flags&unix.FD_CLOEXEC == 0 {
		unix.Close(fd)
	}
	return err == nil
}

// listed are all descriptors.
func listed() (fds []int) {
	dir, err := unix.Open("/proc/self/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil // no worker can be started without /proc
	}
	defer unix.Close(dir)
	buf := make([]byte, 4<<10)
	for {
		n, err := unix.Getdents(dir, buf)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			return fds
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			if fd, err := strconv.Atoi(name); err == nil {
				fds = append(fds, fd)
			}
		}
	}
}
