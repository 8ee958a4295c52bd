package child

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/verdigris-go/verdigris/internal/cgroup"
)

const minTasks = 16 // with less, a Go runtime that has two processors may lack a thread to collect garbage with

// Limiter says by what a limit is kept.
type Limiter uint8

// The limiters.
const (
	Unlimited   Limiter = iota // there is no limit
	LimitCgroup                // a control group of the run's own
	LimitWatch                 // RLIMIT_DATA, and a watch over the worker's resident memory
)

var limiterWords = [...]string{Unlimited: "no limit", LimitCgroup: "control group", LimitWatch: "RLIMIT_DATA and watch"}

func (l Limiter) String() string {
	if int(l) < len(limiterWords) {
		return limiterWords[l]
	}
	return fmt.Sprintf("Limiter(%d)", uint8(l))
}

// MarshalText is String.
func (l Limiter) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// runtimeSettings are what a worker's Go runtime is told about its share of the
// machine. Without them each of many workers would use all processors for its
// garbage collection, and learn of its memory limit by dying of it.
func (c *Config) runtimeSettings() map[string]string {
	s := map[string]string{"GOMAXPROCS": strconv.Itoa(min(runtime.GOMAXPROCS(0), c.Concurrency+1))}
	if c.Memory > 0 {
		s["GOMEMLIMIT"] = strconv.FormatInt(c.Memory/10*9, 10)
	}
	return s
}

// limit sees to what can only be done to a process that is there.
func (r *run) limit() {
	if err := yieldToOOM(r.proc.PID()); err != nil {
		r.logs.note("the worker's oom_score_adj could not be raised", slog.Any("error", err))
	}
	lookForOOM()
	if r.hold.enforced.Memory != LimitCgroup {
		warnOfOOM(r.cfg.Logger, cgroup.Find().OOMTakesAll())
	}
	if e := &r.hold.enforced; e.Memory == LimitWatch {
		if err := r.watchMemory(); err != nil && !r.deadWithin(0) {
			e.Memory, e.MemoryWhy = Unlimited, err.Error()
			r.logs.tell(slog.LevelWarn, "the worker's memory is not limited", slog.Any("error", err))
		}
	}
}

// watchMemory bounds the memory of a worker that has no control group for it.
// What is too fast for the watch meets RLIMIT_DATA.
func (r *run) watchMemory() error {
	pid, c := r.proc.PID(), r.cfg
	if err := limitData(pid, dataFor(c.Memory, c.Concurrency)); err != nil {
		return err
	}
	if c.tune.noWatch {
		return nil
	}
	size, err := residentSize(pid)
	if err != nil {
		return err
	}
	go func() {
		defer size.close()
		watchSize(r.proc.Done(), c.Memory, size.bytes, func(used int64) {
			r.kill(order{cause: OutOfMemory, detail: fmt.Sprintf("it used %s, and its Config.Memory is %s", mib(used), mib(c.Memory))})
		})
	}()
	return nil
}

// dataFor is an RLIMIT_DATA that a worker with so much memory does not meet before
// the watch sees it. The kernel counts what has been mapped to be written to, used
// or not: tables of the Go runtime (64 MiB and more of them), and 8 MiB of stack
// for each thread in a program with cgo.
func dataFor(memory int64, concurrency int) int64 {
	const stack = 8 << 20
	return memory*dataFactor + dataOfRuntime + int64(2*concurrency)*stack
}

// watchSize looks at a size until done is closed, the more often the nearer it
// is to the limit, and calls over, once, when it is above.
func watchSize(done <-chan struct{}, limit int64, size func() int64, over func(used int64)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-done:
			return
		case <-timer.C:
		}
		used := size()
		if used > limit {
			over(used)
			return
		}
		timer.Reset(nextLook(limit - used))
	}
}

// nextLook is when a size should be looked at again: before a process that does
// nothing but fill memory, at 2 GiB/s, can have used up the room.
func nextLook(room int64) time.Duration {
	const fastest = 2 << 30 // bytes in a second
	return min(max(time.Duration(float64(room)/fastest*float64(time.Second)), 5*time.Millisecond), 500*time.Millisecond)
}

// mib is an amount of memory for people.
func mib(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

// shortage is what speaks for a death by lack of memory or of tasks.
type shortage struct {
	memory     int64  // Config.Memory, 0 if there is no limit
	byData     bool   // kept by RLIMIT_DATA
	tasks      int    // Config.Tasks, 0 if there is no limit
	kills      uint64 // by the OOM killer in the run's own group
	peak       int64  // memory used by that group, 0 if not known
	refused    uint64 // times that the limit of tasks was met
	sharedRose bool   // the OOM killer has been at work in the parent's group
	systemRose bool   // the OOM killer has been at work somewhere on the machine
}

// shortage gathers the evidence after a death, before the group is closed.
func (h *hold) shortage(c *Config) shortage {
	s := shortage{memory: c.Memory, byData: h.enforced.Memory == LimitWatch, tasks: c.Tasks}
	if h.group != nil {
		s.kills, _ = h.group.OOMKills()
		s.peak, _ = h.group.Peak()
		s.refused, _ = h.group.TaskRefusals()
	}
	if h.enforced.Memory == LimitCgroup {
		return s
	}
	var known bool
	if s.sharedRose, known = sharedKills.blame(); !known {
		s.systemRose, _ = systemKills.blame()
	}
	return s
}

// explain puts the evidence together with how a worker has ended by itself.
func (s shortage) explain(e Exit) (Cause, string) {
	killed := e.Observed.Signal == syscall.SIGKILL
	failed := e.Cause == Fatal || e.Cause == Aborted || e.Cause == Exited && e.Observed.Code != 0
	switch {
	case s.kills > 0 && killed:
		return OutOfMemory, s.atLimit("the kernel killed it")
	case s.kills > 0:
		return e.Cause, also(e.Detail, fmt.Sprintf("%s; the kernel had killed %d of its processes", s.atLimit("it had been"), s.kills))
	case s.memory > 0 && (e.Cause == OutOfMemory || failed && s.toldBy(e)):
		return OutOfMemory, also(s.atLimit("its runtime got no more memory"), e.Detail)
	case s.sharedRose && killed:
		return OutOfMemory, "the OOM killer has ended a process of the control group that it shares with its parent, presumably this one"
	case s.systemRose && killed:
		return e.Cause, also(e.Detail, "the OOM killer has ended a process of this machine, perhaps this one")
	case s.refused > 0 && failed:
		return e.Cause, also(e.Detail, fmt.Sprintf("it had met its Config.Tasks of %d, which counts threads too, %d times", s.tasks, s.refused))
	}
	return e.Cause, e.Detail
}

// atLimit says what happened at which limit.
func (s shortage) atLimit(what string) string {
	text := fmt.Sprintf("%s at its Config.Memory of %s", what, mib(s.memory))
	if s.peak > 0 {
		text += fmt.Sprintf(" (peak %s)", mib(s.peak))
	}
	return text
}

func also(detail, more string) string {
	if detail == "" || more == "" {
		return detail + more
	}
	return detail + "; " + more
}

// toldBy reports whether a runtime gave up because RLIMIT_DATA refused it memory,
// or the stack of a C thread. It says so on stderr, where everybody may write, so
// that counts only together with that limit.
func (s shortage) toldBy(e Exit) bool {
	text := e.Detail + "\n" + e.Reported.Trace + "\n" + e.Reported.Stderr
	return s.byData && slices.ContainsFunc(noMemory, func(words string) bool { return strings.Contains(text, words) })
}

// noMemory is what runtimes say: Go's, cgo's, and the race detector's.
var noMemory = []string{"out of memory", "cannot allocate memory", "pthread_create failed", "ThreadSanitizer failed to allocate"}

// oomCounter attributes the rises of a counter of the OOM killer's that is not
// a worker's alone to workers that have been killed. Each rise is one death, and
// one that nobody has claimed for a while was somebody else's.
type oomCounter struct {
	read func() (kills uint64, ok bool)

	mu     sync.Mutex
	spent  uint64    // that belong to somebody
	last   uint64    // at the last look
	lastAt time.Time // of it; zero before the first
}

// Workers without a control group of their own share these.
var (
	sharedKills = &oomCounter{read: func() (uint64, bool) { return cgroup.Find().SharedOOM() }}
	systemKills = &oomCounter{read: oomKillsOfSystem}
)

// lookForOOM is called at every start and every heartbeat.
func lookForOOM() {
	sharedKills.look()
	systemKills.look()
}

const oomFresh = 10 * time.Second // within which a death is told

// look is called now and then: what was there before the first look, and what is
// there for a while, is nobody's.
func (c *oomCounter) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.lastAt.IsZero()
	if !first && time.Since(c.lastAt) < oomFresh {
		return
	}
	c.spent = max(c.spent, c.last)
	c.last, _ = c.read()
	c.lastAt = time.Now()
	if first {
		c.spent = c.last
	}
}

// blame reports whether there is a rise for a worker that has just died, and
// whether that can be known here.
func (c *oomCounter) blame() (rose, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, known := c.read()
	if rose = known && n > c.spent; rose {
		c.spent++
	}
	return rose, known
}

// warned is set when the danger has been told, once in a program.
var warned atomic.Bool

// warnOfOOM tells that a worker that runs out of memory other than in a control
// group of its own would take this program with it.
func warnOfOOM(log *slog.Logger, danger cgroup.Danger) {
	if danger.Why == "" || warned.Swap(true) {
		return
	}
	level := slog.LevelInfo
	if danger.Certain {
		level = slog.LevelWarn
	}
	log.Log(context.Background(), level, "a worker that runs out of memory may take this program with it: "+danger.Why)
}
