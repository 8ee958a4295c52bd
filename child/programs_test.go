//go:build linux

package child_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// The programs under testdata are built as users build theirs.
func build(t testing.TB, program string, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), program)
	args := append(append([]string{"build", "-o", path}, flags...), "./testdata/"+program)
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %q: %v\n%s", args, err, out)
	}
	return path
}

// output runs a program to its end.
func output(t testing.TB, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// However a program is built and run, it finds itself again as a worker.
func TestHowProgramsAreBuilt(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds programs")
	}
	watch(t)
	const want = "42 <nil>\n"
	t.Run("go run", func(t *testing.T) {
		if out, err := output(t, nil, "go", "run", "./testdata/simple"); out != want || err != nil {
			t.Errorf("%q, %v", out, err)
		}
	})
	t.Run("stripped, without a build id", func(t *testing.T) {
		path := build(t, "simple", "-ldflags=-s -w -buildid=")
		if out, err := output(t, nil, path); out != want || err != nil {
			t.Errorf("%q, %v", out, err)
		}
	})
	t.Run("with coverage", func(t *testing.T) {
		dir := t.TempDir()
		if out, err := output(t, []string{"GOCOVERDIR=" + dir}, build(t, "simple", "-cover")); out != want || err != nil {
			t.Errorf("%q, %v", out, err)
		}
		counters, err := filepath.Glob(dir + "/covcounters.*")
		if must(t, err); len(counters) != 2 {
			t.Errorf("coverage of %d processes, want that of the program and of its worker", len(counters))
		}
	})
}

// A program that has forgotten Init is told so, before anything is started.
func TestForgottenInit(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds programs")
	}
	watch(t)
	began := time.Now()
	path := build(t, "forgetful")
	built := time.Now()
	mark := filepath.Join(t.TempDir(), "started again")
	out, err := output(t, []string{"MARK=" + mark}, path)
	must(t, err)
	if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was started again: %v", err)
	}
	want := "worker worker did not start (spawn): child: child.Init has not run in this process; call child.Init() as the first line of main (in tests: of TestMain)\n"
	if out != want {
		t.Errorf("%q\nwant %q", out, want)
	}
	if took := time.Since(built); took > 2*time.Second {
		t.Errorf("it took %v (and its building %v)", took, built.Sub(began))
	}
}

// F57: a separate program that has forgotten Init runs its main, which can start
// nothing, and its parent is told what to look for.
func TestSeparateProgramForgetsInit(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds programs")
	}
	watch(t)
	path, mark := build(t, "forgetful"), filepath.Join(t.TempDir(), "started again")
	began := time.Now()
	w, _ := begin(t, child.Config{Exe: path, Env: []string{"MARK=" + mark}})
	start := as[*child.StartError](t, w.end())
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if !strings.Contains(start.Error(), "is child.Init the first line of the main of "+path) {
		t.Error(start)
	}
	w.log.wait(t, "worker worker did not start (spawn): child: child.Init has not run in this process")
	if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was started again: %v", err)
	}
}

// A separate program as worker has the functions that it defines as we do.
func TestSeparateProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds programs")
	}
	watch(t)
	w := up(t, child.Config{Name: "w", Exe: build(t, "separate")})
	if v, err := double.Call(t.Context(), w, 21); v != 1042 || err != nil { // its own double
		t.Error(v, err)
	}
	for _, test := range []struct {
		err  error
		text string
	}{
		{callErr(t, w, mirror, everything{}), "worker w cannot run mirror: its input is "},
		{callErr(t, w, inflate, 7), "worker w cannot run inflate: its output is "},
		{callErr(t, w, pid, true), "worker w cannot run pid: its binary does not define it"},
		{callErr(t, w, look, nil), `worker w cannot run look: it works on the state "lens" there and "" here`},
	} {
		u := as[*child.UnknownFunctionError](t, test.err)
		if !strings.HasPrefix(u.Error(), test.text) || !errors.Is(u, child.ErrNotStarted) {
			t.Error(u)
		}
	}
	if err := w.stop(); err != nil {
		t.Error(err)
	}
	_, err := child.Once(t.Context(), child.Config{Exe: build(t, "separate"), Setup: theShop.With(shopConfig{})}, double, 1)
	if s := as[*child.StartError](t, err); s.Step != "open" || !strings.Contains(s.Error(), `this binary does not define the state "shop"`) {
		t.Error(err)
	}
}

func callErr[In, Out any](t *testing.T, c child.Caller, f child.Func[In, Out], in In) error {
	_, err := f.Call(t.Context(), c, in)
	return err
}
