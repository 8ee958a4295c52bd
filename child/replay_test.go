//go:build linux

package child_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// poison is the input of brittle.
type poison struct {
	Way  string
	Size []byte
}

var (
	brittle = child.Define("brittle", func(ctx context.Context, p poison) (string, error) {
		if child.Key(ctx) == "harmless" {
			return "", errors.New("no")
		}
		if way := ways[p.Way]; way != nil {
			way()
		}
		if p.Way == "hang" {
			select {}
		}
		return p.Way, nil
	})
	sellPoison = child.DefineOn(theShop, "shop.poison", func(s *shop, _ context.Context, way string) (string, error) {
		ways[way]()
		return s.name, nil
	})
)

// filesIn are the files in a directory.
func filesIn(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, filepath.Join(dir, e.Name()))
	}
	return names
}

// The input of a call that has killed its worker is kept, says all about it, and
// kills again; that of others is not.
func TestReplay(t *testing.T) {
	watch(t)
	dir := filepath.Join(t.TempDir(), "made", "here")
	cfg := child.Config{Name: "w/ü", Replay: child.ReplayFiles{Dir: dir}}
	w := up(t, cfg)
	if _, err := brittle.Call(t.Context(), w, poison{Way: "fine"}); err != nil {
		t.Fatal(err)
	}
	if files := filesIn(t, dir); len(files) != 0 {
		t.Errorf("a good call was kept: %v", files)
	}
	ctx, cancel := context.WithTimeout(named("cat.png"), time.Minute)
	defer cancel()
	in := poison{"C segfault", make([]byte, 100<<10)}
	_, err := brittle.Call(ctx, w, in)
	crash := as[*child.CrashError](t, err)
	served := as[*child.CrashError](t, w.end())
	files := filesIn(t, dir)
	if len(files) != 1 || crash.Replay != files[0] || served.Replay != files[0] || !strings.HasSuffix(err.Error(), "; its input is kept in "+files[0]) {
		t.Fatalf("kept %v, %v", files, err)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, files[0]: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}

	c, err := child.ReadReplay(files[0])
	must(t, err)
	if c.Func != "brittle" || c.Worker != "w/ü" || c.Cause != "segmentation fault" || c.State != "" || c.Build == "" || time.Since(c.Time) > limit ||
		c.Timeout <= 0 || c.Timeout > time.Minute || c.Meta["key"] != "cat.png" || c.Meta[child.TraceParent] != traceparent || !strings.Contains(c.Error, "crashed with a segmentation fault") {
		t.Errorf("%+v", c)
	}
	if got, err := brittle.InputOf(c); err != nil || !reflect.DeepEqual(got, in) {
		t.Errorf("input %.100v, %v", got, err)
	}
	if _, err := double.InputOf(c); err == nil || !strings.Contains(err.Error(), "of a call of brittle, not of double") {
		t.Error(err)
	}

	log := newRecorder()
	again := as[*child.CrashError](t, child.Replay(t.Context(), child.Config{Name: "again", Logger: slog.New(log)}, files[0]))
	if again.Cause != child.Segfault || again.Worker != "again" || again.Calls[0].Key != "cat.png" || again.Replay != "" {
		t.Errorf("%+v", again)
	}
	if n := log.count("a call that crashed another build"); n != 0 || len(filesIn(t, dir)) != 1 {
		t.Errorf("%d warnings, %v", n, filesIn(t, dir))
	}
}

// Which ends keep the input: those that the call may be to blame for.
func TestWhatIsKept(t *testing.T) {
	watch(t)
	for _, test := range []struct {
		name  string
		end   func(t *testing.T, w *worker, g gate)
		cause child.Cause
		kept  bool
	}{
		{"killed from outside", func(t *testing.T, w *worker, g gate) { must(t, syscall.Kill(w.pid(), syscall.SIGKILL)) }, child.Killed, true},
		{"kill called", func(t *testing.T, w *worker, g gate) { w.Kill() }, child.KillCalled, false},
		{"stop timeout", func(t *testing.T, w *worker, g gate) { w.halt() }, child.StopTimeout, false},
	} {
		dir, g := t.TempDir(), newGate(t)
		must(t, os.Chmod(dir, 0o700))
		w := up(t, child.Config{Replay: child.ReplayFiles{Dir: dir}, Concurrency: 2, Wait: child.NoWait, Stop: child.Stop{Drain: 50 * time.Millisecond}})
		calls := []<-chan answer[string]{async(named("a"), w, hold, holding{Gate: g, Say: "a", Stubborn: true}), async(named("b"), w, hold, holding{Gate: g, Say: "b", Stubborn: true})}
		w.log.wait(t, "holding a")
		w.log.wait(t, "holding b")
		waiting := async(named("c"), w, double, 1)
		expect(t, "three calls", func() bool { return w.Stats().InFlight == 3 })
		test.end(t, w, g)
		crash := as[*child.CrashError](t, w.end())
		files := filesIn(t, dir)
		if crash.Cause != test.cause || len(files) != map[bool]int{true: 2}[test.kept] {
			t.Errorf("%s: %v, kept %v", test.name, crash, files)
		}
		for _, ch := range calls {
			c := as[*child.CrashError](t, receive(t, "a call", ch).err)
			if !test.kept {
				continue
			}
			if r, err := child.ReadReplay(c.Replay); err != nil || r.Meta["key"] != c.Calls[0].Key {
				t.Errorf("%s: %v, %+v", c, err, r)
			}
		}
		as[*child.NotStartedError](t, receive(t, "the waiting call", waiting).err)
		g.open(t)
	}
}

// A hang is a hang again: the call's time limit has been kept too.
func TestReplayOfAHang(t *testing.T) {
	watch(t)
	dir := filepath.Join(t.TempDir(), "kept")
	w := up(t, child.Config{CallTimeout: 200 * time.Millisecond, Grace: time.Millisecond, Replay: child.ReplayFiles{Dir: dir}})
	if _, err := brittle.Call(t.Context(), w, poison{Way: "hang"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	crash := as[*child.CrashError](t, w.end())
	if crash.Cause != child.Deadline || crash.Replay == "" {
		t.Fatalf("%+v", crash)
	}
	err := child.Replay(t.Context(), child.Config{Grace: time.Millisecond}, crash.Replay)
	if again := as[*child.CrashError](t, err); again.Cause != child.Deadline {
		t.Error(err)
	}
}

// The state that the worker had is opened again, with its configuration.
func TestReplayWithState(t *testing.T) {
	watch(t)
	dir := filepath.Join(t.TempDir(), "kept")
	_, err := child.Once(t.Context(), child.Config{Setup: theShop.With(shopConfig{Name: "Ann's"}), Replay: child.ReplayFiles{Dir: dir}}, sellPoison, "exit 3")
	crash := as[*child.CrashError](t, err)
	log := newRecorder()
	err = child.Replay(t.Context(), child.Config{Logger: slog.New(log)}, crash.Replay)
	if again := as[*child.CrashError](t, err); again.Cause != child.Exited || again.Observed.Code != 3 {
		t.Error(err)
	}
	log.wait(t, "opening Ann's")
	err = child.Replay(t.Context(), child.Config{Setup: theShop.With(shopConfig{Name: "Bob's"}), Logger: slog.New(log)}, crash.Replay)
	as[*child.CrashError](t, err)
	log.wait(t, "opening Bob's")
}

// What does not crash again says what it says.
func TestReplayInline(t *testing.T) {
	watch(t)
	dir := filepath.Join(t.TempDir(), "kept")
	_, err := child.Once(named("x"), child.Config{Replay: child.ReplayFiles{Dir: dir}}, brittle, poison{Way: "panic"})
	file := as[*child.CrashError](t, err).Replay
	err = child.ReplayInline(t.Context(), child.Config{}, file)
	if crash := as[*child.CrashError](t, err); crash.Cause != child.Panicked || crash.PID != os.Getpid() {
		t.Error(err)
	}
	// Of the file, but for its key, which makes the function say no.
	c, err := child.ReadReplay(file)
	must(t, err)
	c.Meta["key"], c.Build = "harmless", "another"
	for name, run := range map[string]func(context.Context, child.Config, string) error{"worker": child.Replay, "inline": child.ReplayInline} {
		log := newRecorder()
		err := run(t.Context(), child.Config{Logger: slog.New(log)}, rewritten(t, c))
		if remote := as[*child.RemoteError](t, err); remote.Message != "no" {
			t.Errorf("%s: %v", name, err)
		}
		if r := log.wait(t, "a call that crashed another build"); r.attrs["crashed"] != "another" || r.attrs["func"] != "brittle" {
			t.Errorf("%s: %v", name, r)
		}
		c.Func = "gone"
		unknown := as[*child.UnknownFunctionError](t, run(t.Context(), child.Config{}, rewritten(t, c)))
		if unknown.Func != "gone" {
			t.Error(unknown)
		}
		c.Func, c.State = "brittle", "gone"
		if err := run(t.Context(), child.Config{}, rewritten(t, c)); err == nil || !strings.Contains(err.Error(), `the state "gone", which this program does not define`) {
			t.Error(err)
		}
		c.State = ""
	}
}

// rewritten is a replay file of another content.
func rewritten(t *testing.T, c child.CrashedCall) string {
	content, err := c.Append(nil)
	must(t, err)
	file := filepath.Join(t.TempDir(), "rewritten.replay")
	must(t, os.WriteFile(file, content, 0o600))
	return file
}

// Where somebody else could read, nothing is kept, and no worker starts.
func TestReplayDirIsPrivate(t *testing.T) {
	watch(t)
	base := t.TempDir()
	mkdir := func(name string, mode os.FileMode) string {
		path := filepath.Join(base, name)
		must(t, os.Mkdir(path, 0o700))
		must(t, os.Chmod(path, mode))
		return path
	}
	file := filepath.Join(base, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	link := filepath.Join(base, "link")
	must(t, os.Symlink(mkdir("target", 0o700), link))
	foreign := mkdir("foreign", 0o700)
	tests := map[string]string{
		mkdir("group", 0o750):             "others may enter it (mode 0750)",
		mkdir("world", 0o701):             "others may enter it (mode 0701)",
		mkdir("tmp", 0o777|os.ModeSticky): "others may enter it (mode 0777)",
		link:                              "it is a symbolic link",
		file:                              "not a directory",
	}
	if os.Getuid() == 0 {
		must(t, os.Chown(foreign, 65534, 65534))
		tests[foreign] = "it belongs to the user 65534, and this program runs as 0"
	}
	for dir, text := range tests {
		_, err := child.Once(t.Context(), child.Config{Replay: child.ReplayFiles{Dir: dir}}, double, 1)
		if start := as[*child.StartError](t, err); !strings.Contains(start.Error(), text) || !strings.Contains(start.Error(), "Config.Replay") {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// Neither a link put in the place of the directory after the start, nor a full or
// vanished directory, hurts the call.
func TestReplayThatCannotBeWritten(t *testing.T) {
	watch(t)
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"others let in": func(t *testing.T, dir string) { must(t, os.Chmod(dir, 0o755)) },
		"a link": func(t *testing.T, dir string) {
			must(t, os.Rename(dir, dir+".old"))
			must(t, os.Symlink(dir+".old", dir))
		},
		"a file": func(t *testing.T, dir string) {
			must(t, os.Remove(dir))
			must(t, os.WriteFile(dir, nil, 0o600))
		},
	} {
		dir := filepath.Join(t.TempDir(), "kept")
		w := up(t, child.Config{Replay: child.ReplayFiles{Dir: dir}})
		spoil(t, dir)
		_, err := brittle.Call(named("a"), w, poison{Way: "exit 3"})
		if crash := as[*child.CrashError](t, err); crash.Replay != "" || crash.Cause != child.Exited {
			t.Errorf("%s: %+v", name, crash)
		}
		if r := w.log.wait(t, "the input of a crashed call is not kept"); r.attrs["call.key"] != "a" || r.attrs["error"] == nil {
			t.Errorf("%s: %v", name, r)
		}
		for _, d := range []string{dir, dir + ".old"} {
			if files, err := os.ReadDir(d); err == nil && len(files) != 0 {
				t.Errorf("%s: %v", name, files)
			}
		}
		_ = w.end()
	}
}

// The number of files and their sizes have bounds.
func TestReplayIsBounded(t *testing.T) {
	watch(t)
	dir := filepath.Join(t.TempDir(), "kept")
	cfg := child.Config{Replay: child.ReplayFiles{Dir: dir, MaxFiles: 3, MaxInput: 10 << 10}}
	must(t, os.Mkdir(dir, 0o700))
	for _, name := range []string{"not ours", "20200101T000000.000000000-w-1-1.replay.part"} {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	var last []string
	for i := range 5 {
		_, err := child.Once(named(fmt.Sprint(i)), cfg, brittle, poison{Way: "exit 3"})
		last = append(last, as[*child.CrashError](t, err).Replay)
	}
	if got, want := filesIn(t, dir), append(last[2:], filepath.Join(dir, "not ours")); !reflect.DeepEqual(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
	for size, want := range map[int]bool{10<<10 - 100: true, 10<<10 + 1: false, 10 << 20: false} {
		w := up(t, cfg)
		_, err := brittle.Call(t.Context(), w, poison{"exit 3", make([]byte, size)})
		if crash := as[*child.CrashError](t, err); (crash.Replay != "") != want {
			t.Errorf("%d bytes: %v", size, err)
		}
		if _ = w.end(); !want {
			w.log.wait(t, "the input of a crashed call is not kept")
		}
	}
}

// A damaged or a hostile file is an error that says so.
func TestBadReplayFiles(t *testing.T) {
	good, err := child.CrashedCall{Func: "brittle", Input: []byte{0xa0}}.Append(nil)
	must(t, err)
	for name, test := range map[string]struct {
		content []byte
		text    string
	}{
		"empty":           {nil, "not a replay file"},
		"something else":  {[]byte("\x7fELF"), "not a replay file"},
		"another version": {[]byte("verdigris replay 2\nxyz"), "another version of verdigris"},
		"cut":             {good[:30], "its end is missing"},
		"cut later":       {good[:len(good)-1], "it is damaged"},
		"longer":          {append(bytes.Clone(good), 0), "it is damaged"},
		"flipped":         {append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1), "it is damaged"},
	} {
		file := filepath.Join(t.TempDir(), "bad.replay")
		must(t, os.WriteFile(file, test.content, 0o600))
		for what, err := range map[string]error{
			"ReadReplay": second(child.ReadReplay(file)), "Replay": child.Replay(t.Context(), child.Config{}, file), "ReplayInline": child.ReplayInline(t.Context(), child.Config{}, file),
		} {
			if err == nil || !strings.HasPrefix(err.Error(), "child: replay file "+file+": ") || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
	}
	if _, err := child.ReadReplay("/nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

// Under a debugger the call runs in this process.
func TestReplayUnderADebugger(t *testing.T) {
	watch(t)
	content, err := child.CrashedCall{Func: "pid", Input: []byte{0xf5}}.Append(nil)
	must(t, err)
	file := filepath.Join(t.TempDir(), "pid.replay")
	must(t, os.WriteFile(file, content, 0o600))
	for _, debugged := range []bool{false, true} {
		runtime.LockOSThread() // ptrace(2) belongs to a thread
		cmd := exec.Command("/proc/self/exe")
		var out bytes.Buffer
		cmd.Stdout = &out
		cmd.Env = append(os.Environ(), roleVar+"=replay", "FILE="+file)
		cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: debugged}
		must(t, cmd.Start())
		if debugged {
			letRun(t, cmd.Process.Pid)
		}
		_ = cmd.Wait()
		runtime.UnlockOSThread()
		if want := fmt.Sprintf("inline: %v\n", debugged); out.String() != want {
			t.Errorf("debugged %v: %q", debugged, out.String())
		}
	}
}

// letRun is a debugger that does nothing: it lets the process run on to its end.
func letRun(t *testing.T, pid int) {
	for {
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil || !status.Stopped() {
			return
		}
		sig := int(status.StopSignal())
		if status.StopSignal() == syscall.SIGTRAP {
			sig = 0
		}
		must(t, syscall.PtraceCont(pid, sig))
	}
}

func init() {
	roles["replay"] = func() {
		child.Init()
		log := newRecorder()
		slog.SetDefault(slog.New(log))
		if err := child.Replay(context.Background(), child.Config{}, os.Getenv("FILE")); err != nil {
			fmt.Println(err)
		}
		fmt.Printf("inline: %v\n", log.count("worker ready") == 0)
	}
}
