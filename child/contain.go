package child

import (
	"fmt"
	"syscall"

	"github.com/verdigris-go/verdigris/internal/spawn"
)

// Contain says how everything that a worker has started is held together, so
// that it ends when the worker does.
type Contain uint8

const (
	// ContainAuto takes a control group where one can be had by the rules of
	// whoever manages them on this machine, and otherwise ContainGroup.
	ContainAuto Contain = iota
	// ContainGroup takes the worker's process group, and then searches /proc for
	// those that have left it.
	ContainGroup
	// ContainCgroup takes a control group (cgroups(7)) for each run.
	ContainCgroup
	// ContainPIDNamespace takes a PID namespace (pid_namespaces(7)) for each run, in
	// which the worker is process 1.
	ContainPIDNamespace
)

var containWords = [...]string{
	ContainAuto: "automatic", ContainGroup: "process group and sweep", ContainCgroup: "control group", ContainPIDNamespace: "PID namespace",
}

func (c Contain) String() string {
	if int(c) < len(containWords) {
		return containWords[c]
	}
	return fmt.Sprintf("Contain(%d)", uint8(c))
}

// Enforced is what really holds for a run, which may be less than its Config
// would like to have.
type Enforced struct {
	Kill    Contain // by what everything the worker has started is killed; never ContainAuto
	KillWhy string  // why it is nothing stronger; "" when it is what was asked for
}

// hold is what all that a run has started is killed by. Its methods may be
// called from any goroutine.
type hold struct {
	enforced Enforced
	proc     *spawn.Process
}

// kill begins to end all of it at once, the worker included, and does not wait.
func (h *hold) kill() {
	_ = h.proc.SignalGroup(syscall.SIGKILL) // fails only when it is dead already
}

// end is called when the worker is dead. When it returns nothing is left of
// what the worker has started.
func (h *hold) end() {}
