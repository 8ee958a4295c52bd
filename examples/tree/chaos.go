package main

import (
	"context"
	"os"
	"sync"
	"time"
)

// chaos returns what the batch calls after each verdict. Once, when three quarters of the images have theirs, it kills
// the index's process: not through this library, but as the kernel does when memory is short, or an operator by hand.
func (t *tour) chaos() func(ctx context.Context, settled, of int) {
	var once sync.Once
	return func(ctx context.Context, settled, of int) {
		if t.options.chaos && 4*settled >= 3*of {
			once.Do(func() { t.killIndex(ctx) })
		}
	}
}

// killIndex returns when the death has been noticed: the batch, in whose context this is, is stopped then, because it
// comes after the index.
func (t *tour) killIndex(ctx context.Context) {
	pid := t.index.Stats().PID
	process, err := os.FindProcess(pid)
	if pid == 0 || err != nil {
		return // it is dead already
	}
	t.console.Warn("chaos: killing the index, as the kernel's out-of-memory killer would", "pid", pid)
	if err := process.Kill(); err != nil {
		t.console.Error("chaos failed", "error", err)
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
		t.console.Error("chaos: nobody has noticed")
	}
}
