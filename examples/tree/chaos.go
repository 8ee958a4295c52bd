package main

import (
	"os"
	"sync"
)

// chaos returns what the batch calls after each verdict. Once, when half of the images have theirs, it kills the
// index's process: not through this library, but as the kernel does when memory is short, or an operator by hand.
func (t *tour) chaos() func(settled, of int) {
	var once sync.Once
	return func(settled, of int) {
		if t.options.chaos && settled >= (of+1)/2 {
			once.Do(t.killIndex)
		}
	}
}

func (t *tour) killIndex() {
	pid := t.index.Stats().PID
	process, err := os.FindProcess(pid)
	if pid == 0 || err != nil {
		return // it is dead already
	}
	t.console.Warn("chaos: killing the index, as the kernel's out-of-memory killer would", "pid", pid)
	if err := process.Kill(); err != nil {
		t.console.Error("chaos failed", "error", err)
	}
}
