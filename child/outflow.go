package child

import (
	"context"
	"sync/atomic"

	"github.com/verdigris-go/verdigris/wire"
)

// outflow is a stream where it leaves the worker: each item becomes a frame, and
// waits when too much has been sent that the caller has not taken. The function's
// goroutine sends; credit may be called from any.
type outflow struct {
	ctx    context.Context // of the function
	id     uint64
	window int64
	limit  int                // bytes of an item
	write  func(frame []byte) // may wait for the parent to read

	used    atomic.Int64 // of the window
	granted chan struct{}
	buf     []byte
}

func newOutflow(ctx context.Context, id uint64, window, limit int, write func([]byte)) *outflow {
	return &outflow{ctx: ctx, id: id, window: int64(window), limit: limit, write: write, granted: make(chan struct{}, 1)}
}

// begin is a frame to append an item to.
func (o *outflow) begin() []byte { return wire.Begin(o.buf[:0], wire.KindItem, o.id) }

// send sends an item that begin has begun. An error means that the stream is over:
// nobody wants more of it, or the item is too long.
func (o *outflow) send(frame []byte) error {
	if o.buf = frame; cap(frame) > roomyItem {
		o.buf = nil
	}
	if err := wire.End(frame, 0, o.limit); err != nil {
		return err
	}
	for o.used.Load() >= o.window {
		select {
		case <-o.granted:
		case <-o.ctx.Done():
			return context.Cause(o.ctx)
		}
	}
	if o.ctx.Err() != nil {
		return context.Cause(o.ctx)
	}
	o.used.Add(wire.ItemCost(len(frame) - wire.HeaderSize))
	o.write(frame)
	return nil
}

// roomyItem is the longest frame whose memory is kept for the next item.
const roomyItem = 1 << 20

// credit gives a part of the window back. No more is taken than there is.
func (o *outflow) credit(bytes int64) {
	for {
		used := o.used.Load()
		if o.used.CompareAndSwap(used, max(used-bytes, 0)) {
			break
		}
	}
	select {
	case o.granted <- struct{}{}:
	default:
	}
}

// pour runs a stream to its end. One whose context has ended is not complete,
// whatever its function says.
func (o *outflow) pour(f *function, state any, from input) error {
	err := f.stream(o.ctx, state, from, o)
	if err == nil && o.ctx.Err() != nil {
		err = context.Cause(o.ctx)
	}
	return err
}
