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

// MarshalText is String.
func (c Contain) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Enforced is what really holds for a run, which may be less than its Config
// would like to have.
type Enforced struct {
	Kill    Contain // by what everything the worker has started is killed; never ContainAuto
	KillWhy string  // why it is nothing stronger; "" when it is what was asked for

	Memory    Limiter // by what Config.Memory is kept
	MemoryWhy string  // why it is not by a control group, although Memory is set
	Tasks     Limiter // by what Config.Tasks is kept
}

// sweepLimit bounds the search for what has left its worker's process group.
const sweepLimit = 5 * time.Second

// hold is what all that a run has started is killed by, and what keeps its
// limits. Its methods may be called from any goroutine.
type hold struct {
	enforced Enforced
	group    *cgroup.Group // nil if neither killing nor a limit needs one
	limits   cgroup.Limits // of the group
	mark     string        // with ContainGroup: what all of it has in its environment
	proc     *spawn.Process

	once  sync.Once // end
	ended chan struct{}
	err   error // written before ended is closed
}

// newHold makes what has to be there before the worker is.
func newHold(c *Config) (*hold, error) {
	host := c.host()
	h, err := c.hold(host)
	if err != nil || !h.wantsGroup() {
		return h, err
	}
	if h.group, err = host.New(h.limits); err == nil {
		return h, nil
	}
	without, unheld := c.hold(noGroups(err.Error()))
	if unheld != nil {
		return nil, err
	}
	return without, nil
}

// hold decides how a run is held on a machine that can do so much. What has
// been asked for and cannot be had is an error, but for Memory, for which there
// is another way.
func (c *Config) hold(host *cgroup.Host) (*hold, error) {
	h := &hold{enforced: Enforced{Kill: c.Contain}}
	e := &h.enforced
	switch {
	case c.Contain == ContainCgroup && !host.Kill.OK:
		return nil, fmt.Errorf("Config.Contain is ContainCgroup: %s", host.Kill.Why)
	case c.Tasks > 0 && !host.Tasks.OK:
		return nil, fmt.Errorf("Config.Tasks cannot be kept here: %s", host.Tasks.Why)
	case c.Contain == ContainAuto && host.Kill.OK:
		e.Kill = ContainCgroup
	case c.Contain == ContainAuto:
		e.Kill, e.KillWhy = ContainGroup, host.Kill.Why
	}
	if e.Kill == ContainGroup {
		h.mark = sweep.NewMark()
	}
	if c.Tasks > 0 {
		h.limits.Tasks, e.Tasks = c.Tasks, LimitCgroup
	}
	if c.Memory > 0 && host.Memory.OK {
		h.limits.Memory, e.Memory = c.Memory, LimitCgroup
	} else if c.Memory > 0 {
		e.Memory, e.MemoryWhy = LimitWatch, host.Memory.Why
	}
	return h, nil
}

func (h *hold) wantsGroup() bool {
	return h.enforced.Kill == ContainCgroup || h.limits != cgroup.Limits{}
}

// host is what control groups can do for this worker.
func (c *Config) host() *cgroup.Host {
	if c.tune.noGroups {
		return noGroups("the test wants none")
	}
	return cgroup.Find()
}

// noGroups is a machine on which control groups can do nothing.
func noGroups(why string) *cgroup.Host {
	no := cgroup.Support{Why: why}
	return &cgroup.Host{Kill: no, Memory: no, Tasks: no}
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
// groups and refuse to start a process in one: then it is done without, if that
// is still what has been asked for.
func (h *hold) start(c spawn.Command, cfg *Config) (err error) {
	plain := c
	h.prepare(&c)
	h.proc, err = spawn.Start(c)
	if err == nil && h.group != nil {
		h.group.Born()
	}
	if err == nil || h.group == nil || spawn.Shortage(err) {
		return err
	}
	without, unheld := cfg.hold(noGroups("a process cannot be started in a control group here: " + err.Error()))
	if unheld != nil {
		return err
	}
	_ = h.group.Close() // nothing lives in it
	h.group, h.enforced, h.mark = nil, without.enforced, without.mark
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

// clear leaves nothing. The kernel has killed a PID namespace with its first process.
func (h *hold) clear() error {
	var swept, closed error
	if h.mark != "" && h.proc != nil {
		swept = sweep.Kill(h.mark, sweepLimit)
	}
	if h.group != nil {
		closed = h.group.Close()
	}
	return errors.Join(swept, closed)
}
