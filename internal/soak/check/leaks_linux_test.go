package check_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/internal/soak/check"
)

// Whatever is left behind is found, and nothing else is.
func TestLeaks(t *testing.T) {
	const nonce = "CHECK_NONCE=leaks"
	dir := t.TempDir()
	ground := check.NewGround(nonce, dir)
	find := func(want ...string) {
		t.Helper()
		found := strings.Join(ground.Leaks(0), "\n")
		if len(want) == 0 && found != "" {
			t.Errorf("found %s", found)
		}
		for _, w := range want {
			if !strings.Contains(found, w) {
				t.Errorf("%q is not among\n%s", w, found)
			}
		}
	}
	find()

	sleeper := exec.Command("sleep", "60")
	sleeper.Env = []string{"A=b", nonce}
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	started := func() bool { return len(check.Bearers(nonce)) == 1 }
	for limit := time.Now().Add(10 * time.Second); !started() && time.Now().Before(limit); time.Sleep(time.Millisecond) {
	}
	find("process ", "sleep 60", "child ")
	_ = sleeper.Process.Kill()
	_ = sleeper.Wait()
	find()

	open, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	find("descriptor: /dev/null")
	open.Close()

	stay := make(chan struct{})
	for range 10 { // one of the runtime's may just have ended
		go func() { <-stay }()
	}
	find(check.Goroutine)
	close(stay)

	file := filepath.Join(dir, "core")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	find("file: " + file)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if left := ground.Leaks(10 * time.Second); len(left) > 0 {
		t.Error(left)
	}
}
