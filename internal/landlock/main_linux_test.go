package landlock

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
const roleVar = "LANDLOCK_TEST_ROLE"

// earlyVar is a file that a package variable reads.
const earlyVar = "LANDLOCK_TEST_EARLY"

var _, early = os.ReadFile(os.Getenv(earlyVar))

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
	"attempt": playAttempt,
	"early":   playEarly,
	"exec":    playExec,
	"gap":     playGap,
	"nothing": func([]string) error { return nil },
	"others":  playOthers,
	"spawner": playSpawner,
	"stay":    playStay,
}

// nobody is who has no privilege.
const nobody = 65534

// self is this test program in a role, as a user, if we may.
func self(ctx context.Context, uid int, role ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Env = []string{roleVar + "=" + strings.Join(role, " "), "GORACE=atexit_sleep_ms=0"}
	if uid != os.Getuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	return cmd
}

// play runs a role to its end and gives what it printed.
func play(t testing.TB, uid int, role ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := self(ctx, uid, role...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	var died *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &died) {
		t.Fatal(err)
	}
	return out.String()
}

// users are those that tests are run as.
func users() []int {
	if os.Getuid() != 0 {
		return []int{os.Getuid()}
	}
	return []int{0, nobody}
}

// kernel is this one, if it has Landlock.
func kernel(t testing.TB) ABI {
	t.Helper()
	k := Probe()
	if k.Err != nil {
		t.Skip(k.Err)
	}
	return k.ABI
}

// restrict compiles for this kernel, and restricts the calling thread.
func restrict(p Policy) error {
	plan, err := p.Compile(Probe().ABI)
	if err != nil {
		return err
	}
	r, err := plan.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	return r.Restrict()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
