package child

import (
	"fmt"
	"slices"
	"sync"

	"github.com/verdigris-go/verdigris/internal/spawn"
)

// maxAbandoned is how many abandoned processes a program may have. With so many,
// nothing is started until one of them dies: what holds them would most likely
// hold the next one too.
const maxAbandoned = 8

// abandoned are the workers of this program that SIGKILL did not end.
var abandoned graveless

// graveless is a set of processes that have been killed and are not dead. Each
// leaves it when it dies at last.
type graveless struct {
	mu   sync.Mutex
	pids []int
}

// add takes a process in; atLast is called when it has died.
func (g *graveless) add(p *spawn.Process, atLast func()) {
	g.mu.Lock()
	g.pids = append(g.pids, p.PID())
	g.mu.Unlock()
	go func() {
		<-p.Done()
		atLast()
		g.remove(p.PID())
	}()
}

func (g *graveless) remove(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := slices.Index(g.pids, pid)
	g.pids = slices.Delete(g.pids, at, at+1)
}

// check returns an *AbandonedError when there are too many.
func (g *graveless) check() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.pids) < maxAbandoned {
		return nil
	}
	return &AbandonedError{PIDs: slices.Clone(g.pids)}
}

// AbandonedError says that a worker was not started because this program has
// too many (8) that did not die of SIGKILL. Starts succeed again when one of
// them has died.
type AbandonedError struct {
	PIDs []int // of the processes, the oldest first
}

func (e *AbandonedError) Error() string {
	return fmt.Sprintf("child: %d workers have not died of SIGKILL (pids %v), no more are started until one has: look at /proc/PID/stack; a frozen cgroup or a dead file system may hold them", len(e.PIDs), e.PIDs)
}
