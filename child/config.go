package child

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/verdigris-go/verdigris/internal/early"
)

// NoHeartbeat as [Config.Heartbeat]: the worker is not asked.
const NoHeartbeat time.Duration = -1

// NoWait as [Config.Wait]: a call to a worker that is not up fails at once.
const NoWait time.Duration = -1

// OnCancel says what happens to a worker whose caller has gone away.
type OnCancel uint8

const (
	// Finish lets the function run on: its slot stays busy, its answer is dropped.
	// Its context ends, so that it may return early.
	Finish OnCancel = iota
	// Kill kills the worker when the function has not returned after Grace.
	Kill
)

// Config describes a worker. The zero value is usable. Durations that are zero
// take the default named with them.
type Config struct {
	// Name of the worker in errors, log records and the process list; "worker" if
	// empty. It should be short and need not be unique.
	Name string

	// Pool is the id of the pool that the worker belongs to, which its functions carry on,
	// see [Via]. A pool sets it.
	Pool string

	// FirstRun is the number of its first run, in errors and log records; 0: 1. Who makes
	// a new Process in the place of an old one can go on counting.
	FirstRun uint64

	// Setup is the state the worker opens before it is ready; see DefineState.
	Setup Setup

	// Concurrency is how many functions run at once in the worker, from 1 (the
	// default: C code is rarely thread-safe) to 4096. It also says how many
	// processors the worker's Go code uses at once: GOMAXPROCS is one more than
	// Concurrency, or the parent's if that is less, unless Env names it.
	Concurrency int

	// Ahead is how many calls may be on their way to the worker beyond those
	// that run, so that it never idles between two: 0 means 64, at most 4096;
	// negative means none. When the worker dies before its turn, a call sent ahead
	// goes to the next run, or fails with ErrNotStarted, see Wait. Further calls
	// wait in the parent.
	Ahead int

	// Env is the worker's environment: "NAME=value" sets a variable, "NAME" passes
	// the parent's value on, if it has one. Nothing else is inherited but what
	// the Go toolchain needs for its own (GOCOVERDIR, GORACE, GOTRACEBACK).
	Env []string

	// Dir is the worker's working directory; the parent's if empty.
	Dir string

	// Exe is the path of another program to run as worker; it must call Init too
	// and define the functions that are called. Empty: this very program, by a
	// descriptor, so that an upgrade of the file does not matter.
	Exe string

	// StartTimeout bounds the start, from spawn to ready (10 s).
	StartTimeout time.Duration

	// CallTimeout bounds each call from when it is sent to the worker, like a
	// deadline of its context does (0: none). Time in a queue is not part of it.
	// A deadline holds for the function also after its caller has gone.
	CallTimeout time.Duration

	// Grace is how long a worker may go on with a call whose deadline has passed
	// before it is killed (1 s).
	Grace time.Duration

	// Heartbeat is how often the worker is asked whether it still listens, from
	// 10 ms (0: 10 s; NoHeartbeat: never), unless it has begun with a call since the
	// last look. One that has not answered for three periods is killed with the cause
	// Hung: three to five periods after it stopped. What answers is its Go runtime: a
	// function that takes long, in Go or in C, does not matter (a deadline bounds
	// it), a process that is stopped or cannot run any more is found. A parent that
	// did not run itself meanwhile waits for another period before it judges.
	Heartbeat time.Duration

	// Dump is how long a worker that is to be killed with the cause Deadline or
	// Hung may take to show what it was doing (0: no time, it is killed at once).
	// It gets SIGQUIT, on which a Go program prints the stacks of its goroutines and
	// ends; they become the Trace of the CrashError. Of functions that run in Go on
	// threads of their own (Concurrency above 1) it knows no stack while they run;
	// GOTRACEBACK=crash in Env makes it try, see package runtime. A stopped process
	// shows nothing.
	Dump time.Duration

	// Wait is how long a call waits for a worker that is starting or being
	// restarted, in all (5 s), also if the worker dies before it begins with the
	// call. NoWait: not at all.
	Wait time.Duration

	// OnCancel says what a mere cancel of a caller's context does (Finish).
	OnCancel OnCancel

	// Stop is the ladder by which a worker is stopped.
	Stop Stop

	// Contain says how everything that the worker has started is held together
	// and ended with it (ContainAuto). A way that was asked for and cannot be had
	// is a StartError; what is in force stands in Stats.
	Contain Contain

	// MaxFrame bounds one message either way, in bytes (64 MiB; at most 1 GiB).
	MaxFrame int

	// MaxBlob bounds the Blobs of one input together, and those of one output, in
	// bytes (1 GiB; at most 1 PiB). They are memory, and no part of MaxFrame. See [wire.Blob].
	MaxBlob int64

	// Window is how much a stream may send ahead of its consumer, in bytes (1 MiB;
	// from 1 KiB to 1 GiB); of an item's length and 64 bytes more are counted. A call
	// of a stream holds that much of this program's memory and one item more, at
	// most. It should be a few times what arrives while the loop's body runs once.
	Window int

	// Memory bounds what the worker and all that it starts may use, in bytes: 0 is
	// no bound, and less than 16 MiB is refused (32 MiB under the race detector),
	// which a Go program needs for itself. It is kept by a control group where one
	// can be had, and otherwise by RLIMIT_DATA (getrlimit(2)) and a watch over the
	// resident memory of the worker alone, also while calls run: see Enforced. A
	// worker that is over it dies, with the cause OutOfMemory. Its Go heap collects
	// garbage earlier: GOMEMLIMIT is set to nine tenths of Memory, unless Env names it.
	Memory int64

	// Tasks bounds how many processes and threads there may be of the worker and
	// of all that it starts: 0 is no bound, and less than 16 is refused, which a Go
	// program with two processors needs for itself. It needs a control group; where
	// there cannot be one, the worker does not start, and the error says why.
	Tasks int

	// LowLatency makes both sides look again and again for 50 us before they sleep,
	// for callers that wait for each answer before they make the next call. Where
	// parent and worker have a core each that nobody else wants, a call then takes a
	// tenth of the time; the price is that both cores are busy as long as calls flow.
	// Where that does not help, because the cores are busy or calls are rare, both sides
	// find out and look less and less often: once in 4096 waits at last. On a machine, or
	// with an affinity, of one core, and where Stats().Transport is not Rings, it does nothing.
	LowLatency bool

	// Replay keeps the inputs of calls that have killed their worker, so that
	// they can be run again by [Replay] (off).
	Replay ReplayFiles

	// Logger receives the worker's log records and output, and what happens to
	// it. Nil: slog.Default() at the time of New. What the worker logs below
	// this logger's level is dropped in the worker.
	Logger *slog.Logger

	tune tuning
}

// Stop bounds the steps by which a worker is stopped, each ended early by its
// death. In total a stop takes no longer than their sum and the time the kernel
// needs to end the process.
type Stop struct {
	Drain time.Duration // after the shutdown frame, for functions that run and for closing the state (3 s)
	Close time.Duration // after its channels are closed (500 ms)
	Term  time.Duration // after SIGTERM (500 ms); then SIGKILL
}

const (
	defaultAhead    = 64
	maxConcurrency  = 4096
	defaultMaxFrame = 64 << 20
	defaultMaxBlob  = 1 << 30
	defaultWindow   = 1 << 20
)

// Check reports everything that is wrong with the configuration, as Serve and
// calls would.
func (c Config) Check() error {
	_, err := c.withDefaults()
	return err
}

// withDefaults returns the configuration in full, or what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }

	if c.Name == "" {
		c.Name = "worker"
	}
	if strings.ContainsAny(c.Name, "\x00\n") {
		fault("Name %q has a NUL or a newline", c.Name)
	}
	c.Concurrency = or(c.Concurrency, 1)
	if c.Concurrency < 1 || c.Concurrency > maxConcurrency {
		fault("Concurrency %d is not in 1..%d", c.Concurrency, maxConcurrency)
	}
	c.Ahead = max(or(c.Ahead, defaultAhead), 0)
	if c.Ahead > maxConcurrency {
		fault("Ahead %d is over %d", c.Ahead, maxConcurrency)
	}
	c.sizes(fault)
	if c.Memory != 0 && c.Memory < minMemory {
		fault("Memory %d is less than the %d MiB that a worker needs for itself", c.Memory, minMemory>>20)
	}
	if c.Tasks != 0 && c.Tasks < minTasks {
		fault("Tasks %d is less than the %d threads that a worker needs for itself", c.Tasks, minTasks)
	}
	if c.OnCancel > Kill {
		fault("OnCancel %d is not one of Finish, Kill", c.OnCancel)
	}
	if c.Contain > ContainPIDNamespace {
		fault("Contain %d is not one of ContainAuto, ContainGroup, ContainCgroup, ContainPIDNamespace", c.Contain)
	}
	for _, d := range []struct {
		name string
		d    *time.Duration
		or   time.Duration
	}{
		{"StartTimeout", &c.StartTimeout, 10 * time.Second},
		{"CallTimeout", &c.CallTimeout, 0},
		{"Grace", &c.Grace, time.Second},
		{"Dump", &c.Dump, 0},
		{"Stop.Drain", &c.Stop.Drain, 0},
		{"Stop.Close", &c.Stop.Close, 0},
		{"Stop.Term", &c.Stop.Term, 0},
	} {
		*d.d = or(*d.d, d.or)
		if *d.d < 0 {
			fault("%s %v is negative", d.name, *d.d)
		}
	}
	c.Heartbeat = or(c.Heartbeat, 10*time.Second)
	if c.Heartbeat != NoHeartbeat && c.Heartbeat < 10*time.Millisecond {
		fault("Heartbeat %v is under 10ms", c.Heartbeat)
	}
	c.Stop, c.tune = c.Stop.withDefaults(), c.tune.withDefaults()
	c.Wait = or(c.Wait, 5*time.Second)
	c.Replay.MaxInput, c.Replay.MaxFiles = or(c.Replay.MaxInput, 16<<20), or(c.Replay.MaxFiles, 20)
	if c.Replay.MaxInput < 0 || c.Replay.MaxFiles < 0 {
		fault("Replay has a negative MaxInput %d or MaxFiles %d", c.Replay.MaxInput, c.Replay.MaxFiles)
	}
	for _, v := range c.Env {
		if v == "" || v[0] == '=' || strings.ContainsRune(v, 0) {
			fault("Env entry %q is neither NAME nor NAME=value", v)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if faults != nil {
		return c, &ConfigError{Worker: c.Name, Faults: faults}
	}
	return c, nil
}

// sizes completes and checks what is counted in bytes.
func (c *Config) sizes(fault func(format string, args ...any)) {
	c.MaxFrame = or(c.MaxFrame, defaultMaxFrame)
	if c.MaxFrame < 1<<10 || c.MaxFrame > 1<<30 {
		fault("MaxFrame %d is not in 1 KiB..1 GiB", c.MaxFrame)
	}
	c.MaxBlob = or(c.MaxBlob, defaultMaxBlob)
	if c.MaxBlob < 1 || c.MaxBlob > 1<<50 {
		fault("MaxBlob %d is not in 1 byte..1 PiB", c.MaxBlob)
	}
	c.Window = or(c.Window, defaultWindow)
	if c.Window < 1<<10 || c.Window > 1<<30 {
		fault("Window %d is not in 1 KiB..1 GiB", c.Window)
	}
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// passed on to every worker: what the Go toolchain needs for its own.
var passedOn = []string{"GOCOVERDIR", "GORACE", "GOTRACEBACK"}

// environ makes the worker's environment. Of entries for the same name the last
// one counts; the marker, which tells Init to take over, is not the user's.
func (c *Config) environ() []string {
	values := c.runtimeSettings()
	values["GORACE"] = "atexit_sleep_ms=0" // or a worker built with -race takes a second to end
	for _, v := range slices.Concat(passedOn, c.Env) {
		name, value, given := strings.Cut(v, "=")
		if !given {
			value, given = os.LookupEnv(name)
		}
		if given {
			values[name] = value
		}
	}
	delete(values, poolMarker)
	if c.Pool != "" {
		values[poolMarker] = c.Pool
	}
	values[marker] = strconv.Itoa(early.Depth + 1)
	env := make([]string, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		env = append(env, name+"="+values[name])
	}
	return env
}

// Limit is the most that a stop may take before SIGKILL, defaults filled in.
func (s Stop) Limit() time.Duration {
	s = s.withDefaults()
	return s.Drain + s.Close + s.Term
}

func (s Stop) withDefaults() Stop {
	return Stop{or(s.Drain, 3*time.Second), or(s.Close, 500*time.Millisecond), or(s.Term, 500*time.Millisecond)}
}
