package spawn

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The toolchain's own reader is the judge.
func TestBuildIDOfThisProgram(t *testing.T) {
	checkLeaks(t)
	id, err := BuildID()
	must(t, err)
	path, err := os.Executable()
	must(t, err)
	out, err := exec.Command("go", "tool", "buildid", path).Output()
	if err != nil {
		t.Skip("no toolchain to compare with: ", err)
	}
	if want := strings.TrimSpace(string(out)); id != want {
		t.Errorf("build id %q, want %q", id, want)
	}
}

// The note in memory is the one of the file, and is found: else each start of a
// worker would read the file.
func TestBuildIDInMemory(t *testing.T) {
	checkLeaks(t)
	inFile, err := fileBuildID()
	must(t, err)
	if mapped, ok := mappedBuildID(); !ok || mapped != inFile {
		t.Errorf("build id %q in memory (found: %v), %q in the file", mapped, ok, inFile)
	}
}
