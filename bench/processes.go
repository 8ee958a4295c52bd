//go:build linux

package main

import (
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/bench/measure"
)

// threads counts this process's threads.
func threads() (float64, error) { return measure.Field("/proc/self/status", "Threads:", 1) }

// descriptors counts this process's open files.
func descriptors() (float64, error) {
	open, err := filepath.Glob("/proc/self/fd/*")
	return float64(len(open)), err
}

// pin keeps the calling thread on one core; free lets it run on all again.
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
