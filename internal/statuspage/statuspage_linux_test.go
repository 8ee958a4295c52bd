package statuspage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// roleVar makes this test program play a worker instead of running tests.
const roleVar = "STATUSPAGE_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		play(role)
	}
	os.Exit(m.Run())
}

// play opens the page on descriptor 3, directs the runtime's crash text there,
// starts call 7, and then does what the role says.
func play(role string) {
	m, err := Open(os.NewFile(3, "page"))
	if err != nil {
		panic(err)
	}
	f, err := m.CrashFile()
	if err != nil {
		panic(err)
	}
	if err := debug.SetCrashOutput(f, debug.CrashOptions{}); err != nil {
		panic(err)
	}
	m.Start(7)
	roles[role](m)
	os.Exit(0)
}

var roles = map[string]func(*Marker){
	"exit":  func(*Marker) {},
	"panic": func(*Marker) { panic("the panic's value") },
	"fatal": func(*Marker) {
		var mu sync.Mutex
		mu.Unlock()
	},
	"overflow": func(*Marker) { debug.SetMaxStack(1 << 20); recurse(1) },
	"segv":     func(*Marker) { readForbidden() },
	"kill":     func(*Marker) { unix.Kill(os.Getpid(), unix.SIGKILL) },
	"long":     func(*Marker) { panic(strings.Repeat("0123456789", 20_000)) },
	"attack":   attack,
	"inherit": func(*Marker) {
		out, err := exec.Command("/bin/sh", "-c", "ls -l /proc/$$/fd").CombinedOutput()
		if err != nil || bytes.Contains(out, []byte("verdigris-status")) {
			println(string(out))
			os.Exit(3)
		}
	},
}

//go:noinline
func recurse(n int) int { return n + recurse(n+1) }

// readForbidden reads memory that must not be read, far above page zero, which
// cannot be recovered from.
func readForbidden() byte {
	mem, err := unix.Mmap(-1, 0, 4096, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		panic(err)
	}
	return mem[0]
}

// attack tries everything that could hurt a parent that reads the page. It
// exits with a status that says what worked.
func attack(m *Marker) {
	fd := int(m.file.Fd())
	refused := func(status int, err error) {
		if !errors.Is(err, unix.EPERM) {
			println("not refused:", err)
			os.Exit(status)
		}
	}
	refused(10, unix.Ftruncate(fd, 0))
	refused(11, unix.Ftruncate(fd, Size-1))
	refused(12, unix.Ftruncate(fd, 2*Size))
	refused(13, unix.Fallocate(fd, 0, 0, 2*Size))
	_, err := unix.Pwrite(fd, []byte("x"), Size)
	refused(14, err)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE)
	refused(15, err)
	reopened, err := os.OpenFile("/proc/self/fd/3", os.O_RDWR|os.O_TRUNC, 0)
	if err == nil {
		refused(16, reopened.Truncate(0))
	}
	if n, _ := unix.Pwrite(fd, []byte("beyond"), Size-3); n != 3 {
		os.Exit(17)
	}
	punch := unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, Size-4096)
	if punch != nil {
		os.Exit(18)
	}
}

// run plays a role in a process of its own and returns its page and how it
// ended.
func run(t *testing.T, role string) (*Page, *os.ProcessState, string) {
	t.Helper()
	p := newPage(t)
	var stderr bytes.Buffer
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{roleVar + "=" + role, "GORACE=atexit_sleep_ms=0"}
	cmd.ExtraFiles = []*os.File{p.File()}
	cmd.Stderr = &stderr
	cmd.Run()
	return p, cmd.ProcessState, stderr.String()
}

func newPage(t testing.TB) *Page {
	t.Helper()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// reopen is the page as a worker has it: the same file by another descriptor.
func reopen(t testing.TB, p *Page) *Marker {
	t.Helper()
	fd, err := unix.FcntlInt(p.File().Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(os.NewFile(uintptr(fd), "page"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestCrashTextOfRealCrashes(t *testing.T) {
	for _, test := range []struct {
		role   string
		stderr string   // in what standard error got
		want   []string // in the crash text; none means that it is empty
	}{
		{"exit", "", nil},
		{"kill", "", nil},
		{"panic", "panic: the panic's value", []string{"panic: the panic's value", "goroutine 1 ["}},
		{"fatal", "fatal error: sync: unlock of unlocked mutex", []string{"goroutine 1 [", "unlockSlow"}},
		{"overflow", "fatal error: stack overflow", []string{"goroutine 1 ", "recurse"}},
		{"segv", "fatal error: fault", []string{"[signal SIGSEGV: segmentation violation", "readForbidden"}},
	} {
		t.Run(test.role, func(t *testing.T) {
			p, state, stderr := run(t, test.role)
			text := string(p.CrashText())
			for _, want := range test.want {
				if !strings.Contains(text, want) {
					t.Errorf("%v: the crash text lacks %q:\n%s\nstandard error:\n%s", state, want, text, stderr)
				}
			}
			if !strings.Contains(stderr, test.stderr) {
				t.Errorf("%v: standard error lacks %q:\n%s", state, test.stderr, stderr)
			}
			if test.want == nil && text != "" {
				t.Errorf("%v: crash text %q", state, text)
			}
			if p.Started() != 7 || p.Crashed() != (test.want != nil) {
				t.Errorf("started %d, crashed: %v", p.Started(), p.Crashed())
			}
			if len(text) < Size-crashAt && !strings.HasSuffix(stderr, text) {
				t.Errorf("the crash text is not the end of standard error:\n%s\n%s", text, stderr)
			}
		})
	}
}

// A text longer than the page is cut, and does no harm.
func TestLongCrashText(t *testing.T) {
	p, state, stderr := run(t, "long")
	text := p.CrashText()
	if len(text) != Size-crashAt || !bytes.HasPrefix(text, []byte("panic: 0123456789")) {
		t.Errorf("%d bytes of crash text: %.40q", len(text), text)
	}
	if state.ExitCode() != 2 || len(stderr) < 200_000 || p.Started() != 7 {
		t.Errorf("%v, %d bytes on standard error, started %d", state, len(stderr), p.Started())
	}
}

func TestAttack(t *testing.T) {
	p, state, stderr := run(t, "attack")
	if !state.Success() {
		t.Fatalf("%v: %s", state, stderr)
	}
	if got := p.Started(); got != 0 {
		t.Errorf("started %d after a hole was punched", got)
	}
	if info, err := p.File().Stat(); err != nil || info.Size() != Size {
		t.Errorf("size %v, %v", info, err)
	}
	text := p.CrashText()
	if len(text) != Size-crashAt || string(text[len(text)-3:]) != "bey" {
		t.Errorf("crash text of %d bytes", len(text))
	}
}

// The worker's children do not get the page.
func TestNotInherited(t *testing.T) {
	if _, state, stderr := run(t, "inherit"); !state.Success() {
		t.Errorf("%v: %s", state, stderr)
	}
}

func TestLayout(t *testing.T) {
	p := newPage(t)
	reopen(t, p).Start(0x0102030405060708)
	b := make([]byte, Size+1)
	n, _ := p.File().ReadAt(b, 0)
	if n != Size || !bytes.Equal(b[:8], []byte{8, 7, 6, 5, 4, 3, 2, 1}) {
		t.Errorf("%d bytes, beginning % x", n, b[:8])
	}
	if i := slices.IndexFunc(b[8:], func(c byte) bool { return c != 0 }); i >= 0 {
		t.Errorf("byte %d is not zero", i+8)
	}
}

func TestStartedIsTheHighest(t *testing.T) {
	p := newPage(t)
	m := reopen(t, p)
	if got := p.Started(); got != 0 {
		t.Errorf("started %d on a new page", got)
	}
	var all sync.WaitGroup
	for g := range uint64(8) {
		all.Go(func() {
			for i := range uint64(1000) {
				id := (999-i)*8 + g + 1
				m.Start(id)
				if got := p.Started(); got < id {
					t.Errorf("started %d after %d", got, id)
				}
			}
		})
	}
	all.Wait()
	if got := p.Started(); got != 8000 {
		t.Errorf("started %d, want 8000", got)
	}
}

func TestCrashTextKeepsInnerZeros(t *testing.T) {
	p := newPage(t)
	f, err := reopen(t, p).CrashFile()
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("a\x00b\x00\x00")
	if got := string(p.CrashText()); got != "a\x00b" {
		t.Errorf("crash text %q", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	memfd := func(size int64, flags, seals int) *os.File {
		fd, err := unix.MemfdCreate("test", flags|unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fd), "test")
		t.Cleanup(func() { f.Close() })
		f.Truncate(size)
		unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals)
		return f
	}
	r, w, _ := os.Pipe()
	defer r.Close()
	defer w.Close()
	closed, _, _ := os.Pipe()
	closed.Close()
	plain, _ := os.CreateTemp(t.TempDir(), "")
	defer plain.Close()
	plain.Truncate(Size)
	for name, f := range map[string]*os.File{
		"small":          memfd(Size-1, unix.MFD_ALLOW_SEALING, seals),
		"large":          memfd(Size+1, unix.MFD_ALLOW_SEALING, seals),
		"may shrink":     memfd(Size, unix.MFD_ALLOW_SEALING, unix.F_SEAL_GROW|unix.F_SEAL_SEAL),
		"may be sealed":  memfd(Size, unix.MFD_ALLOW_SEALING, unix.F_SEAL_GROW|unix.F_SEAL_SHRINK),
		"not sealable":   memfd(Size, 0, 0),
		"ordinary file":  plain,
		"pipe":           r,
		"closed":         closed,
		"cannot be read": os.Stdin,
	} {
		m, err := Open(f)
		var e *Error
		if m != nil || !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClose(t *testing.T) {
	before := descriptors(t)
	for range 3 {
		p := newPage(t)
		m := reopen(t, p)
		m.Start(5)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 1000 {
					m.Start(5)
					if p.Started() != 5 {
						t.Error("lost the count")
					}
					p.CrashText()
				}
			})
			all.Go(func() { p.Close(); m.Close() })
		}
		all.Wait()
		if p.CrashText() != nil || p.Started() != 5 || p.Close() != nil || m.Close() != nil {
			t.Error("not as before Close")
		}
	}
	if after := descriptors(t); after > before {
		t.Errorf("descriptors %d -> %d", before, after)
	}
}

func descriptors(t *testing.T) int {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestLittleEndian(t *testing.T) {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], littleEndian(1))
	if b != [8]byte{1} {
		t.Errorf("% x", b)
	}
}

func BenchmarkStart(b *testing.B) {
	m := reopen(b, newPage(b))
	id := uint64(0)
	for b.Loop() {
		id++
		m.Start(id)
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		p, err := New()
		if err != nil {
			b.Fatal(err)
		}
		p.Close()
	}
}

// What is kept is there as long as it has not been written, and never more than fits.
func TestKept(t *testing.T) {
	p := newPage(t)
	m, err := Open(dup(t, p))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if p.Kept() != nil || m.Keeps() {
		t.Error("something is kept from the start")
	}
	if !m.Keep([]byte("one")) || !m.Keep([]byte("two")) || string(p.Kept()) != "onetwo" || !m.Keeps() {
		t.Errorf("%q", p.Kept())
	}
	if m.Keep(make([]byte, crashAt-keptAt-5)) || string(p.Kept()) != "onetwo" {
		t.Error("more is kept than fits")
	}
	var out bytes.Buffer
	if err := m.Flush(&out); err != nil || out.String() != "onetwo" || p.Kept() != nil || m.Keeps() {
		t.Error(err, out.String(), p.Kept())
	}
	if !m.Keep(make([]byte, crashAt-keptAt)) || len(p.Kept()) != crashAt-keptAt || m.Keep([]byte{1}) {
		t.Error("not as much is kept as fits")
	}
	m.Start(9)
	if p.Started() != 9 {
		t.Error("the mark is not what it was set to")
	}
}

// A worker may claim any length.
func TestKeptIsNotBelieved(t *testing.T) {
	p := newPage(t)
	for _, n := range []uint64{crashAt - keptAt + 1, crashAt, Size, 1 << 32, 1<<64 - 1, 1<<64 - keptAt} {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], n)
		if _, err := unix.Pwrite(int(p.File().Fd()), word[:], 8); err != nil {
			t.Fatal(err)
		}
		if got := p.Kept(); got != nil {
			t.Errorf("%d bytes of %d", len(got), n)
		}
	}
}

// dup is the descriptor as a worker has it.
func dup(t *testing.T, p *Page) *os.File {
	t.Helper()
	fd, err := unix.Dup(int(p.File().Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "page")
}
