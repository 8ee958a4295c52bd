package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The program of the README is this one, and does what the README says.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```go\n"+string(source)+"```\n") {
		t.Error("README.md does not show examples/survive/main.go as it is")
	}
	if n := strings.Count(string(source), "\n"); n >= 30 {
		t.Errorf("the program has %d lines, it should have fewer than 30", n)
	}
}

func TestSurvives(t *testing.T) {
	if out, err := exec.Command("go", "env", "CGO_ENABLED").Output(); err != nil || strings.TrimSpace(string(out)) != "1" {
		t.Skip("SKIPPED: the crash is C code, and cgo is off here")
	}
	binary := filepath.Join(t.TempDir(), "survive")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`^4 <nil>
0 worker squarer \(pid \d+, run 1\) crashed with a segmentation fault: address 0x[0-9a-f]+, in C\.square called by main\.init\.func1 \(main\.go:15\), while running square
9 <nil>
$`)
	if !want.Match(out) {
		t.Errorf("it printed\n%s", out)
	}
}
