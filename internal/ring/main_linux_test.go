package ring

import (
	"os"
	"os/exec"
	"testing"
)

// roleVar makes this test program play a worker instead of running tests.
const roleVar = "RING_TEST_ROLE"

// roles are what it can play.
var roles = map[string]func(){}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		roles[role]()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// opened is a worker's side, in a worker.
func opened() *Worker {
	w, err := Open([Files]int{3, 4, 5})
	if err != nil {
		panic(err)
	}
	return w
}

// start starts a worker that plays a role.
func start(t testing.TB, role string, o Options) (*Ring, *exec.Cmd) {
	t.Helper()
	r, err := New(o)
	must(t, err)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env, cmd.ExtraFiles, cmd.Stderr = []string{roleVar + "=" + role, "GORACE=atexit_sleep_ms=0"}, r.Files(), os.Stderr
	must(t, cmd.Start())
	r.Passed()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		r.Close()
	})
	return r, cmd
}
