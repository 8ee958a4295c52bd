//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/child"
)

// strike is a fault that the parent makes, at the lane of the call that it came with.
type strike struct {
	fault *fault
	lane  *lane
	rnd   *rand.Rand
}

// striker carries out what the callers have passed on, until there is nothing left.
func (s *soak) striker() {
	for k := range s.strikes {
		time.Sleep(time.Duration(k.rnd.Int64N(int64(2 * time.Millisecond))))
		if err := s.insist(k); err != nil {
			s.complain("fault %d, %s at %s: %v", k.fault.index, k.fault.kind.name, k.lane.name, err)
		}
		s.moved.Add(1)
	}
}

// errAgain says that there was nothing to strike at, at the moment.
var errAgain = errors.New("no worker to strike at")

// insist strikes until it has worked.
func (s *soak) insist(k *strike) error {
	for since := time.Now(); ; time.Sleep(time.Millisecond) {
		err := k.fault.kind.strike(s, k)
		if err == nil {
			return s.happened.Set(k.fault.index)
		}
		if !errors.Is(err, errAgain) || time.Since(since) > worthwhile {
			return err
		}
	}
}

// byParent are the faults that come from outside of the workers.
func byParent() []*kind {
	sends := func(sig syscall.Signal) *kind {
		return &kind{name: "outside-" + strings.ToLower(unix.SignalName(sig)), strike: func(s *soak, k *strike) error {
			return s.signal(k.victim(anyone), sig)
		}}
	}
	atStart := func(what string) *kind {
		return &kind{name: "start-" + what, rare: what == "hang", lanes: lanesFor(what), strike: func(s *soak, k *strike) error {
			return s.spoilStart(k, what)
		}}
	}
	return []*kind{
		sends(syscall.SIGKILL), sends(syscall.SIGSEGV), sends(syscall.SIGABRT), sends(syscall.SIGHUP), sends(syscall.SIGQUIT),
		sends(syscall.SIGTERM), sends(syscall.SIGUSR1),
		{name: "outside-sigint-group", strike: func(s *soak, k *strike) error { return s.signalGroup(k.victim(anyone), syscall.SIGINT) }},
		{name: "outside-sigterm-group", strike: func(s *soak, k *strike) error { return s.signalGroup(k.victim(anyone), syscall.SIGTERM) }},
		{name: "outside-stop-cont", strike: stopAndGo},
		{name: "outside-stop", rare: true, cause: child.Hung, lanes: func(l *lane) bool { return l.spare }, strike: func(s *soak, k *strike) error {
			return s.signal(k.victim(anyone), syscall.SIGSTOP) // the heartbeat finds out
		}},
		{name: "idle-killed", cause: child.Killed, lanes: func(l *lane) bool { return l.spare }, strike: func(s *soak, k *strike) error {
			return s.signal(k.victim(idle), syscall.SIGKILL)
		}},
		atStart("error"), atStart("panic"), atStart("exit"), atStart("kill"), atStart("hang"),
		{name: "start-killed", strike: killAtStart},
		{name: "worker-kill-called", ordered: true, cause: child.KillCalled, strike: func(_ *soak, k *strike) error { k.lane.killer.Kill(); return nil }},
		{name: "supervisor-killed", rare: true, lanes: func(l *lane) bool { return l.under != nil }, strike: func(_ *soak, k *strike) error {
			k.lane.under.Kill()
			return nil
		}},
		{name: "supervisor-restarted", rare: true, ordered: true, strike: restartBranch},
		{name: "no-descriptors-parent", rare: true, ordered: true, strike: useUpParent},
	}
}

// lanesFor keeps starts that hang to the worker that does not wait long for them.
func lanesFor(what string) func(*lane) bool {
	if what == "hang" {
		return func(l *lane) bool { return l.spare }
	}
	return nil
}

func anyone(child.Stats) bool { return true }
func idle(w child.Stats) bool { return w.InFlight == 0 }

// victim draws a worker of the lane that is up; 0 if there is none.
func (k *strike) victim(fit func(child.Stats) bool) (pid int) {
	all := slices.DeleteFunc(k.lane.stats(), func(w child.Stats) bool { return !w.Up || w.PID == 0 || !fit(w) })
	if len(all) == 0 {
		return 0
	}
	return all[k.rnd.IntN(len(all))].PID
}

// signal sends a signal to one of our workers, and to nobody else: between the
// look at the environment and the signal the process cannot become another one.
func (s *soak) signal(pid int, sig syscall.Signal) error {
	return s.hold(pid, func(fd int) error { return unix.PidfdSendSignal(fd, sig, nil, 0) })
}

// signalGroup sends it to the worker's process group.
func (s *soak) signalGroup(pid int, sig syscall.Signal) error {
	return s.hold(pid, func(fd int) error {
		err := unix.PidfdSendSignal(fd, sig, nil, unix.PIDFD_SIGNAL_PROCESS_GROUP)
		if err == unix.EINVAL { // before Linux 6.9
			err = unix.Kill(-pid, sig)
		}
		return err
	})
}

func (s *soak) hold(pid int, f func(fd int) error) error {
	if pid == 0 {
		return errAgain
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH || err == unix.EMFILE {
		return errAgain
	}
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(fd)
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil || !slices.Contains(strings.Split(string(env), "\x00"), s.nonce) {
		return errAgain
	}
	if err = f(fd); err == unix.ESRCH {
		return errAgain
	}
	return err
}

// stopAndGo stops a worker for a moment, as a debugger or a frozen host does.
func stopAndGo(s *soak, k *strike) error {
	pid := k.victim(anyone)
	if err := s.signal(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	time.Sleep(time.Duration(1+k.rnd.IntN(10)) * time.Millisecond)
	if err := s.signal(pid, syscall.SIGCONT); err != nil && !errors.Is(err, errAgain) { // killed meanwhile
		return err
	}
	return nil
}

// spoilStart makes the next start of a worker of the lane go wrong, and sees to
// it that there is one.
func (s *soak) spoilStart(k *strike, what string) error {
	s.ordering.Lock()
	defer s.ordering.Unlock()
	if err := giveOrder(s.dir, k.lane.name, k.fault.index, what); err != nil {
		return err
	}
	for since := time.Now(); time.Since(since) < worthwhile; {
		err := s.signal(k.victim(anyone), syscall.SIGKILL)
		if err != nil && !errors.Is(err, errAgain) {
			return err
		}
		if s.awaits(k.fault.index, 200*time.Millisecond) {
			return nil
		}
	}
	return errors.New("no worker was started")
}

// awaits waits for a fault that a worker makes.
func (s *soak) awaits(fault int, limit time.Duration) bool {
	for since := time.Now(); !s.happened.Get(fault); time.Sleep(time.Millisecond) {
		if time.Since(since) > limit {
			return false
		}
	}
	return true
}

// killAtStart kills a worker that is not ready yet.
func killAtStart(s *soak, k *strike) error {
	if err := s.spoilStart(k, "linger"); err != nil {
		return err
	}
	for since := time.Now(); time.Since(since) < 100*time.Millisecond; time.Sleep(time.Millisecond) {
		for _, w := range k.lane.stats() {
			if !w.Up && w.PID != 0 && s.signal(w.PID, syscall.SIGKILL) == nil {
				return nil
			}
		}
	}
	return errAgain
}

// restartBranch stops a branch of the tree in order, under load, and starts it again.
func restartBranch(s *soak, k *strike) error {
	s.ordering.Lock()
	defer s.ordering.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), worthwhile)
	defer cancel()
	if err := s.lanes.root.TerminateChild(ctx, k.lane.branch); err != nil {
		return fmt.Errorf("stopping %s: %w", k.lane.branch, err)
	}
	for {
		_, err := s.lanes.root.RestartChild(ctx, k.lane.branch)
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond) // its start may meet another fault
	}
}

// useUpParent leaves this process a few descriptors for a moment, while a worker
// has to be started again.
func useUpParent(s *soak, k *strike) error {
	s.ordering.Lock()
	defer s.ordering.Unlock()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		return err
	}
	limit := uint64(highestDescriptor() + 1 + k.rnd.IntN(24))
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: old.Max}); err != nil {
		return err
	}
	k.lane.killer.Kill()
	time.Sleep(time.Duration(5+k.rnd.IntN(20)) * time.Millisecond)
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
}

func highestDescriptor() int {
	highest := 0
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil {
			highest = max(highest, fd)
		}
	}
	return highest
}
