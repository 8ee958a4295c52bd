//go:build linux

package child_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// limit bounds every wait of the tests.
const limit = 10 * time.Second

var warm = sync.OnceFunc(func() { _, _ = child.Once(context.Background(), child.Config{}, double, 1) })

// watch fails the test if it leaves a process, a descriptor, a goroutine or a
// control group behind. It is called first, so that it looks last. Parallel subtests share
// the watch of their parent.
func watch(t testing.TB) {
	t.Helper()
	warm() // the cloning thread and the held files belong to the baseline
	files, goroutines := descriptors(t), runtime.NumGoroutine()
	t.Cleanup(func() {
		if settles(func() bool {
			return len(groupsOf(t, os.Getpid())) == 0 && len(children(t)) == 0 && len(descriptors(t)) <= len(files) && runtime.NumGoroutine() <= goroutines
		}) {
			return
		}
		t.Errorf("left behind: control groups %v, children %v, goroutines %d -> %d, descriptors\n%v\n%v\n%s", groupsOf(t, os.Getpid()), children(t),
			goroutines, runtime.NumGoroutine(), files, descriptors(t), stacks())
	})
}

// settles polls for a fact that nothing can be awaited for.
func settles(ok func() bool) bool {
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// expect is settles that fails the test.
func expect(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !settles(ok) {
		t.Fatalf("not within %v: %s\n%s", limit, what, stacks())
	}
}

// receive takes a value from a channel, in time.
func receive[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(limit):
		t.Fatalf("not within %v: %s\n%s", limit, what, stacks())
		panic("unreachable")
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// as is errors.As that fails the test.
func as[E error](t testing.TB, err error) E {
	t.Helper()
	e, ok := errors.AsType[E](err)
	if !ok {
		t.Fatalf("the error is no %T but a %T: %v", e, err, err)
	}
	return e
}

func stacks() []byte {
	buf := make([]byte, 1<<20)
	return buf[:runtime.Stack(buf, true)]
}

// descriptors are the open files of this process, without those of the runtime.
func descriptors(t testing.TB) map[int]string { return descriptorsOf(t, "self") }

func descriptorsOf(t testing.TB, pid string) map[int]string {
	dir := "/proc/" + pid + "/fd"
	entries, err := os.ReadDir(dir)
	must(t, err)
	all := map[int]string{}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err == nil && !strings.HasPrefix(target, "anon_inode:[event") {
			n, _ := strconv.Atoi(e.Name())
			all[n] = target
		}
	}
	return all
}

// children are the children of this process, zombies included.
func children(t testing.TB) (pids []int) {
	for pid, ppid := range processes(t) {
		if ppid == os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// processes are all processes and their parents.
func processes(t testing.TB) map[int]int {
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
	all := map[int]int{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		all[pid], _ = strconv.Atoi(strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))[1])
	}
	return all
}

// groupsOf are the directories that a program has in the trees of control groups.
func groupsOf(t testing.TB, pid int) (dirs []string) {
	info, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	for line := range strings.Lines(string(info)) {
		if !strings.Contains(line, " - cgroup") {
			continue
		}
		_ = filepath.WalkDir(strings.Fields(line)[4], func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasPrefix(d.Name(), fmt.Sprintf("verdigris.%d.", pid)) {
				dirs = append(dirs, path)
			}
			return nil
		})
	}
	return dirs
}

// exists reports whether there is such a process, be it a zombie.
func exists(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// worker is a Process that is being served.
type worker struct {
	*child.Process
	t    testing.TB
	log  *recorder
	halt context.CancelFunc
	done chan error
}

// begin serves a new worker for one run.
func begin(t testing.TB, cfg child.Config) (w *worker, ready <-chan struct{}) {
	t.Helper()
	w = &worker{t: t, log: newRecorder(), done: make(chan error, 1)}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(w.log)
	}
	w.Process = child.New(cfg)
	ctx, halt := context.WithCancel(context.Background())
	w.halt = halt
	isReady, returned := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(returned)
		w.done <- w.ServeReady(ctx, func() { close(isReady) })
	}()
	t.Cleanup(func() {
		halt()
		receive(t, "the end of Serve", returned)
	})
	return w, isReady
}

// up serves a new worker and waits until it is ready.
func up(t testing.TB, cfg child.Config) *worker {
	t.Helper()
	w, ready := begin(t, cfg)
	select {
	case <-ready:
	case err := <-w.done:
		t.Fatalf("the worker did not come up: %v", err)
	case <-time.After(limit):
		t.Fatalf("the worker is not ready\n%s", stacks())
	}
	return w
}

// end waits until Serve has returned.
func (w *worker) end() error {
	w.t.Helper()
	return receive(w.t, "the end of Serve", w.done)
}

// stop ends the service in order.
func (w *worker) stop() error {
	w.t.Helper()
	w.halt()
	return w.end()
}

// pid is the worker's process.
func (w *worker) pid() int { return w.Stats().PID }

// answer is what a call has come to.
type answer[T any] struct {
	value T
	err   error
}

// async calls a function on a goroutine.
func async[In, Out any](ctx context.Context, c child.Caller, f child.Func[In, Out], in In) <-chan answer[Out] {
	ch := make(chan answer[Out], 1)
	go func() {
		v, err := f.Call(ctx, c, in)
		ch <- answer[Out]{v, err}
	}()
	return ch
}

// wantDouble makes sure that the worker answers.
func wantDouble(t testing.TB, c child.Caller) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if v, err := double.Call(ctx, c, 21); v != 42 || err != nil {
		t.Errorf("a good call got %v, %v", v, err)
	}
}

// gate is something outside of all processes that a handler can wait for.
type gate string

func newGate(t testing.TB) gate {
	path := filepath.Join(t.TempDir(), "gate")
	must(t, syscall.Mkfifo(path, 0o600))
	return gate(path)
}

// wait returns when the gate has been opened.
func (g gate) wait() {
	if f, err := os.Open(string(g)); err == nil {
		f.Close()
	}
}

// open lets all through, from now to the end of the test.
func (g gate) open(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile(string(g), os.O_RDWR, 0)
	must(t, err)
	t.Cleanup(func() { f.Close() })
}

// record is what a log handler got, its attributes flat.
type record struct {
	level   slog.Level
	message string
	attrs   map[string]any
	time    time.Time
}

// recorder is a slog.Handler that keeps everything.
type recorder struct {
	*recording
	prefix string
	attrs  map[string]any
}

type recording struct {
	mu      sync.Mutex
	records []record
	changed chan struct{}
}

func newRecorder() *recorder {
	return &recorder{recording: &recording{changed: make(chan struct{})}, attrs: map[string]any{}}
}

func (r *recorder) Enabled(context.Context, slog.Level) bool { return true }

func (r *recorder) Handle(_ context.Context, s slog.Record) error {
	attrs := maps.Clone(r.attrs)
	s.Attrs(func(a slog.Attr) bool { flatten(attrs, r.prefix, a); return true })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, record{s.Level, s.Message, attrs, s.Time})
	close(r.changed)
	r.changed = make(chan struct{})
	return nil
}

func flatten(to map[string]any, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() != slog.KindGroup {
		to[prefix+a.Key] = v.Any()
		return
	}
	for _, b := range v.Group() {
		flatten(to, prefix+a.Key+".", b)
	}
}

func (r *recorder) WithAttrs(attrs []slog.Attr) slog.Handler {
	all := maps.Clone(r.attrs)
	for _, a := range attrs {
		flatten(all, r.prefix, a)
	}
	return &recorder{r.recording, r.prefix, all}
}

func (r *recorder) WithGroup(name string) slog.Handler {
	return &recorder{r.recording, r.prefix + name + ".", r.attrs}
}

func (r *recorder) look() ([]record, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.records), r.changed
}

// count counts the records so far that begin like this.
func (r *recorder) count(prefix string) (n int) {
	records, _ := r.look()
	for _, rec := range records {
		if strings.HasPrefix(rec.message, prefix) {
			n++
		}
	}
	return n
}

// wait returns the first record whose message begins like this, when it is there.
func (r *recorder) wait(t testing.TB, prefix string) record {
	t.Helper()
	return r.waitN(t, prefix, 1)
}

// waitN waits for the nth such record.
func (r *recorder) waitN(t testing.TB, prefix string, n int) record {
	t.Helper()
	timeout := time.After(limit)
	for {
		records, changed := r.look()
		seen := 0
		for _, rec := range records {
			if strings.HasPrefix(rec.message, prefix) {
				if seen++; seen == n {
					return rec
				}
			}
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("no record %d of %q among %s\n%s", n, prefix, r, stacks())
		}
	}
}

func (r *recorder) String() string {
	records, _ := r.look()
	var b strings.Builder
	for _, rec := range records {
		fmt.Fprintf(&b, "\n\t%v %s %v", rec.level, rec.message, rec.attrs)
	}
	return b.String()
}

// environOf is the environment of another process; nil if it is gone.
func environOf(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")
}

// bearers are the processes whose environment has this entry.
func bearers(t testing.TB, entry string) (pids []int) {
	for pid := range processes(t) {
		if slices.Contains(environOf(pid), entry) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// flattenError is what a log handler sees of an error, under "err".
func flattenError(to map[string]any, err error) { flatten(to, "", slog.Any("err", err)) }

// processFor is a worker named "w" for tests that also run where there are none.
func processFor(t *testing.T) child.Caller {
	watch(t)
	return up(t, child.Config{Name: "w"})
}

// freeze stops a process and waits until all its threads stand still.
func freeze(t testing.TB, pid int) {
	t.Helper()
	must(t, syscall.Kill(pid, syscall.SIGSTOP))
	expect(t, "a process that stands still", func() bool {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		return !slices.ContainsFunc(threads, func(path string) bool {
			b, err := os.ReadFile(path)
			return err == nil && !strings.HasPrefix(string(b[bytes.LastIndexByte(b, ')')+1:]), " T")
		})
	})
}
