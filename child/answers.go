package child

import (
	"context"
	"os"
	"sync"

	"github.com/verdigris-go/verdigris/wire"
)

// answers is the worker's end of the call channel's way back. One frame is
// written at a time; a handler's result is encoded behind its header in place.
type answers struct {
	limit    int    // bytes of a body, as the parent wants it
	orphaned func() // told when nobody reads any more; does not return

	mu   sync.Mutex
	file *os.File
}

// call runs a function and writes what came of it; last is its last report.
func (a *answers) call(ctx context.Context, id uint64, f *function, state any, input []byte, last *reporter) {
	buf := buffers.Get().(*[]byte)
	frame := wire.Begin((*buf)[:0], wire.KindAnswer, id)
	frame, err := f.run(ctx, state, input, frame)
	last.end()
	if err == nil {
		err = wire.End(frame, 0, a.limit)
	}
	if err != nil {
		a.fail(id, err)
		return
	}
	a.write(frame)
	if cap(frame) <= smallFrame {
		*buf = frame
		buffers.Put(buf)
	}
}

// stream runs a stream and writes how it ended.
func (a *answers) stream(o *outflow, f *function, state any, input []byte, last *reporter) {
	err := o.pour(f, state, input)
	last.end()
	if err != nil {
		a.fail(o.id, err)
		return
	}
	a.write(wire.AppendFrame(nil, wire.KindDone, o.id, nil))
}

// progress writes how far a call has come.
func (a *answers) progress(id uint64, body wire.ProgressBody) {
	a.write(wire.AppendFrame(nil, wire.KindProgress, id, body.Append(nil)))
}

// fail writes an error as the answer.
func (a *answers) fail(id uint64, err error) {
	body := wire.ErrorBody{Message: err.Error(), Codes: codesOf(err)}
	a.write(wire.AppendFrame(nil, wire.KindError, id, body.Append(nil)))
}

// panics writes that the handler panicked.
func (a *answers) panics(id uint64, body wire.PanicBody) {
	a.write(wire.AppendFrame(nil, wire.KindPanic, id, body.Append(nil)))
}

// write writes a whole frame. Without a parent to read it, the worker's life is over.
func (a *answers) write(frame []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.file.Write(frame); err != nil {
		a.orphaned()
	}
}
