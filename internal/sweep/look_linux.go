package sweep

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// entry is a process's directory in /proc. Its inode tells it from another
// process that gets the same number later.
type entry struct {
	pid   int
	inode uint64
}

// eyes see one sweep through: they remember who has turned out to be a stranger,
// and who has been killed.
type eyes struct {
	strangers map[entry]bool
	killed    map[entry]bool
	executing map[entry]bool // those that were being executed in the last look
	buf       []byte
}

func newEyes() *eyes {
	return &eyes{strangers: map[entry]bool{}, killed: map[entry]bool{}, executing: map[entry]bool{}, buf: make([]byte, 64<<10)}
}

// look goes once through /proc, kills whom the searches are for, and notes them
// there.
func (e *eyes) look(searches []*search) (sight, error) {
	for _, s := range searches {
		s.found = nil
	}
	proc, err := openDir(unix.AT_FDCWD, "/proc")
	if err != nil {
		return unsure, &os.PathError{Op: "open", Path: "/proc", Err: err}
	}
	defer unix.Close(proc)
	return e.over(proc, searches)
}

// over looks at every process in the directory proc. Only the youngest can be
// about to fork and go, so the highest numbers come first.
//
// A process shows no environment from when its new memory is set up until that
// is filled, and on a machine with too much to do that has taken longer than all
// looks together. So one that was in it in the look before and still is has to
// be waited for. A new one need not be: it has been forked by one that was seen.
func (e *eyes) over(proc int, searches []*search) (sight, error) {
	entries, err := e.list(proc)
	if err != nil {
		return unsure, err
	}
	self, _ := os.Readlink("/proc/self")
	before, saw := e.executing, sure
	e.executing = map[entry]bool{}
	for _, p := range slices.Backward(entries) {
		if e.strangers[p] || strconv.Itoa(p.pid) == self {
			continue
		}
		seen, err := e.glance(proc, p, searches)
		switch {
		case err == unix.EMFILE || err == unix.ENFILE: // others are that process's own
			return unsure, os.NewSyscallError("open", err)
		case e.executing[p] && before[p]:
			saw = pending
		case !seen:
			saw = max(saw, unsure)
		}
	}
	return saw, nil
}

// list reads the processes' directories.
func (e *eyes) list(proc int) (all []entry, err error) {
	for {
		n, err := unix.Getdents(proc, e.buf)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			return all, err
		}
		all = appendEntries(all, e.buf[:n])
	}
}

// appendEntries reads a sequence of struct linux_dirent64, see getdents(2).
func appendEntries(all []entry, b []byte) []entry {
	const name = 19 // where it begins: after inode (8), offset (8), length (2), type (1)
	for len(b) > name {
		inode, size := binary.NativeEndian.Uint64(b), binary.NativeEndian.Uint16(b[16:])
		text, _, _ := bytes.Cut(b[name:size], []byte{0})
		if pid, err := strconv.Atoi(string(text)); err == nil {
			all = append(all, entry{pid, inode})
		}
		b = b[size:]
	}
	return all
}

// glance looks at one process and kills it if it is searched for. seen says
// that there is no doubt about it.
func (e *eyes) glance(proc int, p entry, searches []*search) (seen bool, err error) {
	dir := strconv.Itoa(p.pid)
	environ, err := e.read(proc, dir+"/environ")
	switch {
	case err == unix.EACCES || err == unix.EPERM:
		e.strangers[p] = true
		return true, nil
	case environ == "" && (err == nil || err == unix.ESRCH): // newer kernels say ESRCH
		return e.without(proc, p, searches)
	case err != nil: // ENOENT: it has gone, and may have forked before
		return false, err
	case len(match(environ, searches)) > 0:
		return e.kill(proc, p, searches)
	}
	e.strangers[p] = true
	return true, nil
}

// without deals with a process that shows no environment: a thread of the
// kernel, a zombie, one that is just being executed, one whose first thread has
// ended before the others, or one that really has none.
func (e *eyes) without(proc int, p entry, searches []*search) (seen bool, err error) {
	s, err := e.stat(proc, p.pid)
	switch {
	case err != nil:
		return false, nil
	case s.zombie && s.threads > 1:
		return e.kill(proc, p, searches)
	case s.zombie && e.killed[p]:
		reap(p.pid, s.parent)
	case s.zombie, s.kernel:
		e.strangers[p] = true
	}
	if s.executing {
		e.executing[p] = true
	}
	return !s.executing, nil
}

// kill holds a process by its directory, makes sure that it is the one, and
// kills it. seen is false when it has gone meanwhile.
func (e *eyes) kill(proc int, p entry, searches []*search) (seen bool, err error) {
	held, err := openDir(proc, strconv.Itoa(p.pid))
	if err != nil {
		return false, err
	}
	defer unix.Close(held)
	matches := match(e.anyEnviron(held), searches)
	if len(matches) == 0 {
		return false, nil
	}
	e.killed[p] = true
	err = unix.PidfdSendSignal(held, unix.SIGKILL, nil, 0)
	for _, s := range matches {
		s.found = append(s.found, p.pid)
		if err != nil && err != unix.ESRCH {
			s.failed = os.NewSyscallError("pidfd_send_signal", err)
		}
	}
	return true, nil
}

// reap takes the exit status of a zombie that was killed here and has become
// this process's own child, as orphans do when it is process 1 or a subreaper.
// Nobody else knows of it.
func reap(pid, parent int) {
	if parent == os.Getpid() && ownProc() {
		_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
	}
}

// ownProc reports whether /proc numbers processes as this process's own PID
// namespace does.
func ownProc() bool {
	self, err := os.Readlink("/proc/self")
	return err == nil && self == strconv.Itoa(os.Getpid())
}

// anyEnviron reads a process's environment, from whichever of its threads has one:
// the first may have ended before the others.
func (e *eyes) anyEnviron(held int) string {
	environ, err := e.read(held, "environ")
	if environ != "" || err != nil && err != unix.ESRCH {
		return environ
	}
	tasks, err := openDir(held, "task")
	if err != nil {
		return ""
	}
	defer unix.Close(tasks)
	threads, _ := e.list(tasks)
	for _, t := range threads {
		if environ, err := e.read(tasks, strconv.Itoa(t.pid)+"/environ"); err == nil && environ != "" {
			return environ
		}
	}
	return ""
}

func openDir(at int, name string) (int, error) {
	return unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// read reads a file of the kernel.
func (e *eyes) read(at int, name string) (string, error) {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var all []byte
	for {
		n, err := unix.Read(fd, e.buf)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return "", err
		case n == 0:
			return string(all), nil
		default:
			all = append(all, e.buf[:n]...)
		}
	}
}

// stat is what /proc/PID/stat tells, see proc_pid_stat(5).
type stat struct {
	parent    int
	threads   int
	zombie    bool
	kernel    bool // a thread of the kernel
	executing bool // its new memory is being set up: no environment yet
}

func (e *eyes) stat(proc, pid int) (s stat, err error) {
	text, err := e.read(proc, strconv.Itoa(pid)+"/stat")
	if err != nil {
		return s, err
	}
	return parseStat(text)
}

// The fields of /proc/PID/stat after the name, which may have anything in it,
// counted from there: state is 0.
const (
	statParent  = 1
	statFlags   = 6
	statThreads = 17
	statEnvEnd  = 48
	flagKernel  = 0x00200000 // PF_KTHREAD
)

func parseStat(text string) (s stat, err error) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) <= statEnvEnd {
		return s, io.ErrUnexpectedEOF
	}
	number := func(i int) uint64 { n, _ := strconv.ParseUint(fields[i], 10, 64); return n }
	s.parent, s.threads = int(number(statParent)), int(number(statThreads))
	s.zombie = strings.ContainsAny(fields[0], "ZX")
	s.kernel = number(statFlags)&flagKernel != 0
	s.executing = !s.zombie && !s.kernel && number(statEnvEnd) == 0
	return s, nil
}
