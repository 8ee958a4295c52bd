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
