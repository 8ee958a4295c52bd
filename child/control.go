package child

import (
	"log/slog"
	"os"
	"time"

	"github.com/verdigris-go/verdigris/wire"
)

// control is the parent's end of a run's control channel: handshake, log
// records, cancels, shutdown. Its reader never waits for anybody but the
// worker, so that log floods cannot hold up an answer.
type control struct {
	file *os.File
	out  *outbox
	logs *logs

	hello   chan wire.Hello // one, when it has come
	ready   chan error      // nil: ready; else why the worker could not start
	goodbye chan struct{}   // closed when the worker has said that it goes
	gone    chan struct{}   // closed when the reader has ended
	ended   func(error)     // told when the channel has ended, and what was wrong if anything
}

func newControl(file *os.File, l *logs, ended func(error)) (*control, error) {
	c := &control{
		file: file, logs: l, ended: ended,
		hello: make(chan wire.Hello, 1), ready: make(chan error, 1),
		goodbye: make(chan struct{}), gone: make(chan struct{}),
	}
	var err error
	c.out, err = newOutbox(file, nil) // a worker that cannot be told dies or gets killed anyway
	if err != nil {
		return nil, err
	}
	go c.read()
	return c, nil
}

func (c *control) read() {
	defer close(c.gone)
	r := wire.NewReader(c.file, wire.ControlLimit)
	for {
		f, err := r.Next()
		if err == nil {
			err = f.Check(wire.Control, wire.ToParent)
		}
		if err == nil {
			err = c.take(f)
		}
		if err != nil {
			c.ended(streamEnd(err))
			return
		}
	}
}

// take handles one frame from the worker. Each step of the handshake may come
// once; what comes again, or out of order, is a violation.
func (c *control) take(f wire.Frame) error {
	switch f.Kind {
	case wire.KindLog:
		record, err := wire.ParseLog(f.Body)
		if err == nil {
			c.logs.record(record)
		}
		return err
	case wire.KindHello:
		hello, err := wire.ParseHello(f.Body)
		if err != nil {
			return err
		}
		return once(c.hello, hello, f.Kind)
	case wire.KindReady:
		if _, err := wire.ParseReady(f.Body); err != nil {
			return err
		}
		return once(c.ready, nil, f.Kind)
	case wire.KindStartFailed:
		failed, err := wire.ParseStartFailed(f.Body)
		if err != nil {
			return err
		}
		return once(c.ready, error(&openError{failed, errorsOf(failed.Codes)}), f.Kind)
	case wire.KindGoodbye:
		select {
		case <-c.goodbye:
			return &protocolError{"a second goodbye"}
		default:
			close(c.goodbye)
		}
	}
	return nil // a pong: nobody asks yet
}

func once[T any](to chan T, v T, k wire.Kind) error {
	select {
	case to <- v:
		return nil
	default:
		return &protocolError{"a second " + k.String()}
	}
}

// send writes a control frame with a body.
func (c *control) send(k wire.Kind, id uint64, body interface {
	Append([]byte) ([]byte, error)
}) error {
	frame, err := body.Append(wire.Begin(nil, k, id))
	if err == nil {
		err = wire.End(frame, 0, wire.ControlLimit)
	}
	if err == nil {
		err = c.out.enqueue(frame)
	}
	if err == nil {
		c.out.flush(false)
	}
	return err
}

// drain takes what the worker had written before its death, and ends.
func (c *control) drain(limit time.Duration) {
	c.file.SetReadDeadline(time.Now().Add(limit))
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
	return slog.GroupValue(slog.String("error", e.body.Message), slog.String("stack", e.body.Stack))
}
