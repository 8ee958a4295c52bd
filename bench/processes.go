//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is what this process and the others have used so far.
func processorTime(pids ...int) (sum time.Duration, err error) {
	for _, pid := range append(pids, os.Getpid()) {
		var ts unix.Timespec
		clock := ^int32(pid)<<3 | 2 // the clock of a process, as clock_getcpuclockid(3) makes it
		if err := unix.ClockGettime(clock, &ts); err != nil {
			return 0, fmt.Errorf("the processor time of process %d: %w", pid, err)
		}
		sum += time.Duration(ts.Nano())
	}
	return sum, nil
}

// monotonic is the kernel's clock that all processes share.
func monotonic() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		panic("no CLOCK_MONOTONIC") // Linux has one
	}
	return time.Duration(ts.Nano())
}

// pss is the memory of a process in bytes, what it shares with others divided among them.
func pss(pid int) (float64, error) {
	return field(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:", 1<<10)
}

// threads counts this process's threads.
func threads() (float64, error) { return field("/proc/self/status", "Threads:", 1) }

// descriptors counts this process's open files.
func descriptors() (float64, error) {
	open, err := filepath.Glob("/proc/self/fd/*")
	return float64(len(open)), err
}

// field reads the number behind a word.
func field(file, word string, scale float64) (float64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(text)) {
		if f := strings.Fields(l); len(f) > 1 && f[0] == word {
			v, err := strconv.ParseFloat(f[1], 64)
			return v * scale, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, word)
}

// pin keeps the calling thread on one core; core -1 lets it run on all again.
// Whoever calls it has locked the goroutine to its thread.
func pin(core int) error {
	set := allowed
	if core >= 0 {
		set.Zero()
		set.Set(core)
	}
	return unix.SchedSetaffinity(0, &set)
}

// allowed are the cores that this process may use.
var allowed = func() (set unix.CPUSet) {
	if unix.SchedGetaffinity(0, &set) != nil {
		set.Set(0)
	}
	return set
}()

// lastCore is the core for what is pinned: interrupts tend to come to the first.
func lastCore() int {
	for core := 1023; core > 0; core-- {
		if allowed.IsSet(core) {
			return core
		}
	}
	return 0
}
