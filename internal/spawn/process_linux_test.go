package spawn

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestHowItEnded(t *testing.T) {
	for _, test := range []struct {
		script string
		want   string
	}{
		{"exit 0", "exit status 0"},
		{"exit 2", "exit status 2"},
		{"exit 255", "exit status 255"},
		{"kill -KILL $$", "signal: killed"},
		{"ulimit -c 0; kill -SEGV $$", "signal: segmentation fault"},
		{"ulimit -c 0; kill -ABRT $$", "signal: aborted"},
		{"kill -TERM $$", "signal: terminated"},
	} {
		t.Run(test.script, func(t *testing.T) {
			checkLeaks(t)
			p := start(t, sh(t, test.script))
			if got := end(t, p).String(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestEndingOfTheKernel(t *testing.T) {
	for _, test := range []struct {
		e    ending
		want State
		text string
	}{
		{ending{cldExited, 9, 255}, State{Kind: Exited, Code: 255}, "exit status 255"},
		{ending{cldKilled, 9, 9}, State{Kind: Signaled, Signal: syscall.SIGKILL}, "signal: killed"},
		{ending{cldDumped, 9, 6}, State{Kind: Signaled, Signal: syscall.SIGABRT, Core: true}, "signal: aborted (core dumped)"},
		{ending{77, 9, 6}, State{}, "unknown exit status"},
	} {
		if got := test.e.state(); got != test.want || got.String() != test.text {
			t.Errorf("%v: %+v %q, want %+v %q", test.e, got, got, test.want, test.text)
		}
	}
}

func TestUsage(t *testing.T) {
	checkLeaks(t)
	p := start(t, sh(t, "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done"))
	s := end(t, p)
	if cpu := s.User + s.System; cpu <= 0 || cpu > limit {
		t.Errorf("processor time %v", cpu)
	}
}

// The kernel's figure begins with this program's own size, which is not the worker's.
func TestMaxRSSIsTheWorkersOwn(t *testing.T) {
	checkLeaks(t)
	const size = 64 << 20
	ballast := make([]byte, size)
	for i := range ballast {
		ballast[i] = byte(i)
	}
	if s := end(t, start(t, sh(t, "exit 0"))); s.MaxRSS != 0 {
		t.Errorf("a shell is said to have used %d bytes", s.MaxRSS)
	}
	runtime.KeepAlive(ballast)
	own := ownPeak()
	grown := fmt.Sprintf("x=$(head -c %d /dev/zero | tr '\\0' x); exit ${#x}", own+own/4)
	if s := end(t, start(t, sh(t, grown))); s.MaxRSS <= own || s.MaxRSS > 8*own {
		t.Errorf("a shell with %d bytes is said to have used %d", own+own/4, s.MaxRSS)
	}
	for _, test := range []struct{ peak, shared, want int64 }{
		{0, 0, 0}, {100 << 20, 100 << 20, 0}, {105 << 20, 100 << 20, 0}, {200 << 20, 100 << 20, 200 << 20}, {8 << 20, 0, 8 << 20},
	} {
		if got := ownOf(test.peak, test.shared); got != test.want {
			t.Errorf("%d of which %d shared: %d, want %d", test.peak, test.shared, got, test.want)
		}
	}
}

func TestSignal(t *testing.T) {
	checkLeaks(t)
	p := start(t, sh(t, "exec sleep 1000"))
	must(t, p.Signal(0))
	select {
	case <-p.Done():
		t.Fatal("ended by itself")
	default:
	}
	must(t, p.Signal(syscall.SIGTERM))
	if s := end(t, p); s.Signal != syscall.SIGTERM {
		t.Errorf("ended with %v", s)
	}
	for _, send := range []func(syscall.Signal) error{p.Signal, p.SignalGroup} {
		if err := send(syscall.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("after the end: %v", err)
		}
	}
}

func TestKillOfAStoppedProcess(t *testing.T) {
	checkLeaks(t)
	r, w := pipe(t)
	p := start(t, sh(t, "echo x >&3; exec 3>&-; kill -STOP $$; exit 1", w))
	w.Close()
	readAll(t, r)
	must(t, p.Signal(syscall.SIGKILL))
	if s := end(t, p); s.Signal != syscall.SIGKILL {
		t.Errorf("ended with %v", s)
	}
}

// withEachKernel runs a test as it is here, and as on a kernel before 6.9.
func withEachKernel(t *testing.T, test func(t *testing.T)) {
	t.Run("now", test)
	t.Run("before 6.9", func(t *testing.T) {
		defer func(old int) { toGroup = old }(toGroup)
		toGroup = 1 << 20 // no such flag: EINVAL
		test(t)
	})
}

// The process group dies with its leader, whoever is in it.
func TestGroupDiesWithLeader(t *testing.T) {
	withEachKernel(t, func(t *testing.T) {
		checkLeaks(t)
		r, w := pipe(t)
		p := start(t, sh(t, "(trap '' TERM HUP INT; sleep 1000; sleep 1000) & (sleep 1000) & exit 4", w))
		w.Close()
		if s := end(t, p); s.Code != 4 {
			t.Errorf("ended with %v", s)
		}
		readAll(t, r)
	})
}

func TestSignalGroup(t *testing.T) {
	withEachKernel(t, func(t *testing.T) {
		checkLeaks(t)
		r, w := pipe(t)
		p := start(t, sh(t, `trap : USR1
			(trap 'echo grandchild; exit' USR1; echo ready; while :; do sleep 0.01; done) >&3 &
			exec 3>&-; wait; wait`, w))
		w.Close()
		lines := bufio.NewReader(r)
		expectLine(t, lines, "ready")
		must(t, p.SignalGroup(syscall.SIGUSR1))
		expectLine(t, lines, "grandchild")
		end(t, p)
	})
}

// A leader that has gone over to another group is still hit, and that group
// is not.
func TestSignalGroupAfterDesertion(t *testing.T) {
	withEachKernel(t, func(t *testing.T) {
		checkLeaks(t)
		r, w := pipe(t)
		p := start(t, self("desert", w))
		w.Close()
		expectLine(t, bufio.NewReader(r), fmt.Sprint("in group ", syscall.Getpgrp()))
		must(t, p.SignalGroup(syscall.SIGTERM))
		if s := end(t, p); s.Signal != syscall.SIGTERM {
			t.Errorf("ended with %v", s)
		}
	})
}

func expectLine(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	got, err := r.ReadString('\n')
	if err != nil || got != want+"\n" {
		t.Fatalf("read %q, %v; want %q", got, err, want)
	}
}

// All methods from many goroutines while the process dies.
func TestConcurrentUse(t *testing.T) {
	checkLeaks(t)
	for range 20 {
		p := start(t, sh(t, "exit 0"))
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				for p.SignalGroup(0) == nil && p.Signal(0) == nil {
					runtime.Gosched()
				}
				if s := p.State(); s.Kind != Exited {
					t.Errorf("ended with %v", s)
				}
			})
		}
		all.Wait()
	}
}

// Waiting costs no threads.
func TestWaitingIsCheap(t *testing.T) {
	checkLeaks(t)
	before := len(threads(t))
	for range 100 {
		start(t, Command{Exe: open(t, "/bin/sleep"), Argv: []string{"sleep", "1000"}})
	}
	if now := len(threads(t)); now > before+20 {
		t.Errorf("threads %d -> %d", before, now)
	}
}

// noPoller is what the runtime's poller answers for files that it refuses.
type noPoller struct{ syscall.RawConn }

func (noPoller) Read(func(uintptr) bool) error { return errors.ErrUnsupported }

func TestWaitingWithoutPoller(t *testing.T) {
	checkLeaks(t)
	c := sh(t, "sleep 0.05; exit 6")
	h, err := hold()
	must(t, err)
	files, err := c.descriptors(h.null)
	must(t, err)
	var pid, pidfd int
	onCloneThread(func() { pid, pidfd, err = forkExec(c.Exe, files, c) })
	must(t, err)
	p, err := wrap(pid, pidfd)
	must(t, err)
	p.conn = noPoller{p.conn}
	go p.wait()
	must(t, p.Signal(0))
	if s := end(t, p); s.Kind != Exited || s.Code != 6 {
		t.Errorf("ended with %v", s)
	}
}

// A process that cannot be watched is not left alone.
func TestUnwatchableProcessIsKilled(t *testing.T) {
	checkLeaks(t)
	r, w := pipe(t)
	c := sh(t, "(echo ready >&3; exec sleep 1000) & sleep 1000", w)
	h, err := hold()
	must(t, err)
	files, err := c.descriptors(h.null)
	must(t, err)
	var pid, pidfd int
	onCloneThread(func() { pid, pidfd, err = forkExec(c.Exe, files, c) })
	must(t, err)
	w.Close()
	lines := bufio.NewReader(r)
	expectLine(t, lines, "ready")
	must(t, unix.Close(pidfd))
	var e *Error
	if _, err := newProcess(pid, -1, 0); !errors.As(err, &e) || e.Op != OpWatch {
		t.Errorf("error %v", err)
	}
	if _, err := io.ReadAll(lines); err != nil {
		t.Error(err)
	}
}

// Threads of this program may end as they like: workers live on.
func TestThreadsEnd(t *testing.T) {
	checkLeaks(t)
	const workers = 20
	type worker struct{ ask, answer *os.File }
	var (
		mu  sync.Mutex
		all []worker
		ids []int
	)
	var starters sync.WaitGroup
	for i := range 200 + workers {
		starters.Go(func() {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			mu.Lock()
			defer mu.Unlock()
			ids = append(ids, unix.Gettid())
			if i >= workers {
				return
			}
			in, ask := pipe(t)
			answer, out := pipe(t)
			start(t, sh(t, "read x <&3 && echo $x >&4", in, out))
			in.Close()
			out.Close()
			all = append(all, worker{ask, answer})
		})
	}
	starters.Wait()
	for range 49 { // F24: ten thousand threads in all
		var locked sync.WaitGroup
		for range 200 {
			locked.Go(runtime.LockOSThread)
		}
		locked.Wait()
	}
	if !eventually(func() bool { return noneOf(ids, threads(t)) }) {
		t.Fatal("threads of ended goroutines are still there")
	}
	for i, w := range all {
		fmt.Fprintln(w.ask, i)
		if got := readAll(t, w.answer); got != fmt.Sprintln(i) {
			t.Errorf("worker %d answered %q", i, got)
		}
	}
}

func threads(t *testing.T) map[int]bool {
	names, err := filepath.Glob("/proc/self/task/*")
	must(t, err)
	all := map[int]bool{}
	for _, name := range names {
		id, _ := strconv.Atoi(filepath.Base(name))
		all[id] = true
	}
	return all
}

// noneOf reports whether none of the ids is in all. The main thread is never
// ended by the runtime.
func noneOf(ids []int, all map[int]bool) bool {
	for _, id := range ids {
		if all[id] && id != os.Getpid() {
			return false
		}
	}
	return true
}

// A parent that is killed takes its worker along: the worker is the last to
// hold the pipe.
func TestParentKilled(t *testing.T) {
	checkLeaks(t)
	r, w := pipe(t)
	p := start(t, self("parent", w))
	w.Close()
	lines := bufio.NewReader(r)
	expectLine(t, lines, "ready")
	must(t, p.Signal(syscall.SIGKILL))
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("read %q, %v", rest, err)
	}
}

// The same at any moment of a start. SPAWN_TEST_STORM is how many rounds.
func TestParentKilledWhileStarting(t *testing.T) {
	checkLeaks(t)
	rounds := 5
	if n, err := strconv.Atoi(os.Getenv("SPAWN_TEST_STORM")); err == nil {
		rounds = n
	}
	for range rounds {
		r, w := pipe(t)
		p := start(t, self("storm", w))
		w.Close()
		lines := bufio.NewReader(r)
		expectLine(t, lines, "ready")
		time.Sleep(rand.N(20 * time.Millisecond)) // the moment is what is tested
		must(t, p.Signal(syscall.SIGKILL))
		if _, err := io.ReadAll(lines); err != nil {
			t.Fatal(err)
		}
		end(t, p)
	}
}

// The host program ignores SIGCHLD: every end is still reported, as unknown.
func TestExitStatusIgnored(t *testing.T) {
	checkLeaks(t)
	r, w := pipe(t)
	start(t, self("ignore", w))
	w.Close()
	want := fmt.Sprintln(State{}, os.ErrProcessDone, os.ErrProcessDone)
	if got := readAll(t, r); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The host program waits for all children itself: every end is reported once,
// with its status or as unknown.
func TestExitStatusStolen(t *testing.T) {
	checkLeaks(t)
	r, w := pipe(t)
	start(t, self("steal", w))
	w.Close()
	if got := readAll(t, r); got != "100 0\n" {
		t.Errorf("got %q", got)
	}
}

// The number of a dead process may be given to a stranger, who must never get
// its signals.
func TestNumberIsReused(t *testing.T) {
	withEachKernel(t, func(t *testing.T) {
		checkLeaks(t)
		old := start(t, sh(t, "exit 0"))
		end(t, old)
		in, ask := pipe(t)
		answer, out := pipe(t)
		stranger := startAs(t, old.PID(), sh(t, "read x <&3 && echo $x >&4", in, out))
		in.Close()
		out.Close()
		for _, send := range []func(syscall.Signal) error{old.Signal, old.SignalGroup} {
			if err := send(syscall.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
				t.Errorf("signal to the dead: %v", err)
			}
		}
		fmt.Fprintln(ask, "alive")
		if got := readAll(t, answer); got != "alive\n" {
			t.Errorf("the stranger answered %q", got)
		}
		end(t, stranger)
	})
}

// startAs starts c under a given number, or skips the test.
func startAs(t *testing.T, pid int, c Command) *Process {
	t.Helper()
	for range 100 {
		err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(pid-1)), 0)
		if err != nil {
			t.Skip("cannot choose process numbers here: ", err)
		}
		p := start(t, c)
		if p.PID() == pid {
			return p
		}
		p.SignalGroup(syscall.SIGKILL)
		end(t, p)
	}
	t.Skip("somebody else was always faster to take the number")
	return nil
}
