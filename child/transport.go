package child

import (
	"errors"
	"time"

	"github.com/verdigris-go/verdigris/wire"
)

// Transport carries call frames between this process and one run of a worker.
type Transport interface {
	// Enqueue hands over one whole call frame without waiting; frames leave in the
	// order in which they were enqueued. reusable says that the frame's memory is
	// the caller's again. An error means that the worker cannot be reached any more.
	Enqueue(frame []byte) (reusable bool, err error)
	// Flush sees to it that what has been enqueued is written, and never waits for
	// the worker. crowd says that other calls are on their way too.
	Flush(crowd bool)
	// Wait returns when done is closed, or cancel is, or something comes on more,
	// which may be nil.
	Wait(done, cancel, more <-chan struct{})
	// Drain delivers what the worker had written before its death, for at most
	// the given time (somebody else may hold the other end open), and then ends.
	Drain(limit time.Duration)
	// Close ends both directions at once. Nothing is delivered after it has returned.
	Close()
}

// A receiver takes what a transport brings: deliver is called for one frame
// after the other, the body being valid until it returns; an error from it ends
// the reading. ended is called when a direction has ended: with nil at the end
// of the stream, else with what was wrong. It may be called more than once, and
// must not wait.
type receiver struct {
	deliver func(wire.Frame) error
	ended   func(error)
}

// sink is where a transport writes to. One goroutine writes at a time.
type sink interface {
	// TryWrite writes what goes at once, which may be nothing.
	TryWrite(p []byte) (int, error)
	// Write waits for the worker to read. It fails when Close is called.
	Write(p []byte) (int, error)
	// Close may be called from any goroutine, and more than once.
	Close() error
}

// source is where a transport reads from. One goroutine reads at a time. A worker that
// has ended is io.EOF.
type source interface {
	// Read waits for something to read. It fails with os.ErrDeadlineExceeded when its
	// deadline has passed and nothing has come, and works again with another one. It
	// fails when Close is called.
	Read(p []byte) (int, error)
	// Poll reads what is there or comes within a moment, which is so short that
	// neither a deadline nor Close need end it. Nothing is 0 and no error. With 0 for
	// the moment it does not wait.
	Poll(p []byte, moment time.Duration) (int, error)
	// SetReadDeadline may be called from any goroutine; it holds for a Read that waits too.
	SetReadDeadline(t time.Time) error
	// Close may be called from any goroutine, and more than once.
	Close() error
}

// carrier is a way in which calls can travel: it makes our ends of it.
type carrier func(*channels) (sink, source, error)

// framed is the transport over any carrier: a reader goroutine, and writes that are
// combined.
type framed struct {
	out  *outbox
	in   *inlet
	to   receiver
	gone chan struct{} // closed when the reader has ended
}

// newTransport makes a transport; limit is that of a body in bytes, patience is for
// a frame that has been begun, see inlet.
func newTransport(out sink, in source, limit int, patience time.Duration, to receiver) Transport {
	// A write fails when nobody reads any more; only what is read can be wrong.
	t := &framed{
		out: newOutbox(out, func(error) { to.ended(nil) }), in: newInlet(in, limit, patience),
		to: to, gone: make(chan struct{}),
	}
	go t.read()
	return t
}

func (t *framed) Enqueue(frame []byte) (bool, error) {
	return len(frame) <= smallFrame, t.out.enqueue(frame)
}

func (t *framed) Flush(crowd bool) { t.out.flush(crowd) }

func (t *framed) Wait(done, cancel, more <-chan struct{}) { waitFor(done, cancel, more) }

func waitFor(done, cancel, more <-chan struct{}) {
	select {
	case <-done:
	case <-cancel:
	case <-more:
	}
}

func (t *framed) read() {
	defer close(t.gone)
	t.to.ended(t.loop())
}

func (t *framed) loop() error {
	for {
		f, err := t.in.next()
		if err != nil {
			return streamEnd(err)
		}
		if err := f.Check(wire.Calls, wire.ToParent); err != nil {
			return err
		}
		if err := t.to.deliver(f); err != nil {
			return err
		}
	}
}

func (t *framed) Drain(limit time.Duration) {
	t.in.drain(limit)
	<-t.gone
	t.Close()
}

func (t *framed) Close() {
	t.out.close()
	t.in.from.Close()
	<-t.gone
}

// streamEnd tells a broken protocol from a stream that has just ended: at a
// death it may end anywhere, also within a frame, which then counts for nothing.
func streamEnd(err error) error {
	var format *wire.ProtocolError
	var size *wire.SizeError
	var stalled *protocolError
	if errors.As(err, &format) || errors.As(err, &size) || errors.As(err, &stalled) {
		return err
	}
	return nil
}
