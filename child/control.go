package child

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/verdigris-go/verdigris/internal/statuspage"
	"github.com/verdigris-go/verdigris/wire"
)

// control is the parent's end of a run's control channel: handshake, log
// records, cancels, shutdown. Its reader never waits for anybody but the
// worker, so that log floods cannot hold up an answer.
type control struct {
	sock *socket
	in   *inlet
	out  *outbox
	logs *logs

	shipping sync.Mutex                                    // held from the descriptors of a frame to the frame
	returned func(id uint64, body []byte, fds []int) error // told of the Blobs of an answer

	hello chan wire.Hello              // one, when it has come
	ready chan error                   // nil: ready; else why the worker could not start
	steps map[wire.Kind]bool           // that have come; the reading goroutine's own
	last  atomic.Pointer[wire.Goodbye] // what it said when it went
	ended func(error)                  // told when the channel has ended, and what was wrong if anything
	gone  chan struct{}                // closed when the reader has ended

	asked    atomic.Uint64 // the last ping
	answered atomic.Uint64 // the last ping that has been answered
	heard    atomic.Uint64 // frames that have come
}

func newControl(file *os.File, patience time.Duration, l *logs, ended func(error), returned func(uint64, []byte, []int) error) (*control, error) {
	sock, err := newSocket(file)
	if err != nil {
		return nil, err
	}
	c := &control{
		sock: sock, in: newInlet(sock, wire.ControlLimit, patience), logs: l, ended: ended, returned: returned,
		hello: make(chan wire.Hello, 1), ready: make(chan error, 1),
		gone: make(chan struct{}), steps: map[wire.Kind]bool{},
	}
	c.out = newOutbox(sock, nil) // a worker that cannot be told dies or gets killed anyway
	go c.read()
	return c, nil
}

func (c *control) read() {
	defer close(c.gone)
	for {
		f, err := c.in.next()
		if err != nil {
			c.ended(streamEnd(err))
			return
		}
		c.heard.Add(1)
		if err = f.Check(wire.Control, wire.ToParent); err == nil {
			err = c.take(f)
		}
		if err == nil && !c.in.partial() && c.sock.unclaimed() {
			err = &protocolError{"descriptors with a frame that has none"}
		}
		if err != nil {
			c.ended(err)
			return
		}
	}
}

// take handles one frame from the worker.
func (c *control) take(f wire.Frame) error {
	switch f.Kind {
	case wire.KindLog:
		record, err := wire.ParseLog(f.Body)
		if err == nil {
			c.logs.record(record, len(f.Body))
		}
		return err
	case wire.KindPong:
		return c.pong(f.ID)
	case wire.KindReturn:
		return c.returned(f.ID, f.Body, c.sock.claim())
	}
	return c.step(f)
}

// ship sends a frame that has descriptors, which belong to it then.
func (c *control) ship(k wire.Kind, id uint64, p wire.Parcel, files []*os.File) error {
	frame, err := controlFrame(k, id, p)
	if err != nil {
		closeAll(files...)
		return err
	}
	c.shipping.Lock()
	c.sock.put(files)
	err = c.out.enqueue(frame, nil)
	c.shipping.Unlock()
	c.out.flush(false)
	return err
}

// ping asks the worker whether it still listens. It does not wait.
func (c *control) ping(id uint64) {
	c.asked.Store(id)
	if c.out.enqueue(wire.AppendFrame(nil, wire.KindPing, id, nil), nil) == nil {
		c.out.flush(false)
	}
}

// signs changes with each sign of life that has come, or stands on the status page.
// What stands there is nothing unless it is the answer to the last ping.
func (c *control) signs(page *statuspage.Page) uint64 {
	if last := c.asked.Load(); page.Pong() == last {
		c.answered.Store(last)
	}
	return c.heard.Load() + c.answered.Load()
}

// pong notes how far the worker has come with answering pings. It answers each
// once, in the order in which they were sent.
func (c *control) pong(id uint64) error {
	if id <= c.answered.Load() || id > c.asked.Load() {
		return &protocolError{fmt.Sprintf("a pong to ping %d, which waits for none", id)}
	}
	c.answered.Store(id)
	return nil
}

// step handles a step of the worker's life. Each may come once; ready and
// start-failed exclude each other, and follow hello.
func (c *control) step(f wire.Frame) (err error) {
	key := f.Kind
	if key == wire.KindStartFailed {
		key = wire.KindReady
	}
	switch {
	case c.steps[key]:
		return &protocolError{"a second " + f.Kind.String()}
	case key == wire.KindReady && !c.steps[wire.KindHello]:
		return &protocolError{f.Kind.String() + " before hello"}
	}
	c.steps[key] = true
	switch f.Kind {
	case wire.KindHello:
		var hello wire.Hello
		if hello, err = wire.ParseHello(f.Body); err == nil {
			c.hello <- hello
		}
	case wire.KindReady:
		if _, err = wire.ParseReady(f.Body); err == nil {
			c.ready <- nil
		}
	case wire.KindStartFailed:
		var failed wire.StartFailed
		if failed, err = wire.ParseStartFailed(f.Body); err == nil {
			c.ready <- &openError{failed, errorsOf(failed.Codes)}
		}
	case wire.KindGoodbye:
		var bye wire.Goodbye
		if bye, err = wire.ParseGoodbye(f.Body); err == nil {
			c.last.Store(&bye)
		}
	}
	return err
}

// goodbye is why the worker said it would go, or "".
func (c *control) goodbye() string {
	if bye := c.last.Load(); bye != nil {
		return bye.Reason
	}
	return ""
}

// controlBody is one of wire's bodies of the control channel.
type controlBody interface {
	Append(dst []byte) ([]byte, error)
}

// controlFrame makes a whole frame, for either side.
func controlFrame(k wire.Kind, id uint64, body controlBody) ([]byte, error) {
	frame, err := body.Append(wire.Begin(nil, k, id))
	if err == nil {
		err = wire.End(frame, 0, wire.ControlLimit)
	}
	return frame, err
}

// send writes a control frame with a body.
func (c *control) send(k wire.Kind, id uint64, body controlBody) error {
	frame, err := controlFrame(k, id, body)
	if err == nil {
		err = c.out.enqueue(frame, nil)
	}
	if err == nil {
		c.out.flush(false)
	}
	return err
}

// drain takes what the worker had written before its death, and ends.
func (c *control) drain(limit time.Duration) {
	c.in.drain(limit)
	<-c.gone
	c.close()
}

func (c *control) close() {
	c.out.close()
	<-c.gone
}

// protocolError is something a worker did that no worker may do, beyond what
// the frame format can tell.
type protocolError struct{ what string }

func (e *protocolError) Error() string { return "the worker sent " + e.what }

// openError is why a worker says it could not start.
type openError struct {
	body    wire.StartFailed
	wrapped []error
}

func (e *openError) Error() string   { return e.body.Message }
func (e *openError) Unwrap() []error { return e.wrapped }

// LogValue carries the stack too, when the worker panicked.
func (e *openError) LogValue() slog.Value {
	a := attrs{slog.String("error", e.body.Message)}
	a.stack(stackOf(e.body.Stack), e.body.Stack)
	return slog.GroupValue(a...)
}
