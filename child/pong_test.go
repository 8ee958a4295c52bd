//go:build linux

package child

import (
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/internal/statuspage"
	"github.com/verdigris-go/verdigris/wire"
)

// A worker answers a ping where its parent looks: on the page, or by a frame.
func TestPongs(t *testing.T) {
	for name, capabilities := range map[string][]string{"page": {wire.CapPongs}, "frame": nil} {
		t.Run(name, func(t *testing.T) {
			h, ch, in := greeted(t, capabilities)
			_, err := ch.control[0].Write(wire.AppendFrame(nil, wire.KindPing, 7, nil))
			must(t, err)
			if capabilities == nil {
				if f := hears(t, in, wire.KindPong); f.ID != 7 || ch.page.Pong() != 0 {
					t.Errorf("pong %d, %d on the page", f.ID, ch.page.Pong())
				}
			} else {
				until(t, "the pong on the page", func() bool { return ch.page.Pong() == 7 })
				must(t, ch.control[0].SetReadDeadline(time.Now().Add(50*time.Millisecond)))
				if f, err := in.Next(); err == nil {
					t.Errorf("a %v too", f.Kind)
				}
			}
			must(t, ch.control[0].Close())
			must(t, ch.calls[1].Close())
			await(t, "the end of the worker", h.ended)
			must(t, h.worker.marker.Close())
		})
	}
}

// greeted is a worker without a state that has said that it is ready.
func greeted(t *testing.T, capabilities []string) (*hostileParent, *channels, *wire.Reader) {
	ch, err := openChannels()
	must(t, err)
	t.Cleanup(ch.closeOurs)
	must(t, ch.control[0].SetReadDeadline(time.Now().Add(10*time.Second)))
	frame, err := controlFrame(wire.KindSetup, 0, wire.Setup{Limit: 1 << 20, Concurrency: 1, Capabilities: capabilities})
	must(t, err)
	_, err = ch.control[0].Write(frame)
	must(t, err)
	h, in := &hostileParent{t: t}, wire.NewReader(ch.control[0], wire.ControlLimit)
	h.begin(ch)
	hears(t, in, wire.KindHello)
	hears(t, in, wire.KindReady)
	return h, ch, in
}

// What stands on the page is a sign of life only if it answers the last ping, and once.
func TestSignsOfLife(t *testing.T) {
	page, err := statuspage.New()
	must(t, err)
	defer page.Close()
	marker, err := statuspage.Open(page.File())
	must(t, err)
	c := &control{}
	for i, step := range []struct {
		asked, pong uint64
		sign        bool
	}{
		{1, 0, false},
		{1, 1, true},
		{1, 1, false},
		{2, 1, false}, // late
		{2, 3, false}, // scribbled
		{3, 3, true},  // by chance; a worker that writes does run
		{4, 1<<64 - 1, false},
		{5, 5, true},
	} {
		c.asked.Store(step.asked)
		before := c.heard.Load() + c.answered.Load()
		marker.Pong(step.pong)
		if got := c.signs(page) != before; got != step.sign {
			t.Errorf("step %d: a sign: %v", i, got)
		}
	}
}
