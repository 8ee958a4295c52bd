package child_test

import (
	"log/slog"
	"os"
	"testing"

	"github.com/verdigris-go/verdigris/child"
	_ "github.com/verdigris-go/verdigris/child/cfault"
	"github.com/verdigris-go/verdigris/internal/dying"
)

// roleVar makes this test program play a part in a test: a parent that dies, or
// a worker that does not keep to the protocol. Roles are in the files of the
// tests that need them.
const roleVar = "CHILD_TEST_ROLE"

// noticeVar makes a worker tell of faults in C before it is dead.
const noticeVar = "CHILD_TEST_NOTICE"

var notice = []string{noticeVar + "=1"}

var roles = map[string]func(){}

func TestMain(m *testing.M) {
	if role := roles[os.Getenv(roleVar)]; role != nil {
		role()
		os.Exit(0)
	}
	if os.Getenv(noticeVar) == "" {
		dying.Arm = nil // as in a program without package cfault
	}
	child.Init()
	slog.SetDefault(slog.New(slog.DiscardHandler)) // of the parent: tests that look at records have a logger
	os.Exit(m.Run())
}
