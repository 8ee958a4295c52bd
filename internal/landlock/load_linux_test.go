package landlock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

var bg = context.Background()

// secret cannot be read under closed.
const secret = "/etc/passwd"

// closed denies all about files, but for this program and what it loads.
func closed() Policy {
	p := Policy{FS: Probe().ABI.FS(), Paths: []Path{{Name: "/proc/self/exe", Allow: Execute | ReadFile, Follow: true}}}
	for _, dir := range []string{"/lib", "/lib64", "/usr/lib", "/etc/ld.so.cache"} {
		if _, err := os.Stat(dir); err == nil {
			p.Paths = append(p.Paths, Path{Name: dir, Allow: Execute | ReadFile, Follow: true})
		}
	}
	return p
}

func readable() bool {
	fd, err := unix.Open(secret, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	unix.Close(fd)
	return err == nil
}

// everywhere asks on many threads at once how many of them are restricted.
func everywhere() (restricted, threads int) {
	const n = 32
	var mu sync.Mutex
	var all, met sync.WaitGroup
	met.Add(n)
	for range n {
		all.Go(func() {
			runtime.LockOSThread()
			met.Done()
			met.Wait() // all hold a thread now
			can := readable()
			mu.Lock()
			defer mu.Unlock()
			if threads++; !can {
				restricted++
			}
		})
	}
	all.Wait()
	return restricted, threads
}

// The restricted thread is nobody else's, also after its goroutine has ended.
func TestOtherThreadsStayFree(t *testing.T) {
	kernel(t)
	for _, uid := range users() {
		if out := play(t, uid, "others"); out != "inside false, outside 0 of 32, after 0 of 32\n" {
			t.Errorf("%d: %s", uid, out)
		}
	}
}

func playOthers([]string) error {
	ask, end := make(chan error), make(chan struct{})
	inside := true
	var all sync.WaitGroup
	all.Go(func() {
		runtime.LockOSThread()
		err := restrict(closed())
		inside = readable()
		runtime.UnlockOSThread() // its own lock: the thread stays the goroutine's
		runtime.Gosched()
		ask <- err
		<-end
	})
	if err := <-ask; err != nil {
		return err
	}
	outside, n := everywhere()
	close(end)
	all.Wait()
	after, m := everywhere()
	fmt.Printf("inside %t, outside %d of %d, after %d of %d\n", inside, outside, n, after, m)
	return nil
}

// What the restricted thread starts is restricted before its first package
// variable is initialised.
func TestChildrenOfTheThread(t *testing.T) {
	kernel(t)
	for _, uid := range users() {
		const want = "early true, 0 of 32\nearly false, 32 of 32\n"
		if out := play(t, uid, "spawner"); out != want {
			t.Errorf("%d: %s", uid, out)
		}
	}
}

func playSpawner([]string) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	run := func() error {
		cmd := self(bg, os.Getuid(), "early")
		cmd.Env = append(cmd.Env, earlyVar+"="+secret)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = null, os.Stdout, os.Stderr
		return cmd.Run()
	}
	if err := run(); err != nil {
		return err
	}
	done := make(chan error)
	go func() {
		if err := restrict(closed()); err != nil {
			done <- err
			return
		}
		done <- run()
	}()
	return <-done
}

func playEarly([]string) error {
	restricted, n := everywhere()
	fmt.Printf("early %t, %d of %d\n", early == nil, restricted, n)
	return nil
}

// A program that restricts itself and takes its own place is restricted whole.
func TestExec(t *testing.T) {
	kernel(t)
	for _, uid := range users() {
		if out := play(t, uid, "exec"); out != "early false, 32 of 32\n" {
			t.Errorf("%d: %s", uid, out)
		}
	}
}

func playExec([]string) error {
	if err := restrict(closed()); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args, []string{roleVar + "=early", earlyVar + "=" + secret, "GORACE=atexit_sleep_ms=0"})
}

// A rule is about a link only where it says so.
func TestFinalLinks(t *testing.T) {
	abi := kernel(t)
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	must(t, os.Symlink(secret, link))
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	must(t, os.Symlink(dir, filepath.Join(dir, "self")))
	for _, p := range []struct {
		Path
		refused bool
	}{
		{Path{Name: link, Allow: ReadFile}, true},
		{Path{Name: link, Allow: ReadFile, Follow: true}, false},
		{Path{Name: filepath.Join(dir, "self", "sub"), Allow: ReadFile}, false},
	} {
		plan, err := Policy{FS: AllFS, Paths: []Path{p.Path}}.Compile(abi)
		must(t, err)
		r, err := plan.Open()
		if r != nil {
			r.Close()
		}
		if e := new(Error); (err != nil) != p.refused || p.refused && (!errors.As(err, &e) || e.Path != link || !errors.Is(err, errLink)) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

// A ruleset that is not exactly the plan is none.
func TestOpenRefuses(t *testing.T) {
	abi := kernel(t)
	before := fds(t)
	for name, c := range map[string]struct {
		plan Plan
		step Step
		err  error
	}{
		"nothing":       {Plan{ABI: abi}, StepCreate, errNothing},
		"newer":         {Plan{ABI: 99, FS: 1 << 40}, StepCreate, unix.EINVAL},
		"missing":       {Plan{FS: ReadFile, Paths: []Path{{Name: "/nonexistent/x", Allow: ReadFile}}}, StepPath, unix.ENOENT},
		"no dir":        {Plan{FS: ReadDir, Paths: []Path{{Name: secret, Allow: ReadDir}}}, StepPath, errNoRight},
		"not handled":   {Plan{FS: ReadFile, Paths: []Path{{Name: "/", Allow: WriteFile}}}, StepPathRule, unix.EINVAL},
		"no path":       {Plan{FS: ReadFile, Paths: []Path{{Name: "/proc/self/ns/mnt", Allow: ReadFile, Follow: true}}}, StepPathRule, unix.EBADFD},
		"port, no net":  {Plan{FS: ReadFile, Ports: []Port{{1, BindTCP}}}, StepPortRule, unix.EINVAL},
		"second is bad": {Plan{FS: ReadFile, Paths: []Path{{Name: "/", Allow: ReadFile}, {Name: "/nonexistent", Allow: ReadFile}}}, StepPath, unix.ENOENT},
	} {
		r, err := c.plan.Open()
		var e *Error
		if r != nil || !errors.As(err, &e) || e.Step != c.step || !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := fds(t); after != before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

func fds(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}

// What a kernel says that has no Landlock, or hides it.
func TestKernelsWithoutLandlock(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		unix.ENOSYS:     "CONFIG_SECURITY_LANDLOCK",
		unix.EOPNOTSUPP: "lsm=",
		unix.EPERM:      "filter",
	} {
		err := error(&Error{Step: StepProbe, Err: errno})
		if !strings.Contains(err.Error(), want) || !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
	}
}

// The numbers that are written down here are the kernel's.
func TestNumbersOfTheKernel(t *testing.T) {
	for name, n := range map[string][2]uint64{
		"execute":      {uint64(Execute), unix.LANDLOCK_ACCESS_FS_EXECUTE},
		"write":        {uint64(WriteFile), unix.LANDLOCK_ACCESS_FS_WRITE_FILE},
		"read":         {uint64(ReadFile), unix.LANDLOCK_ACCESS_FS_READ_FILE},
		"read dir":     {uint64(ReadDir), unix.LANDLOCK_ACCESS_FS_READ_DIR},
		"remove dir":   {uint64(RemoveDir), unix.LANDLOCK_ACCESS_FS_REMOVE_DIR},
		"remove file":  {uint64(RemoveFile), unix.LANDLOCK_ACCESS_FS_REMOVE_FILE},
		"char":         {uint64(MakeChar), unix.LANDLOCK_ACCESS_FS_MAKE_CHAR},
		"dir":          {uint64(MakeDir), unix.LANDLOCK_ACCESS_FS_MAKE_DIR},
		"reg":          {uint64(MakeReg), unix.LANDLOCK_ACCESS_FS_MAKE_REG},
		"sock":         {uint64(MakeSock), unix.LANDLOCK_ACCESS_FS_MAKE_SOCK},
		"fifo":         {uint64(MakeFifo), unix.LANDLOCK_ACCESS_FS_MAKE_FIFO},
		"block":        {uint64(MakeBlock), unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK},
		"sym":          {uint64(MakeSym), unix.LANDLOCK_ACCESS_FS_MAKE_SYM},
		"refer":        {uint64(Refer), unix.LANDLOCK_ACCESS_FS_REFER},
		"truncate":     {uint64(Truncate), unix.LANDLOCK_ACCESS_FS_TRUNCATE},
		"ioctl":        {uint64(IoctlDev), unix.LANDLOCK_ACCESS_FS_IOCTL_DEV},
		"resolve unix": {uint64(ResolveUnix), unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX},
		"bind":         {uint64(BindTCP), unix.LANDLOCK_ACCESS_NET_BIND_TCP},
		"connect":      {uint64(ConnectTCP), unix.LANDLOCK_ACCESS_NET_CONNECT_TCP},
		"abstract":     {uint64(AbstractUnix), unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET},
		"signal":       {uint64(Signals), unix.LANDLOCK_SCOPE_SIGNAL},
		"quiet":        {uint64(ABI(7).quiet()), unix.LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF | unix.LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF},
	} {
		if n[0] != n[1] {
			t.Errorf("%s: %#x here, %#x in x/sys", name, n[0], n[1])
		}
	}
}
