package landlock

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const badFD = unix.EBADFD

// Kernel is what a kernel has, as Probe found it.
type Kernel struct {
	ABI ABI
	// Errata has bit N-1 set when the kernel has the fix number N (landlock(7)).
	// It is 0 for kernels that cannot be asked.
	Errata uint32
	// Err is an *Error that says why ABI is 0, or nil.
	Err error
}

// Probe asks the kernel, without changing anything.
func Probe() Kernel {
	abi, errno := create(nil, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return Kernel{Err: &Error{Step: StepProbe, Err: errno}}
	}
	errata, errno := create(nil, unix.LANDLOCK_CREATE_RULESET_ERRATA)
	if errno != 0 {
		errata = 0
	}
	return Kernel{ABI: ABI(abi), Errata: uint32(errata)}
}

// create is the system call.
func create(attr *unix.LandlockRulesetAttr, flags uintptr) (int, syscall.Errno) {
	size := uintptr(0)
	if attr != nil {
		size = unsafe.Sizeof(*attr)
	}
	r, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(attr)), size, flags)
	return int(r), errno
}

// Ruleset is a plan with its paths opened. It may restrict many threads, one
// after the other or at once.
type Ruleset struct {
	file *os.File
	plan Plan
}

// Open makes a ruleset of the plan. Paths are opened now: for a rule, a path is
// the file that it is now. Any path that cannot be opened is an error, and then
// there is no ruleset.
func (p Plan) Open() (*Ruleset, error) {
	if p.Empty() {
		return nil, &Error{Step: StepCreate, Err: errNothing}
	}
	fd, errno := create(&unix.LandlockRulesetAttr{
		Handled_access_fs:  uint64(p.FS),
		Handled_access_net: uint64(p.Net),
		Scoped:             uint64(p.Scopes),
	}, 0)
	if errno != 0 {
		if k := Probe(); k.Err != nil {
			return nil, k.Err
		}
		return nil, &Error{Step: StepCreate, Err: errno}
	}
	r := &Ruleset{os.NewFile(uintptr(fd), "landlock ruleset"), p}
	if err := r.fill(); err != nil {
		r.file.Close()
		return nil, err
	}
	return r, nil
}

// Close releases the ruleset. Threads that it has restricted stay so.
func (r *Ruleset) Close() error { return r.file.Close() }

func (r *Ruleset) fill() error {
	for _, p := range r.plan.Paths {
		if err := r.allowPath(p); err != nil {
			return err
		}
	}
	for _, p := range r.plan.Ports {
		attr := portAttr{uint64(p.Allow), uint64(p.Number)}
		if errno := r.add(ruleNetPort, unsafe.Pointer(&attr)); errno != 0 {
			return &Error{Step: StepPortRule, Port: p.Number, Err: errno}
		}
	}
	return nil
}

func (r *Ruleset) allowPath(p Path) error {
	fd, err := p.open()
	if err != nil {
		return &Error{Step: StepPath, Path: p.Name, Err: err}
	}
	defer unix.Close(fd)
	allow, err := p.rights(fd)
	if err != nil {
		return &Error{Step: StepPath, Path: p.Name, Err: err}
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: uint64(allow), Parent_fd: int32(fd)}
	if errno := r.add(unix.LANDLOCK_RULE_PATH_BENEATH, unsafe.Pointer(&attr)); errno != 0 {
		return &Error{Step: StepPathRule, Path: p.Name, Err: errno}
	}
	return nil
}

func (p Path) open() (int, error) {
	flags := unix.O_PATH | unix.O_CLOEXEC
	if !p.Follow {
		flags |= unix.O_NOFOLLOW
	}
	for {
		fd, err := unix.Open(p.Name, flags, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// rights are those that make sense for what was opened. The kernel takes a link
// as a file, for which the rule would then be: nobody means that.
func (p Path) rights(fd int) (FS, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		return 0, errLink
	case unix.S_IFDIR:
		return p.Allow, nil
	}
	if p.Allow&fileFS == 0 {
		return 0, errNoRight
	}
	return p.Allow & fileFS, nil
}

// portAttr is struct landlock_net_port_attr, and ruleNetPort its type of rule
// (linux/landlock.h), which x/sys does not have.
type portAttr struct{ allowed, port uint64 }

const ruleNetPort = 2

func (r *Ruleset) add(kind uintptr, attr unsafe.Pointer) (errno syscall.Errno) {
	err := r.control(func(fd uintptr) {
		_, _, errno = unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, fd, kind, uintptr(attr), 0, 0, 0)
	})
	if err != nil {
		return unix.EBADF
	}
	return errno
}

func (r *Ruleset) control(f func(fd uintptr)) error {
	raw, err := r.file.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(f)
}

// Restrict restricts the calling thread, for ever, and gives up new privileges
// for it first (no_new_privs, prctl(2)). The goroutine stays locked to the thread
// from then on (runtime.LockOSThread; it must not unlock more often than it locks),
// and when it ends the thread ends: so no other goroutine ever runs restricted.
// Threads that the runtime makes are not restricted. Processes started by the goroutine are, from their first
// instruction, and so is a program that takes the place of this one
// (syscall.Exec), with all its threads.
func (r *Ruleset) Restrict() error {
	runtime.LockOSThread()
	restricted := false
	defer func() {
		if !restricted {
			runtime.UnlockOSThread()
		}
	}()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return &Error{Step: StepPrivileges, Err: err}
	}
	errno := syscall.Errno(0)
	err := r.control(func(fd uintptr) {
		_, _, errno = unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, uintptr(r.plan.quiet), 0)
	})
	if err == nil && errno != 0 {
		err = errno
	}
	if err != nil {
		return &Error{Step: StepRestrict, Err: err}
	}
	restricted = true
	return nil
}
