package child

import (
	"context"
	"testing"

	"github.com/verdigris-go/verdigris/wire"
)

// A stream that was ended by its context may have ended by itself in the same
// moment. It is complete only if its caller has been given everything.
func TestFeedThatIsLeft(t *testing.T) {
	for name, test := range map[string]struct {
		play func(f *feed)
		end  error
		n    int
	}{
		"nothing has come":    {func(f *feed) { f.close() }, nil, 0},
		"an item had come":    {func(f *feed) { _ = f.put(wire.Frame{Body: []byte{1}}); f.close() }, errImpatient, 0},
		"an item comes":       {func(f *feed) { f.close(); _ = f.put(wire.Frame{Body: []byte{1}}) }, errImpatient, 0},
		"nobody has left":     {func(f *feed) { _ = f.put(wire.Frame{Body: []byte{1}}); _ = f.put(wire.Frame{Body: []byte{2}}) }, nil, 2},
		"an item is too many": {func(f *feed) { _ = f.put(wire.Frame{Body: make([]byte, 100)}); _ = f.put(wire.Frame{Body: []byte{1}}) }, nil, 1},
		"it was too large too": {func(f *feed) {
			_ = f.put(wire.Frame{Body: make([]byte, 100)})
			f.close()
			_ = f.put(wire.Frame{Body: []byte{1}})
		}, errImpatient, 0},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			req := &Request{fn: nameless, items: &consumer{take: func([]byte, bool) (bool, error) { n++; return true, nil }}}
			f := newFeed(context.Background(), req, nil, 150)
			close(f.end)
			test.play(f)
			if err := f.follow(context.Background(), req, nil); err != test.end || n != test.n {
				t.Errorf("%d items, %v", n, err)
			}
		})
	}
}

var nameless = &function{name: "none"}

// A function that just stops when its time is up has not brought everything, and
// says so to whatever parent there is.
func TestOutflowThatEndsQuietly(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	o := newOutflow(ctx, 1, 100, 100, func([]byte) {})
	f := &function{name: "quiet", stream: func(context.Context, any, input, *outflow) error { return nil }}
	if err := o.pour(f, nil, input{}); err != nil {
		t.Error(err)
	}
	cancel(context.DeadlineExceeded)
	if err := o.pour(f, nil, input{}); err != context.DeadlineExceeded {
		t.Error(err)
	}
}
