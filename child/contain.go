package child

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/verdigris-go/verdigris/internal/cgroup"
	"github.com/verdigris-go/verdigris/internal/spawn"
	"github.com/verdigris-go/verdigris/internal/sweep"
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

// sweepLimit bounds the search for what has left its worker's process group.
const sweepLimit = 5 * time.Second

// hosts says what control groups can do here. It is a variable so that a test
// can play a machine without them.
var hosts = cgroup.Find

// hold is what all that a run has started is killed by. Its methods may be
// called from any goroutine.
type hold struct {
	enforced Enforced
	group    *cgroup.Group // with ContainCgroup
	mark     string        // with ContainGroup: what all of it has in its environment
	proc     *spawn.Process

	once  sync.Once // end
	ended chan struct{}
	err   error // written before ended is closed
}

// newHold makes what has to be there before the worker is.
func newHold(want Contain) (*hold, error) {
	h := &hold{enforced: Enforced{Kill: want}}
	switch want {
	case ContainPIDNamespace:
		return h, nil
	case ContainAuto, ContainCgroup:
		var err error
		if h.group, err = newGroup(); err == nil {
			h.enforced.Kill = ContainCgroup
			return h, nil
		} else if want == ContainCgroup {
			return nil, fmt.Errorf("Config.Contain is ContainCgroup: %w", err)
		}
		h.sweeps(err)
	case ContainGroup:
		h.sweeps(nil)
	}
	return h, nil
}

func newGroup() (*cgroup.Group, error) {
	host := hosts()
	if !host.Kill.OK {
		return nil, errors.New(host.Kill.Why)
	}
	return host.New(cgroup.Limits{})
}

// sweeps makes the process group and the sweep the way to end all of it, since
// there is nothing stronger.
func (h *hold) sweeps(why error) {
	h.enforced.Kill, h.mark = ContainGroup, sweep.NewMark()
	if why != nil {
		h.enforced.KillWhy = why.Error()
	}
}

// prepare lets a worker be born under the hold.
func (h *hold) prepare(c *spawn.Command) {
	if h.mark != "" {
		c.Env = append(c.Env, sweep.Var+"="+h.mark)
	} else if sweep.Inherited != "" {
		c.Env = append(c.Env, sweep.Var+"="+sweep.Inherited)
	}
	if h.group != nil {
		c.Cgroup, c.Enter = h.group.File(), h.group.Enter
	}
	c.PIDNamespace = h.enforced.Kill == ContainPIDNamespace
}

// start starts the worker. A kernel or a container's policy may know control
// groups and refuse to start a process in one: then, if nobody has asked for it,
// it is done without.
func (h *hold) start(c spawn.Command, want Contain) (err error) {
	plain := c
	h.prepare(&c)
	h.proc, err = spawn.Start(c)
	if err == nil || h.group == nil || want != ContainAuto || spawn.Shortage(err) {
		return err
	}
	refused := err
	_ = h.group.Close() // nothing lives in it
	h.group = nil
	h.sweeps(fmt.Errorf("a process cannot be started in a control group here: %w", refused))
	h.prepare(&plain)
	h.proc, err = spawn.Start(plain)
	return err
}

// kill begins to end all of it at once, the worker included, and waits for
// nothing. Where there is a sweep, it comes with end.
func (h *hold) kill() {
	if h.group != nil {
		_ = h.group.Kill() // the signal to the process group is sent anyway
	}
	_ = h.proc.SignalGroup(syscall.SIGKILL) // fails only when it is dead already
}

// end is called when the worker is dead, or was never born, and begins to end
// what it has left behind. left waits for that, and says what could not be
// ended. A second call only waits.
func (h *hold) end() (left func() error) {
	h.once.Do(func() {
		h.ended = make(chan struct{})
		go func() {
			defer close(h.ended)
			h.err = h.clear()
		}()
	})
	return func() error {
		<-h.ended
		return h.err
	}
}

// endLater is end for when the worker has died.
func (h *hold) endLater() {
	go func() {
		<-h.proc.Done()
		h.end()
	}()
}

func (h *hold) clear() error {
	switch {
	case h.group != nil:
		return h.group.Close()
	case h.mark != "" && h.proc != nil:
		return sweep.Kill(h.mark, sweepLimit)
	}
	return nil // the kernel has killed a PID namespace with its first process
}
