package child

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
)

// late is a transport on which the answer comes just when its caller leaves.
type late struct {
	Transport
	wait func()
}

func (l late) Wait(_, _, _ <-chan struct{}) { l.wait() }

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

	ctx, leave := context.WithCancel(OnProgress(t.Context(), func(Progress) {}))
	h.run.transport = late{h.run.transport, func() {
		k := h.run.calls.find(1)
		leave()
		until(t, "the caller to count as gone", k.left.Load)
		must(t, h.run.answered(k, []byte{0x40}))
	}}
	_, err = h.run.do(ctx, &Request{
		fn:     fuzzEcho.function,
		append: func(dst []byte) ([]byte, error) { return append(dst, 0x40), nil },
		decode: func([]byte) error { return nil },
	})
	if i, ok := errors.AsType[*InterruptedError](err); !ok || !errors.Is(i, context.Canceled) {
		t.Error(err)
	}
	h.run.bury()
}
