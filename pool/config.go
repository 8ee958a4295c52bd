package pool

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/strategy"
)

const (
	// NoQueue as [Config.Queue]: a call that finds no free worker fails at once.
	NoQueue = -1
	// NoSurge as [Config.Surge]: a worker ends before its replacement is started.
	NoSurge = -1
	// NoJitter as [Config.Jitter]: the limits of all workers are the same.
	NoJitter = -1
)

// Config describes a pool. The zero value is usable: a worker for each processor.
type Config struct {
	// Name of the pool in errors and in the tree; the workers' name if empty.
	Name string

	// Size is the number of workers, 1 to 4096. 0: runtime.GOMAXPROCS. See
	// [Pool.Resize].
	Size int

	// Max makes the pool elastic: when more calls wait or run than Size workers can
	// run at once, more are started, up to this number; Size to 4096. 0: none.
	Max int

	// Idle is how long workers beyond Size must not have been needed before they are
	// stopped, from 10 ms; they end one to two times as late. 0: 30 s.
	Idle time.Duration

	// Spares is how many more workers are kept started, ready and idle, 0 (the
	// default) to 4096. A spare takes the place of a worker that dies or is recycled at
	// once; one that dies then comes back as a spare. So a crash costs a hand-over
	// instead of a start, also with Size 1.
	Spares int

	// Surge is how many workers there may be beyond Size and Spares while some are
	// being replaced, 0 to 4096: replacements that start, and those they replace
	// until these are gone. 0: a quarter of the workers, rounded up. NoSurge: none,
	// because memory or licences allow no more; then a worker is stopped before its
	// replacement is started, and calls have one worker less for that time.
	Surge int

	// MinReady is how many workers must be ready until the pool is, 1 to Size. 0: one.
	MinReady int

	// Choose says which worker takes a call. LeastLoaded, RoundRobin or ByKey.
	Choose Choose

	// Ahead is how many calls are sent to a worker beyond the Worker.Concurrency
	// that it runs at once, 0 (the default) to 4096. It then does not idle for the
	// way of a message between two calls, but a call sent ahead waits for that very
	// worker, also when another falls idle; and by its deadline it may have to be
	// refused there. Worth it for calls of less than some 100 µs.
	Ahead int

	// Queue is how many calls may wait for a free worker. 0: 64 for each call that
	// can run at once; NoQueue: none. A call beyond that gets an *OverloadedError.
	Queue int

	// QueueTimeout is how long a call may wait for a free worker, while some are up;
	// then it gets a *QueueTimeoutError. The time in which it runs is not part of
	// it: that is bounded by Worker.CallTimeout. 0: as long as its context allows.
	QueueTimeout time.Duration

	// MaxCalls is how many calls a worker gets until it is recycled: replaced by a
	// new process. With 1 that is a promise: no process ever gets a second call,
	// calls wait for fresh ones (have Spares). Otherwise the replacement is ready
	// first, and until then the worker goes on. 0: no limit.
	MaxCalls int

	// MaxAge is how long a worker lives until it is recycled, from 10 ms; it is
	// looked at ten times in that, and at least each second. 0: no limit.
	MaxAge time.Duration

	// MaxMemory is how many bytes a worker's process may have resident (RSS in
	// /proc/PID/statm) until it is recycled, from 1 MiB; it is looked at after each
	// call, which costs some 10 µs, and each second. It must be well above what a
	// fresh worker needs. It is not a limit that a worker meets within a call: that
	// is child.Config's. 0: no limit.
	MaxMemory int64

	// Jitter is by which share of MaxCalls and MaxAge at most each worker is
	// recycled earlier, drawn at random, so that not all are recycled together; 0 to
	// 1. 0: 0.1. NoJitter: none.
	Jitter float64

	// Retry says how often a call is tried. Zero: once.
	Retry Retry

	// Quarantine says when an input is refused because it kills workers. Zero: never.
	Quarantine Quarantine

	// Worker describes each of the workers. Their names are its Name with a number, or
	// the pool's if it has none.
	// Wait is how long calls wait while not one worker is up; Ahead is not used, see
	// the pool's own.
	Worker child.Config

	// Events is told what happens to the pool, by one goroutine, one event after the
	// other and in order, also while nobody serves it. It may be slow: of the events that
	// wait for it more than 256 are dropped, which it is told by an EventMissed. If it
	// panics, that is logged. It may call the pool. Nil: LogEvents(Worker.Logger).
	Events func(Event)

	// Intensity limits how often workers may die before they are ready, or while
	// they are idle. Zero: twice as often as there may be workers and spares, and at
	// least 5 times, within 30 s.
	Intensity strategy.Intensity

	// Backoff delays the restarts of one worker. Zero: at most 2 ms at first, 20 ms
	// after several deaths in a row; a run of 20 ms was healthy.
	Backoff strategy.Backoff
}

const (
	maxSize      = 4096
	queuePerCall = 64
	shortest     = 10 * time.Millisecond // of what is looked at by a ticker
)

func (c Config) withDefaults() (Config, error) {
	c.Worker.Name = or(c.Worker.Name, or(c.Name, "worker"))
	c.Name = or(c.Name, c.Worker.Name)
	c.Size = or(c.Size, runtime.GOMAXPROCS(0))
	c.MinReady = or(c.MinReady, 1)
	c.Worker.Concurrency = or(c.Worker.Concurrency, 1)
	c.Worker.Wait = or(c.Worker.Wait, 5*time.Second)
	c.Idle = or(c.Idle, 30*time.Second)
	c.Jitter = or(c.Jitter, 0.1)
	c.Intensity = or(c.Intensity, strategy.Intensity{Restarts: max(5, 2*(max(c.Size, c.Max)+c.Spares)), Period: 30 * time.Second})
	c.Backoff = or(c.Backoff, strategy.Backoff{Initial: 2 * time.Millisecond, Max: 20 * time.Millisecond})
	c.Retry, c.Quarantine = c.Retry.withDefaults(), c.Quarantine.withDefaults()
	return c, c.check()
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func (c Config) check() error {
	var faults []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	if err := c.Worker.Check(); err != nil {
		faults = append(faults, err)
	}
	fault(c.Size < 1 || c.Size > maxSize, "Size %d is not in 1..%d", c.Size, maxSize)
	fault(c.Max != 0 && (c.Max < c.Size || c.Max > maxSize), "Max %d is not in Size..%d", c.Max, maxSize)
	fault(c.Idle < shortest, "Idle %v is under %v", c.Idle, shortest)
	fault(c.Spares < 0 || c.Spares > maxSize, "Spares %d is not in 0..%d", c.Spares, maxSize)
	fault(c.Surge < NoSurge || c.Surge > maxSize, "Surge %d is not in 0..%d", c.Surge, maxSize)
	fault(c.MinReady < 1 || c.MinReady > c.Size, "MinReady %d is not in 1..Size", c.MinReady)
	fault(c.Choose > ByKey, "Choose %v is not one of LeastLoaded, RoundRobin, ByKey", c.Choose)
	fault(c.Ahead < 0 || c.Ahead > maxSize, "Ahead %d is not in 0..%d", c.Ahead, maxSize)
	fault(c.Queue < NoQueue, "Queue %d is negative", c.Queue)
	fault(c.QueueTimeout < 0, "QueueTimeout %v is negative", c.QueueTimeout)
	fault(c.MaxCalls < 0, "MaxCalls %d is negative", c.MaxCalls)
	fault(c.MaxAge != 0 && c.MaxAge < shortest, "MaxAge %v is under %v", c.MaxAge, shortest)
	fault(c.MaxMemory != 0 && c.MaxMemory < 1<<20, "MaxMemory %d is under 1 MiB; it is in bytes", c.MaxMemory)
	fault(c.Jitter != NoJitter && !(c.Jitter >= 0 && c.Jitter <= 1), "Jitter %v is not in 0..1", c.Jitter)
	c.Retry.faults(fault)
	c.Quarantine.faults(fault)
	fault(!c.Intensity.Valid(), "Intensity %+v has a negative number", c.Intensity)
	fault(!c.Backoff.Valid(), "Backoff %+v has a negative number, or Max below Initial", c.Backoff)
	if faults != nil {
		return &configError{c.Name, faults}
	}
	return nil
}

// worker is the configuration of the worker with this number, and of its first life.
func (c Config) worker(n int, setup child.Setup, run uint64, pool string) child.Config {
	w := c.Worker
	w.Name, w.Setup, w.FirstRun, w.Pool = fmt.Sprintf("%s-%d", w.Name, n), setup, run, pool
	w.Ahead = or(c.Ahead, -1)
	w.Wait = child.NoWait
	return w
}

// rules is what the roster goes by.
func (c Config) rules() rules {
	r := rules{
		choose: c.Choose, concurrency: c.Worker.Concurrency, ahead: c.Ahead, max: max(c.Size, c.Max), idle: c.Idle,
		spares: c.Spares, surge: c.Surge, once: c.MaxCalls == 1, limits: c.limits,
	}
	switch c.Surge {
	case 0:
		r.surge = quarter
	case NoSurge:
		r.surge = 0
	}
	return r
}

// limits draws the limits of one worker.
func (c Config) limits() limits {
	early := max(c.Jitter, 0) * rand.Float64()
	l := limits{calls: unlimited, age: c.MaxAge - time.Duration(early*float64(c.MaxAge))}
	if c.MaxCalls > 0 {
		l.calls = max(c.MaxCalls-int(early*float64(c.MaxCalls)), 1)
	}
	return l
}

// tick is how often time has to be looked at; 0: not at all.
func (c Config) tick() time.Duration {
	every := time.Duration(0)
	for _, d := range []struct {
		of time.Duration
		on bool
	}{{c.MaxAge / 10, c.MaxAge > 0}, {c.Idle / 10, c.Max > 0}, {time.Second, c.MaxMemory > 0 || c.Quarantine.Deaths > 0}} {
		if d.on && (every == 0 || d.of < every) {
			every = d.of
		}
	}
	if every == 0 {
		return 0
	}
	return min(max(every, shortest/10), time.Second)
}

// configError says what is wrong with a Config, so that no call can begin.
type configError struct {
	name   string
	faults []error
}

func (e *configError) Error() string {
	text := fmt.Sprintf("pool: Config of %q: ", e.name)
	for i, fault := range e.faults {
		if i > 0 {
			text += "; "
		}
		text += fault.Error()
	}
	return text
}

func (e *configError) Unwrap() []error      { return e.faults }
func (e *configError) Is(target error) bool { return target == child.ErrNotStarted }
