package pool

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/strategy"
)

// NoQueue as [Config.Queue]: a call that finds no free worker fails at once.
const NoQueue = -1

// Config describes a pool. The zero value is usable: a worker for each processor.
type Config struct {
	// Name of the pool in errors and in the tree; the workers' name if empty.
	Name string

	// Size is the number of workers, 1 to 4096. 0: runtime.GOMAXPROCS.
	Size int

	// MinReady is how many workers must be ready until the pool is, 1 to Size. 0: one.
	MinReady int

	// Queue is how many calls may wait for a free worker. 0: 64 for each call that
	// can run at once; NoQueue: none. A call beyond that gets an *OverloadedError.
	Queue int

	// Worker describes each of the workers. Their names are its Name with a number.
	// Wait is how long calls wait while not one worker is up; Ahead is not used:
	// calls that cannot run yet wait in the pool, where any worker can take them.
	Worker child.Config

	// Intensity limits how often workers may die before they are ready, or while
	// they are idle. Zero: twice the Size and at least 5, within 30 s.
	Intensity strategy.Intensity

	// Backoff delays the restarts of one worker. Zero: at most 2 ms at first, 20 ms
	// after several deaths in a row; a run of 20 ms was healthy.
	Backoff strategy.Backoff
}

const maxSize = 4096

func (c Config) withDefaults() (Config, error) {
	if c.Worker.Name == "" {
		c.Worker.Name = "worker"
	}
	if c.Name == "" {
		c.Name = c.Worker.Name
	}
	if c.Size == 0 {
		c.Size = runtime.GOMAXPROCS(0)
	}
	if c.MinReady == 0 {
		c.MinReady = 1
	}
	if c.Worker.Concurrency == 0 {
		c.Worker.Concurrency = 1
	}
	if c.Queue == 0 {
		c.Queue = max(64*c.Size*c.Worker.Concurrency, 0)
	}
	if c.Worker.Wait == 0 {
		c.Worker.Wait = 5 * time.Second
	}
	if c.Intensity == (strategy.Intensity{}) {
		c.Intensity = strategy.Intensity{Restarts: max(5, 2*c.Size), Period: 30 * time.Second}
	}
	if c.Backoff == (strategy.Backoff{}) {
		c.Backoff = strategy.Backoff{Initial: 2 * time.Millisecond, Max: 20 * time.Millisecond}
	}
	return c, c.check()
}

func (c Config) check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if err := c.Worker.Check(); err != nil {
		faults = append(faults, err)
	}
	if c.Size < 1 || c.Size > maxSize {
		fault("Size %d is not in 1..%d", c.Size, maxSize)
	}
	if c.MinReady < 1 || c.MinReady > c.Size {
		fault("MinReady %d is not in 1..Size", c.MinReady)
	}
	if c.Queue < NoQueue {
		fault("Queue %d is negative", c.Queue)
	}
	if !c.Intensity.Valid() {
		fault("Intensity %+v has a negative number", c.Intensity)
	}
	if !c.Backoff.Valid() {
		fault("Backoff %+v has a negative number, or Max below Initial", c.Backoff)
	}
	if faults != nil {
		return fmt.Errorf("pool: Config of %q: %w", c.Name, errors.Join(faults...))
	}
	return nil
}

// worker is the configuration of the n-th worker.
func (c Config) worker(n int) child.Config {
	w := c.Worker
	w.Name = fmt.Sprintf("%s-%d", w.Name, n)
	w.Ahead = -1
	w.Wait = child.NoWait
	return w
}
