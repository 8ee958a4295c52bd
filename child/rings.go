package child

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/verdigris-go/verdigris/internal/ring"
	"github.com/verdigris-go/verdigris/wire"
)

// Transport says how calls travel between this process and a worker. It is chosen
// anew for each run, when the worker has said what it can; see [Stats].
type Transport uint8

// The transports.
const (
	NoTransport Transport = iota // none yet
	Pipes                        // a pipe each way
	Rings                        // memory that both have mapped, on Linux
)

var transportWords = [...]string{NoTransport: "none", Pipes: "pipes", Rings: "rings"}

func (t Transport) String() string {
	if int(t) < len(transportWords) {
		return transportWords[t]
	}
	return fmt.Sprintf("Transport(%d)", uint8(t))
}

// MarshalText is String.
func (t Transport) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// spin is for how long either side of a worker with Config.LowLatency looks again
// before it sleeps: to be woken costs about as much.
const spin = 50 * time.Microsecond

// offerRings makes rings, if this machine can: else there are the pipes.
func (ch *channels) offerRings(c *Config) {
	if c.tune.transport != Rings {
		return
	}
	var o ring.Options
	if c.LowLatency && runtime.NumCPU() > 1 { // on one core the other side could not do anything meanwhile
		o.Spin = spin
	}
	ch.rings, _ = ring.New(o)
}

// agreed is how calls travel to a worker with these capabilities: both sides know
// that without another word. A worker tells of rings only if it has got some.
func (ch *channels) agreed(capabilities []string) Transport {
	if ch.rings != nil && slices.Contains(capabilities, wire.CapRings) {
		return Rings
	}
	return Pipes
}

// ends are ours of one way.
func (ch *channels) ends(t Transport) (sink, source, error) {
	if t == Rings {
		return ch.rings.Calls, ch.rings.Answers, nil
	}
	return overPipes(ch)
}

// capabilities are what this worker can, with what it has got.
func (d descriptors) capabilities() []string {
	all := []string{wire.CapStatusPage, wire.CapStreams, wire.CapRecall, wire.CapBlobs}
	if d.rings != nil {
		all = append(all, wire.CapRings)
	}
	return all
}

// way is how this worker gets calls and brings answers. The pipes stay open: a parent
// that has not read the hello yet would take their end for the worker's.
func (d descriptors) way() (calls io.Reader, answers io.Writer) {
	if d.rings == nil {
		return d.calls, d.answers
	}
	return d.rings.Calls, d.rings.Answers
}
