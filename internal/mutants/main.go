// Command mutants shows that the tests can see what they are there for: it
// builds versions of the library with one protection removed each, and runs the
// test that is named for it, which must fail: make mutants.
//
//	go run ./internal/mutants -run 'lifeline|deadline'
//
// The table is in table.go. Nothing in the tree is touched: the changed file is
// passed to the go command as an overlay. A test must pass without the change
// first; the text to be replaced must be there exactly once; the result must
// compile; and the test must fail by itself within its own bounds. A test that
// has to be ended from here has not seen anything. A test that this machine makes
// skip itself is reported as skipped.
//
// Most mutants let a test wait for something that never comes. So that this does
// not take for ever, the bound of the tests' waits, 10 s, is 4 s here, with and
// without the change.
//
// Whatever a version with a hole leaves behind is killed before the next one.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// limit bounds one test. No test waits that long by itself.
const limit = time.Minute

func main() {
	only := flag.String("run", "", "names of mutants, as a regular expression")
	verbose := flag.Bool("v", false, "show what the failing tests print")
	flag.Parse()
	ok, err := run(*only, *verbose)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

func run(only string, verbose bool) (ok bool, err error) {
	pick, err := regexp.Compile(only)
	if err != nil {
		return false, err
	}
	var chosen []mutant
	for _, m := range table {
		if pick.MatchString(m.name) {
			chosen = append(chosen, m)
		}
	}
	adopt()
	w, err := newWorkshop()
	if err != nil {
		return false, err
	}
	defer w.close()
	go w.closeAtSignal()
	if err := w.check(chosen); err != nil {
		return false, err
	}
	return w.try(chosen, verbose), nil
}

// workshop is where mutants are made and tried.
type workshop struct {
	root, dir string
	usable    map[string]verdict // of the tests without any change, by package and name
}

func newWorkshop() (*workshop, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mutants")
	return &workshop{root: root, dir: dir, usable: map[string]verdict{}}, err
}

func (w *workshop) close() { _ = os.RemoveAll(w.dir) }

// closeAtSignal cleans up when somebody has had enough.
func (w *workshop) closeAtSignal() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	sweep()
	w.close()
	os.Exit(130)
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	return filepath.Dir(strings.TrimSpace(string(out))), err
}

// check runs all named tests without any change, package by package.
func (w *workshop) check(mutants []mutant) error {
	tests := map[string][]string{}
	var packages []string
	for _, m := range mutants {
		if tests[m.in()] == nil {
			packages = append(packages, m.in())
		}
		tests[m.in()] = append(tests[m.in()], m.test)
	}
	for _, pkg := range packages {
		bin, _, err := w.build(pkg, "base", nil)
		if err != nil {
			return err
		}
		out, _ := w.test(bin, pkg, strings.Join(tests[pkg], "|"), "", 5*limit)
		for _, name := range tests[pkg] {
			v := judge(out, name)
			if v != passed && v != skipped {
				fmt.Printf("%s of %s does not pass without any change (%v):\n%s\n", name, pkg, v, out)
			}
			w.usable[pkg+" "+name] = v
		}
	}
	return nil
}

// try makes one mutant after the other; the next one is built meanwhile.
func (w *workshop) try(mutants []mutant, verbose bool) bool {
	began := time.Now()
	built := make(chan made, 1)
	go func() {
		defer close(built)
		for i, m := range mutants {
			switch w.usable[m.in()+" "+m.test] {
			case skipped:
				built <- made{mutant: m}
				continue
			case passed:
			default:
				built <- made{mutant: m, err: errors.New("its test does not pass without any change")}
				continue
			}
			bin, overlay, err := w.mutate(i, m)
			built <- made{m, bin, overlay, err}
		}
	}()
	count := map[verdict]int{}
	for b := range built {
		v, took, out := w.judge(b)
		count[v]++
		fmt.Printf("%-9s %-30s %-14s %-40s %5.1fs\n", v, b.name, b.fault, filepath.Base(b.in())+"."+b.test, took.Seconds())
		if v != killed && v != skipped || verbose {
			fmt.Println(strings.TrimSpace(out))
		}
	}
	survived := len(mutants) - count[killed] - count[skipped]
	if n := count[skipped]; n > 0 {
		fmt.Printf("mutants: %d not made, their tests skip themselves on this machine\n", n)
	}
	fmt.Printf("mutants: %d made, %d killed, %d survived (%v)\n", len(mutants)-count[skipped], count[killed], survived, time.Since(began).Round(time.Second))
	return survived == 0
}

// made is a mutant that has been built, or could not be.
type made struct {
	mutant
	bin, overlay string
	err          error
}

func (w *workshop) judge(b made) (verdict, time.Duration, string) {
	switch {
	case b.err != nil:
		return broken, 0, b.err.Error()
	case b.bin == "":
		return skipped, 0, ""
	}
	defer func() { _ = os.Remove(b.bin) }()
	began := time.Now()
	out, overdue := w.test(b.bin, b.in(), b.test, b.overlay, limit)
	v := judge(out, b.test)
	switch {
	case overdue:
		v = hung
	case v == failed || v == crashed:
		v = killed
	case v == passed:
		v = survived
	}
	return v, time.Since(began), out
}

// mutate builds the tests of a mutant.
func (w *workshop) mutate(i int, m mutant) (bin, overlay string, err error) {
	original := filepath.Join(w.root, m.file)
	text, err := os.ReadFile(original)
	if err != nil {
		return "", "", err
	}
	changed, err := m.apply(string(text))
	if err != nil {
		return "", "", err
	}
	file := filepath.Join(w.dir, fmt.Sprintf("%d.go", i))
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		return "", "", err
	}
	return w.build(m.in(), strconv.Itoa(i), map[string]string{original: file})
}

// build compiles the tests of a package with some files replaced by others. Go
// vet is not asked: a hole may look odd.
func (w *workshop) build(pkg, name string, replaced map[string]string) (bin, overlay string, err error) {
	hurried, err := w.hurry(pkg)
	if err != nil {
		return "", "", err
	}
	all := maps.Clone(hurried)
	maps.Copy(all, replaced)
	list, err := json.Marshal(map[string]any{"Replace": all})
	if err != nil {
		return "", "", err
	}
	bin, overlay = filepath.Join(w.dir, name+".test"), filepath.Join(w.dir, name+".json")
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		return "", "", err
	}
	cmd := exec.Command("go", "test", "-c", "-ldflags=-w", "-overlay", overlay, "-o", bin, "./"+pkg)
	cmd.Dir = w.root
	if out, err := output(cmd); err != nil {
		return "", "", fmt.Errorf("it does not compile: %w\n%s", err, out)
	}
	return bin, overlay, nil
}

// bound is where the tests of a package say how long they wait at most.
var bound = regexp.MustCompile(`(?m)^const (limit|inTime) = 10 \* time\.Second$`)

// hurry makes copies of a package's tests in which that is less.
func (w *workshop) hurry(pkg string) (map[string]string, error) {
	replaced := map[string]string{}
	files, err := filepath.Glob(filepath.Join(w.root, pkg, "*_test.go"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		if !bound.Match(text) {
			continue
		}
		to := filepath.Join(w.dir, strings.ReplaceAll(pkg, "/", "_")+"_"+filepath.Base(f))
		if err := os.WriteFile(to, bound.ReplaceAll(text, []byte("const $1 = 4 * time.Second")), 0o600); err != nil {
			return nil, err
		}
		replaced[f] = to
	}
	return replaced, nil
}

// test runs tests of a package, in its folder. Programs that they build get the
// change too. overdue: they did not end.
func (w *workshop) test(bin, pkg, names, overlay string, limit time.Duration) (out string, overdue bool) {
	cmd := exec.Command(bin, "-test.run", "^("+names+")$", "-test.v", "-test.count=1", "-test.timeout="+limit.String())
	cmd.Dir = filepath.Join(w.root, pkg)
	if overlay != "" {
		cmd.Env = append(os.Environ(), "GOFLAGS=-overlay="+overlay)
	}
	cmd.WaitDelay = time.Second // what it leaves behind may hold its output
	timer := time.NewTimer(limit + 10*time.Second)
	defer timer.Stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		b, _ := output(cmd)
		out = string(b)
	}()
	select {
	case <-done:
	case <-timer.C:
		_ = cmd.Process.Kill()
		<-done
		overdue = true
	}
	sweep()
	return out, overdue || strings.Contains(out, "panic: test timed out after")
}

// verdict is what a test or a mutant has come to.
type verdict string

const (
	passed   verdict = "passed"
	failed   verdict = "failed"
	crashed  verdict = "crashed" // the test program did, in the middle of the test
	skipped  verdict = "skipped"
	killed   verdict = "killed"
	survived verdict = "SURVIVED"
	hung     verdict = "HUNG"
	broken   verdict = "BROKEN"
)

// judge reads what the test program has printed about a test.
func judge(out, test string) verdict {
	for line, v := range map[string]verdict{"--- PASS: ": passed, "--- FAIL: ": failed, "--- SKIP: ": skipped} {
		if regexp.MustCompile(`(?m)^` + line + test + ` \(`).MatchString(out) {
			return v
		}
	}
	if strings.Contains(out, "=== RUN   "+test+"\n") {
		return crashed
	}
	return broken
}
