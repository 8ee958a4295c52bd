package spawn

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Start starts the command. When it returns without an error the program has
// been executed, and the process will be reaped whether or not anybody looks
// at it. A failure is an *Error, and leaves nothing behind.
func Start(c Command) (*Process, error) {
	if err := c.check(); err != nil {
		return nil, &Error{OpCheck, err}
	}
	h, err := hold()
	if err != nil {
		return nil, err
	}
	files, err := c.descriptors(h.null)
	if err != nil {
		return nil, &Error{OpFiles, err}
	}
	exe := h.exe
	if c.Exe != nil {
		exe = c.Exe
	}
	var pid, pidfd int
	var shared int64
	onCloneThread(func() {
		pid, pidfd, err = forkExec(exe, files, c)
		shared = ownPeak() // after the exec, so not below what the worker has shared with us until then
	})
	runtime.KeepAlive(c)
	if err != nil {
		return nil, c.startError(err)
	}
	return newProcess(pid, pidfd, shared)
}

func (c Command) check() error {
	if len(c.Argv) == 0 {
		return errors.New("Argv is empty; Argv[0] is the worker's name")
	}
	for i, f := range c.Files {
		if f == nil {
			return fmt.Errorf("Files[%d] is nil", i)
		}
	}
	return nil
}

// descriptors returns the worker's descriptors from 0 on.
func (c Command) descriptors(null *os.File) ([]uintptr, error) {
	files := append([]*os.File{null, orNull(c.Stdout, null), orNull(c.Stderr, null)}, c.Files...)
	fds := make([]uintptr, len(files))
	for i, f := range files {
		fds[i] = f.Fd()
		if err := unix.SetNonblock(int(fds[i]), false); err != nil {
			return nil, fmt.Errorf("descriptor %d: %w", i, err)
		}
	}
	return fds, nil
}

func orNull(f, null *os.File) *os.File {
	if f == nil {
		return null
	}
	return f
}

// forkExec runs on the cloning thread. /proc/self/fd/N is resolved while the
// descriptor is still open in the clone; close-on-exec closes it afterwards.
func forkExec(exe *os.File, files []uintptr, c Command) (pid, pidfd int, err error) {
	fd, err := dupAbove(exe, files)
	if err != nil {
		return 0, -1, err
	}
	defer unix.Close(fd)
	leave, err := c.enter()
	if err != nil {
		return 0, -1, err
	}
	sys := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, PidFD: &pidfd}
	if c.Cgroup != nil {
		sys.UseCgroupFD, sys.CgroupFD = true, int(c.Cgroup.Fd())
	}
	if c.PIDNamespace {
		sys.Cloneflags = unix.CLONE_NEWPID
	}
	attr := &syscall.ProcAttr{Dir: c.Dir, Env: c.Env, Files: files, Sys: sys}
	path := "/proc/self/fd/" + strconv.Itoa(fd)
	pid, err = syscall.ForkExec(path, c.Argv, attr)
	if err == unix.EPERM && c.PIDNamespace {
		ownUser(sys)
		pid, err = syscall.ForkExec(path, c.Argv, attr)
	}
	if left := leave(); left != nil && err == nil { // the next clone would be born there too
		unix.Close(pidfd)
		discard(pid)
		err = left
	}
	return pid, pidfd, err
}

func (c Command) enter() (leave func() error, err error) {
	if c.Enter == nil {
		return func() error { return nil }, nil
	}
	return c.Enter()
}

// ownUser adds a user namespace with nobody but this program's user and group in
// it: whoever makes one may make other namespaces below it (user_namespaces(7)).
func ownUser(sys *syscall.SysProcAttr) {
	uid, gid := os.Geteuid(), os.Getegid()
	sys.Cloneflags |= unix.CLONE_NEWUSER
	sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
	sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
}

// dupAbove duplicates the program's descriptor to a number that the clone will
// not overwrite while it puts the files into their places: that touches the
// numbers up to len(files), and moves at most each of them and one pipe to
// numbers right above the highest.
func dupAbove(exe *os.File, files []uintptr) (int, error) {
	low := len(files)
	for _, fd := range files {
		low = max(low, int(fd)+1)
	}
	fd, err := unix.FcntlInt(exe.Fd(), unix.F_DUPFD_CLOEXEC, low+len(files)+2)
	if err == unix.EINVAL { // the number is above the limit
		err = unix.EMFILE
	}
	return fd, err
}

// startError finds out which of its steps has failed, as far as ForkExec lets
// us know.
func (c Command) startError(err error) error {
	if c.Dir != "" {
		if _, dirErr := os.Stat(c.Dir); dirErr != nil {
			return &Error{OpChdir, dirErr}
		}
	}
	return &Error{OpStart, err}
}
