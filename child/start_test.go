//go:build linux

package child_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

func TestFailedStart(t *testing.T) {
	watch(t)
	with := func(how string) child.Config {
		return child.Config{Setup: theShop.With(shopConfig{Name: "s", Open: how})}
	}
	notAProgram := filepath.Join(t.TempDir(), "text")
	must(t, os.WriteFile(notAProgram, []byte("hello"), 0o700))
	for _, test := range []struct {
		name string
		cfg  child.Config
		step string
		text string // part of the error
		is   error
	}{
		{"open fails", with("fail"), "open", `opening the state "shop": cannot`, errNoKeys},
		{"open panics", with("panic"), "open", `opening the state "shop" panicked: the door is stuck`, nil},
		{"open exits", with("exit"), "open", "exited with status 4; its last words: no more shops", nil},
		{"open crashes", with("fatal"), "open", "crashed with a segmentation fault", child.Segfault},
		{"no such program", child.Config{Exe: "/nowhere/worker"}, "spawn", "/nowhere/worker", fs.ErrNotExist},
		{"not a program", child.Config{Exe: notAProgram}, "spawn", "not a program", nil},
		{"another program", child.Config{Exe: "/bin/true"}, "handshake", "exited with status 0", nil},
		{"no such directory", child.Config{Dir: "/nowhere"}, "spawn", "/nowhere", fs.ErrNotExist},
		{"init exits", child.Config{Env: []string{initVar + "=exit"}}, "handshake", "exited with status 5; its last words: no init today", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := test.cfg
			cfg.Name = "w"
			w, ready := begin(t, cfg)
			start := as[*child.StartError](t, w.end())
			if start.Step != test.step || start.Worker != "w" || !strings.Contains(start.Error(), test.text) || !errors.Is(start, child.ErrNotStarted) {
				t.Errorf("step %s: %v", start.Step, start)
			}
			if test.is != nil && !errors.Is(start, test.is) {
				t.Errorf("%v is not %v", start, test.is)
			}
			if !strings.HasPrefix(start.Error(), "worker w did not start ("+test.step+"): ") {
				t.Errorf("text %q", start)
			}
			select {
			case <-ready:
				t.Error("it was ready")
			default:
			}
		})
	}
}

// What a worker says about its failed start is told, also when the kernel's
// word of its death comes first.
func TestFailedStartIsToldEachTime(t *testing.T) {
	watch(t)
	t.Run("many", func(t *testing.T) {
		for range 4 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for range 8 {
					_, err := child.Once(t.Context(), child.Config{Setup: theShop.With(shopConfig{Name: "s", Open: "fail"})}, double, 1)
					if !errors.Is(err, errNoKeys) {
						t.Error(err)
					}
				}
			})
		}
	})
}

func TestStartTimeout(t *testing.T) {
	watch(t)
	for _, test := range []struct{ name, step string }{{"open", "open"}, {"init", "handshake"}} {
		g := newGate(t)
		cfg := child.Config{StartTimeout: 300 * time.Millisecond}
		if test.name == "open" {
			cfg.Setup = theShop.With(shopConfig{Name: "s", Open: "hang", Gate: g})
		} else {
			cfg.Env = []string{initVar + "=hang"}
		}
		began := time.Now()
		w, _ := begin(t, cfg)
		start := as[*child.StartError](t, w.end())
		if took := time.Since(began); took < cfg.StartTimeout || took > cfg.StartTimeout+soon {
			t.Errorf("it took %v", took)
		}
		if start.Step != test.step || !strings.Contains(start.Error(), "not ready within the StartTimeout of 300ms") {
			t.Error(start)
		}
		g.open(t)
	}
}

// initVar makes the package's init misbehave, as other people's packages do.
const initVar = "CHILD_TEST_INIT"

func init() {
	switch os.Getenv(initVar) {
	case "print":
		os.Stdout.WriteString("init prints\n")
		os.Stderr.WriteString("init complains\n")
	case "hang":
		select {}
	case "sleep":
		_ = exec.Command("sleep", "60").Start()
	case "exit":
		os.Stderr.WriteString("no init today\n")
		os.Exit(5)
	}
}

func TestInitThatPrints(t *testing.T) {
	watch(t)
	w := up(t, child.Config{Env: []string{initVar + "=print"}, Setup: theShop.With(shopConfig{Name: "s", Open: "print"})})
	wantDouble(t, w)
	for _, line := range []string{"init prints", "init complains", "printed on stdout", "printed on stderr"} {
		w.log.wait(t, line)
	}
}

func TestBadConfig(t *testing.T) {
	watch(t)
	bad := child.Config{
		Name: "a\nb", Concurrency: 5000, Ahead: 5000, MaxFrame: 10, OnCancel: 7, Contain: 9, StartTimeout: -1, CallTimeout: -1, Grace: -1,
		Stop: child.Stop{Drain: -1, Close: -1, Term: -1}, Env: []string{"", "=x", "A=\x00", "GOOD", "GOOD=x"},
	}
	p := child.New(bad)
	_, callErr := double.Call(t.Context(), p, 1)
	_, onceErr := child.Once(t.Context(), bad, double, 1)
	_, inlineErr := double.Call(t.Context(), child.NewInline(bad), 1)
	for _, err := range []error{bad.Check(), p.Serve(t.Context()), callErr, onceErr, inlineErr} {
		if err == nil {
			t.Fatal("no error")
		}
		for _, fault := range []string{
			`"a\nb"`, "Concurrency 5000", "Ahead 5000", "MaxFrame 10", "OnCancel 7", "Contain 9", "StartTimeout -1ns", "CallTimeout -1ns",
			"Grace -1ns", "Stop.Drain -1ns", "Stop.Close -1ns", "Stop.Term -1ns", `""`, `"=x"`, `"A=\x00"`,
		} {
			if !strings.Contains(err.Error(), fault) {
				t.Errorf("%v does not tell %s", err, fault)
			}
		}
		if !errors.Is(err, child.ErrNotStarted) {
			t.Errorf("%v is not known to have started nothing", err)
		}
		if strings.Contains(err.Error(), "GOOD") || strings.Contains(err.Error(), "\n") {
			t.Error(err)
		}
	}
	if err := (child.Config{}).Check(); err != nil {
		t.Error(err)
	}
}

// A function is called on a worker that has its state, or nothing is sent.
func TestState(t *testing.T) {
	watch(t)
	none, other := up(t, child.Config{Name: "none"}), up(t, child.Config{Name: "other", Setup: otherShop.With(true)})
	for _, test := range []struct {
		on   *worker
		text string
	}{
		{none, `function shop.sell needs the state "shop", worker none has none: give its Config a Setup made by that state's With`},
		{other, `function shop.sell needs the state "shop", worker other has "other": give its Config a Setup made by that state's With`},
	} {
		_, err := sell.Call(t.Context(), test.on, "tea")
		if s := as[*child.StateError](t, err); s.Needs != "shop" || err.Error() != test.text || !errors.Is(err, child.ErrNotStarted) {
			t.Error(err)
		}
		if test.on.Stats().Served != 0 {
			t.Error("something was sent")
		}
	}
	for want := range 3 {
		if n, err := count.Call(t.Context(), other, 1); n != want+1 || err != nil {
			t.Error(n, err)
		}
	}
	wantDouble(t, other)
}

// Bad definitions are found before main, by a panic that says what is wrong.
func TestBadDefinitions(t *testing.T) {
	for name, test := range map[string]struct {
		define func()
		text   string
	}{
		"channel": {func() {
			child.Define("x", func(context.Context, struct{ A struct{ C chan int } }) (int, error) { return 0, nil })
		}, "A.C"},
		"func":    {func() { child.Define("x", func(context.Context, int) (func(), error) { return nil, nil }) }, "the output"},
		"late":    {func() { child.Define("late", func(context.Context, int) (int, error) { return 0, nil }) }, "after child.Init"},
		"twice":   {func() { child.Define("double", func(context.Context, int) (int, error) { return 0, nil }) }, "twice"},
		"no name": {func() { child.Define("", func(context.Context, int) (int, error) { return 0, nil }) }, "needs a name"},
		"state":   {func() { child.DefineState("s", func(context.Context, func()) (*int, error) { return nil, nil }, nil) }, "the configuration"},
		"error":   {func() { child.RegisterError("io.EOF", errors.New("x")) }, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if v, _ := recover().(string); !strings.Contains(v, test.text) || !strings.HasPrefix(v, "child: ") {
					t.Errorf("panic %q", v)
				}
			}()
			test.define()
		})
	}
	var zero child.Func[int, int]
	if _, err := zero.Call(t.Context(), child.New(child.Config{}), 1); err == nil {
		t.Error("a Func that nobody has defined can be called")
	}
}
