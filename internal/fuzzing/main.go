// Command fuzzing runs the fuzz targets of packages one after the other, all of
// them within one time budget, and sums up what came of each: make fuzz.
//
//	go run ./internal/fuzzing -time 5m ./wire ./child
//
// The budget is shared equally. Building the instrumented tests comes on top of
// it. A target that fails does not end the others; what it prints is shown, and
// the failing input is in its package's testdata/fuzz, where go test runs it from
// then on. The exit status is 1 if any failed.
//
// Targets that measure memory write the worst they have seen into the directory
// that FUZZ_WORST_DIR names; it stands behind their line.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	budget := flag.Duration("time", 5*time.Minute, "time for all targets together")
	flag.Parse()
	packages := flag.Args()
	if len(packages) == 0 {
		packages = []string{"./..."}
	}
	if err := run(packages, *budget); err != nil {
		fmt.Fprintln(os.Stderr, "fuzzing:", err)
		os.Exit(1)
	}
}

func run(packages []string, budget time.Duration) error {
	targets, err := list(packages)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return fmt.Errorf("no fuzz targets in %s", strings.Join(packages, " "))
	}
	each := budget / time.Duration(len(targets))
	fmt.Printf("fuzzing %d targets for %v each\n", len(targets), each.Round(time.Second))
	var all result
	for _, t := range targets {
		r := t.fuzz(each)
		fmt.Printf("%-20s %-8s %9d execs %5d new interesting %d crashers  %s\n", t.name, filepath.Base(t.pkg), r.execs, r.interesting, r.crashers, r.memory)
		all.execs, all.interesting, all.crashers = all.execs+r.execs, all.interesting+r.interesting, all.crashers+r.crashers
	}
	fmt.Printf("fuzz: %d targets, %d execs, %d new interesting, %d crashers\n", len(targets), all.execs, all.interesting, all.crashers)
	if all.crashers > 0 {
		return fmt.Errorf("%d targets have failed", all.crashers)
	}
	return nil
}

// target is one fuzz function of a package.
type target struct{ pkg, name string }

// list asks the go command for all targets.
func list(packages []string) ([]target, error) {
	out, err := exec.Command("go", append([]string{"test", "-list", "^Fuzz"}, packages...)...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return parseList(string(out)), nil
}

// parseList reads what go test -list prints: the names of a package, then "ok"
// and the package.
func parseList(out string) (targets []target) {
	var names []string
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 1 && strings.HasPrefix(fields[0], "Fuzz"):
			names = append(names, fields[0])
		case len(fields) >= 2 && fields[0] == "ok":
			for _, name := range names {
				targets = append(targets, target{fields[1], name})
			}
			names = nil
		}
	}
	return targets
}

// result is what came of fuzzing.
type result struct {
	execs, interesting, crashers int
	memory                       string
}

func (t target) fuzz(limit time.Duration) result {
	dir, err := os.MkdirTemp("", "fuzzing")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
	}
	cmd := exec.Command("go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", limit.String(), "-fuzzminimizetime", "2s", t.pkg)
	cmd.Env = append(os.Environ(), "FUZZ_WORST_DIR="+dir)
	out, err := cmd.CombinedOutput()
	r := parseProgress(string(out))
	r.memory = worst(dir)
	if err != nil {
		r.crashers = 1 // the go command stops at the first
		fmt.Println(strings.TrimSpace(string(out)))
	}
	return r
}

var progress = regexp.MustCompile(`execs: (\d+) .*new interesting: (\d+)`)

// parseProgress takes the last of the lines in which go test -fuzz counts.
func parseProgress(out string) (r result) {
	if all := progress.FindAllStringSubmatch(out, -1); len(all) > 0 {
		last := all[len(all)-1]
		r.execs, _ = strconv.Atoi(last[1])
		r.interesting, _ = strconv.Atoi(last[2])
	}
	return r
}

var percent = regexp.MustCompile(`(\d+) % of the bound`)

// worst is the worst line that the processes of a target have left.
func worst(dir string) string {
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	var lines []string
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil {
			lines = append(lines, strings.TrimSpace(string(b)))
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return slices.MaxFunc(lines, func(a, b string) int { return share(a) - share(b) })
}

func share(line string) int {
	n := 0
	if m := percent.FindStringSubmatch(line); m != nil {
		n, _ = strconv.Atoi(m[1])
	}
	return n
}
