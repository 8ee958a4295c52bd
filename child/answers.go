package child

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/internal/statuspage"
	"github.com/verdigris-go/verdigris/wire"
)

// answers is the worker's end of the call channel's way back. A handler's result is
// encoded behind its header in place.
//
// Where calls run one at a time, small answers are written together: before the
// worker waits for more calls, or would let them wait for its next function for long. Until then they
// stand on the status page, where the parent finds them if that function kills the
// process. Measured with 64 callers it halves the processor time of a call.
type answers struct {
	limit    int                // bytes of a body, as the parent wants it
	page     *statuspage.Marker // nil: each answer is written at once
	orphaned func()             // told when nobody reads any more; does not return
	ship     func(k wire.Kind, id uint64, p wire.Parcel, files []*os.File) error

	mu    sync.Mutex
	file  io.Writer
	since time.Time   // when it was first seen that answers wait on the page for a function; zero: they do not
	late  *time.Timer // writes what stands there, if the function takes long
	armed bool
}

// How long an answer may wait for the next function.
const (
	briefly   = 50 * time.Microsecond // if functions are quick: they are not worth a write each
	notLonger = time.Millisecond      // in any case
)

func newAnswers(file io.Writer, setup wire.Setup, page *statuspage.Marker, orphaned func()) *answers {
	a := &answers{file: file, limit: setup.Limit, orphaned: orphaned}
	if setup.Concurrency == 1 {
		a.page = page
	}
	a.late = time.AfterFunc(time.Hour, a.overdue)
	a.late.Stop()
	return a
}

// call runs a function and writes what came of it; last is its last report.
func (a *answers) call(ctx context.Context, id uint64, f *function, state any, from input, last *reporter) {
	buf := buffers.Get().(*[]byte)
	frame := wire.Begin((*buf)[:0], wire.KindAnswer, id)
	frame, tail, err := f.run(ctx, state, from, frame)
	last.end()
	if err == nil {
		err = wire.EndSplit(frame, 0, len(tail), a.limit)
	}
	if err == nil {
		err = mailFor(ctx, f).ship(id, frame, a.ship)
	}
	if err != nil {
		a.fail(id, err)
		return
	}
	a.put(frame, tail)
	if cap(frame) <= smallFrame {
		*buf = frame
		buffers.Put(buf)
	}
}

// stream runs a stream and writes how it ended.
func (a *answers) stream(o *outflow, f *function, state any, from input, last *reporter) {
	err := o.pour(f, state, from)
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
	a.put(wire.AppendFrame(nil, wire.KindError, id, body.Append(nil)), nil)
}

// dying writes that the handler panicked, and that more about it follows.
func (a *answers) dying(id uint64) { a.write(wire.AppendFrame(nil, wire.KindDying, id, nil)) }

// panics writes that the handler panicked.
func (a *answers) panics(id uint64, body wire.PanicBody) {
	a.write(wire.AppendFrame(nil, wire.KindPanic, id, body.Append(nil)))
}

// put writes an answer, or has it written with others soon. Its tail is where the
// function has it, and is written from there.
func (a *answers) put(frame, tail []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	frame, tail = leadIn(frame, tail)
	if len(tail) > 0 || a.page == nil || !a.page.Keep(frame) {
		a.send(frame)
		a.send(tail)
	}
}

// write writes a whole frame at once, after all that came before it.
func (a *answers) write(frame []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.send(frame)
}

// flush writes the answers that wait.
func (a *answers) flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.send(nil)
}

// send is write; a.mu is held. Without a parent to read, the worker's life is over.
func (a *answers) send(frame []byte) {
	if a.page != nil && a.page.Keeps() {
		a.since = time.Time{}
		if a.page.Flush(a.file) != nil {
			a.orphaned()
		}
	}
	if len(frame) == 0 {
		return
	}
	if _, err := a.file.Write(frame); err != nil {
		a.orphaned()
	}
}

// expedite is called before a function runs, while answers may wait.
func (a *answers) expedite() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.page.Keeps() {
		return
	}
	switch now := time.Now(); {
	case a.since.IsZero():
		a.since = now
	case now.Sub(a.since) > briefly:
		a.send(nil)
		return
	}
	if !a.armed {
		a.armed = true
		a.late.Reset(notLonger)
	}
}

// overdue is the timer's. That nothing waits any more, or only since a moment ago, is
// its usual case: it is not worth a call's time to stop it.
func (a *answers) overdue() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.armed = false
	a.send(nil)
}

// answersFirst is where a worker reads its calls: before it waits, it answers.
type answersFirst struct {
	answers *answers
	calls   io.Reader
}

func (r answersFirst) Read(p []byte) (int, error) {
	r.answers.flush()
	return r.calls.Read(p)
}
