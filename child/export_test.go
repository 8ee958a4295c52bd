package child

import (
	"os"
	"testing"
	"time"
)

// MaxAbandoned is how many abandoned processes there may be.
const MaxAbandoned = maxAbandoned

// LeastMemory is the least Config.Memory.
const LeastMemory = minMemory

// WithKillGrace sets how long a killed process may take to die.
func (c Config) WithKillGrace(d time.Duration) Config {
	c.tune.killGrace = d
	return c
}

// Undying makes the workers survive being killed.
func (c Config) Undying() Config {
	c.tune.undying = true
	return c
}

// WithoutGroups plays a machine that has no control groups.
func (c Config) WithoutGroups() Config {
	c.tune.noGroups = true
	return c
}

// WithoutWatch leaves RLIMIT_DATA alone with the workers' memory.
func (c Config) WithoutWatch() Config {
	c.tune.noWatch = true
	return c
}

// WarnOfOOM tells about a danger.
var WarnOfOOM = warnOfOOM

// ForgetWarning lets it be told again, in this test and after it.
func ForgetWarning(t testing.TB) {
	before := warned.Swap(false)
	t.Cleanup(func() { warned.Store(before) })
}

// WithPatience sets how long a frame may stand still once it has been begun.
func (c Config) WithPatience(d time.Duration) Config {
	c.tune.patience = d
	return c
}

// CloseAnswers closes the parent's end of the pipe that the answers come by.
func CloseAnswers(p *Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current.transport.in.from.Close()
}

// transports are all ways in which calls can travel.
var transports = []Transport{Rings, Pipes}

// transportVar names the one that all tests of a run are made with.
const transportVar = "VERDIGRIS_TEST_TRANSPORT"

func init() {
	for _, way := range transports {
		if os.Getenv(transportVar) == way.String() {
			standard.transport = way
		}
	}
}

// EachTransport runs a test for each way in which calls can travel: all workers
// that are made in it use that one.
func EachTransport(t *testing.T, test func(t *testing.T)) {
	for _, way := range transports {
		t.Run(way.String(), func(t *testing.T) { OverTransport(t, way); test(t) })
	}
}

// OverTransport makes all workers that a test makes use one.
func OverTransport(t *testing.T, way Transport) {
	before := standard.transport
	standard.transport = way
	t.Cleanup(func() { standard.transport = before })
}

// PatientStarts makes a start count as one until the worker's hello, however
// long that takes. It returns the way back.
func PatientStarts() (back func()) {
	old := starts.most
	starts.most = time.Hour
	return func() { starts.most = old }
}

// AnswerRaw writes to where the answers of this worker go.
func AnswerRaw(b []byte) (int, error) { return ourselves.Load().answers.file.Write(b) }

// WithFaultGrace sets how long a worker may live that has said that it is dying of a
// signal.
func (c Config) WithFaultGrace(d time.Duration) Config {
	c.tune.faultGrace = d
	return c
}
