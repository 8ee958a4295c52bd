package seccomp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// limit bounds every wait of the tests.
const limit = 20 * time.Second

// roleVar makes this test program play a part instead of running tests: its
// first word says which, the others are the role's.
const roleVar = "SECCOMP_TEST_ROLE"

func TestMain(m *testing.M) {
	if words := strings.Fields(os.Getenv(roleVar)); len(words) > 0 {
		if err := roles[words[0]](words[1:]); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// roles are what this program can play.
var roles = map[string]func(args []string) error{
	"attempt":  playAttempt,
	"churn":    playChurn,
	"confined": playConfined,
	"diverge":  playDiverge,
	"foreign":  playForeign,
	"fooled":   playFooled,
	"nothing":  func([]string) error { return nil },
	"notify":   playNotify,
	"others":   playOthers,
	"spawner":  playSpawner,
	"threads":  playThreads,
	"trapped":  playTrapped,
}

// end is how a role ended.
type end struct {
	out, err string
	status   syscall.WaitStatus
}

func (e end) String() string {
	how := fmt.Sprintf("exit status %d", e.status.ExitStatus())
	if e.status.Signaled() {
		how = "signal: " + e.status.Signal().String()
	}
	return fmt.Sprintf("%s\n%s%s", how, e.out, e.err)
}

func (e end) killed() bool { return e.status.Signaled() && e.status.Signal() == syscall.SIGSYS }

// command is this test program in a role.
func command(ctx context.Context, exe string, role ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = []string{roleVar + "=" + strings.Join(role, " "), "GORACE=atexit_sleep_ms=0"}
	return cmd
}

func play(t testing.TB, role ...string) end {
	t.Helper()
	return playIn(t, "/proc/self/exe", role...)
}

func playIn(t testing.TB, exe string, role ...string) end {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return run(t, command(ctx, exe, role...))
}

func run(t testing.TB, cmd *exec.Cmd) end {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	var died *exec.ExitError
	if err != nil && !errors.As(err, &died) {
		t.Fatal(err)
	}
	return end{out.String(), stderr.String(), cmd.ProcessState.Sys().(syscall.WaitStatus)}
}

// native is the architecture that the tests run on.
func native(t testing.TB) Arch {
	t.Helper()
	a, ok := Native()
	if !ok {
		t.Skip("filters are loaded on amd64 and arm64 only")
	}
	return a
}

// load compiles and loads, in a role.
func load(f Filter, t Threads) (Program, error) {
	a, _ := Native()
	p, err := f.Compile(a)
	if err != nil {
		return p, err
	}
	return p, Load(p, t)
}
