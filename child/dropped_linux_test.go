package child

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"

	"github.com/verdigris-go/verdigris/wire"
)

// late is a context with something that happens when its end is waited for.
type late struct {
	context.Context
	wait func()
}

func (l *late) Done() <-chan struct{} {
	if f := l.wait; f != nil {
		l.wait = nil
		f()
	}
	return l.Context.Done()
}

// A caller that asks for reports leaves while it waits; the answer that comes right
// after that is dropped, and must not be looked for.
func TestAnswerRightAfterItsCallerHasLeft(t *testing.T) {
	cfg, err := Config{Name: "late", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}.withDefaults()
	must(t, err)
	ch, err := openChannels()
	must(t, err)
	h := &hostileWorker{t: t}
	h.begin(&cfg, ch)
	ch.closeTheirs()

	var ctx late
	parent, leave := context.WithCancel(t.Context())
	ctx.Context = OnProgress(parent, func(Progress) {
		ctx.wait = func() {
			leave()
			until(t, "the caller to count as gone", func() bool {
				h.run.calls.mu.Lock()
				defer h.run.calls.mu.Unlock()
				return h.run.calls.open[1].left
			})
			must(t, h.run.deliver(wire.Frame{Kind: wire.KindAnswer, ID: 1, Body: []byte{0x40}}))
		}
	})
	go func() {
		until(t, "the call", func() bool { return h.run.calls.has(1) })
		h.run.calls.peek(1).feed.tell(Progress{})
	}()
	_, err = h.run.do(&ctx, &Request{
		fn:     fuzzEcho.function,
		append: func(dst []byte) (_, tail []byte, err error) { return append(dst, 0x40), nil, nil },
		decode: func([]byte, bool) error { return nil },
	})
	if i, ok := errors.AsType[*InterruptedError](err); !ok || !errors.Is(i, context.Canceled) {
		t.Error(err)
	}
	h.run.bury()
}
