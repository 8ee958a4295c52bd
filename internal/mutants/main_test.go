package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The table keeps up with the code: what it replaces is there, once, and the
// tests it names exist.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range table {
		if seen[m.name] || m.name == "" || !regexp.MustCompile(`^F\d+( F\d+)*$`).MatchString(m.fault) {
			t.Errorf("%s: its name or its faults (%s)", m.name, m.fault)
		}
		seen[m.name] = true
		text, err := os.ReadFile(filepath.Join("../..", m.file))
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := m.apply(string(text)); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if !exists(t, m.in(), m.test) {
			t.Errorf("%s: there is no test %s in %s", m.name, m.test, m.in())
		}
	}
}

func exists(t *testing.T, pkg, test string) bool {
	files, err := filepath.Glob(filepath.Join("../..", pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "\nfunc "+test+"(t *testing.T)") {
			return true
		}
	}
	return false
}

func TestApply(t *testing.T) {
	m := mutant{old: "b", new: "x"}
	if got, err := m.apply("abc"); got != "axc" || err != nil {
		t.Error(got, err)
	}
	for _, text := range []string{"ac", "abcb"} {
		if _, err := m.apply(text); err == nil {
			t.Error(text)
		}
	}
}

func TestJudge(t *testing.T) {
	for out, want := range map[string]verdict{
		"=== RUN   TestA\n--- PASS: TestA (0.00s)\nPASS\n":      passed,
		"=== RUN   TestA\n--- FAIL: TestA (0.00s)\nFAIL\n":      failed,
		"=== RUN   TestA\n--- SKIP: TestA (0.00s)\nPASS\n":      skipped,
		"=== RUN   TestA\npanic: oh\n\ngoroutine 1 [running]:":  crashed,
		"=== RUN   TestAB\n--- FAIL: TestAB (0.00s)\nFAIL\n":    broken,
		"testing: warning: no tests to run\nPASS\n":             broken,
		"=== RUN   TestA\n    --- FAIL: TestA/x (0.00s)\npanic": crashed,
	} {
		if got := judge(out, "TestA"); got != want {
			t.Errorf("%q: %s, want %s", out, got, want)
		}
	}
}
