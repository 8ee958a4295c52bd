//go:build linux

package child

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/internal/spawn"
	"github.com/verdigris-go/verdigris/wire"
)

var (
	greetGate  = make(chan struct{}) // what the state waits for
	greetState = DefineState("greet.state", func(context.Context, bool) (*int, error) { <-greetGate; return new(int), nil }, nil)
)

// Setup and hello may cross in any way: a parent may wait for hello before it sends
// setup, and a worker that finds setup there leaves out what its parent knows. Hello
// never waits for the state.
func TestOrderOfTheGreeting(t *testing.T) {
	build, err := spawn.BuildID()
	must(t, err)
	for _, test := range []struct {
		name       string
		setupFirst bool
		build      string
		state      string
		functions  bool
	}{
		{"hello first", false, build, "", true},
		{"setup first", true, build, "", false},
		{"setup first, of another build", true, "another", "", true},
		{"setup first, of a parent that names none", true, "", "", true},
		{"setup first, with a state", true, build, greetState.Name(), false},
		{"hello first, with a state", false, build, greetState.Name(), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			defer slog.SetDefault(slog.Default())
			ch, err := openChannels()
			must(t, err)
			defer ch.closeOurs()
			must(t, ch.control[0].SetReadDeadline(time.Now().Add(10*time.Second)))
			h, in := &hostileParent{t: t}, wire.NewReader(ch.control[0], wire.ControlLimit)
			setup := wire.Setup{Limit: 1 << 20, Concurrency: 1, Build: test.build, State: test.state}
			if test.state != "" {
				setup.StateInput = []byte{0xf4}
			}
			frame, err := controlFrame(wire.KindSetup, 0, setup)
			must(t, err)
			say := func() { _, err := ch.control[0].Write(frame); must(t, err) }
			if test.setupFirst {
				say()
			}
			h.begin(ch)
			hello, err := wire.ParseHello(hears(t, in, wire.KindHello).Body)
			must(t, err)
			if (len(hello.Functions) > 0) != test.functions || hello.Build != build {
				t.Errorf("hello with %d functions, of build %s", len(hello.Functions), hello.Build)
			}
			if !test.setupFirst {
				say()
			}
			if test.state != "" {
				greetGate <- struct{}{}
			}
			hears(t, in, wire.KindReady)
			must(t, ch.control[0].Close())
			must(t, ch.calls[1].Close())
			await(t, "the end of the worker", h.ended)
			must(t, h.worker.marker.Close())
		})
	}
}

func hears(t *testing.T, in *wire.Reader, want wire.Kind) wire.Frame {
	t.Helper()
	f, err := in.Next()
	if err != nil || f.Kind != want {
		t.Fatalf("%v, %v instead of %v", f.Kind, err, want)
	}
	return f
}
