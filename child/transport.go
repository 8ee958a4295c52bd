package child

import (
	"errors"
	"time"

	"github.com/verdigris-go/verdigris/internal/ring"
	"github.com/verdigris-go/verdigris/wire"
)

// transport carries call frames between this process and one run of a worker.
type transport struct {
	out  *outbox
	in   *inlet
	to   receiver
	lead *lead         // who of its users reads, see reading.go
	gone chan struct{} // closed when nobody reads any more
}

// A receiver takes what a transport brings: deliver is called for one frame
// after the other, the body being valid until it returns; an error from it ends
// the reading. ended is called when a direction has ended: with nil at the end
// of the stream, else with what was wrong. It may be called more than once, and
// must not wait. traffic counts the calls on their way, and those of them whose
// callers do not read; it must not wait either.
type receiver struct {
	deliver func(wire.Frame) error
	ended   func(error)
	traffic func() (open, lonely int64)
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
	// Last tells that the worker is dead: it writes nothing any more. Where the kernel
	// does not tell the end of what it has written, this does.
	Last()
	// SetReadDeadline may be called from any goroutine; it holds for a Read that waits too.
	SetReadDeadline(t time.Time) error
	// Close may be called from any goroutine, and more than once.
	Close() error
}

// newTransport makes a transport; limit is that of a body in bytes, patience is for
// a frame that has been begun, see inlet.
func newTransport(out sink, in source, limit int, patience time.Duration, to receiver) *transport {
	return &transport{
		out: newOutbox(out, func(err error) { to.ended(streamEnd(err)) }), in: newInlet(in, limit, patience),
		to: to, lead: newLead(), gone: make(chan struct{}),
	}
}

// Enqueue hands over one whole call frame without waiting; frames leave in the
// order in which they were enqueued. reusable says that the frame's memory is
// the caller's again. An error means that the worker cannot be reached any more.
func (t *transport) Enqueue(frame []byte, tail *loan) (reusable bool, err error) {
	return len(frame) <= smallFrame, t.out.enqueue(frame, tail)
}

// Flush sees to it that what has been enqueued is written, and never waits for
// the worker. crowd says that other calls are on their way too.
func (t *transport) Flush(crowd bool) { t.out.flush(crowd) }

// Drain delivers what the worker had written before its death, for at most
// the given time (somebody else may hold the other end open), and then ends.
func (t *transport) Drain(limit time.Duration) {
	if t.lead.seize(t.in.interrupt) {
		t.in.drain(limit)
		t.in.from.Last()
		for {
			if f, err := t.in.next(); !t.take(f, err) {
				break
			}
		}
	}
	t.Close()
}

// Close ends both directions at once. Nothing is delivered after it has returned.
func (t *transport) Close() {
	t.out.close()
	_ = t.in.from.Close()
	if t.lead.seize(func() {}) {
		t.end(nil)
	}
}

// streamEnd tells a broken protocol from a stream that has just ended: at a
// death it may end anywhere, also within a frame, which then counts for nothing.
func streamEnd(err error) error {
	var format *wire.ProtocolError
	var size *wire.SizeError
	var stalled *protocolError
	var broken *ring.BrokenError
	if errors.As(err, &format) || errors.As(err, &size) || errors.As(err, &stalled) || errors.As(err, &broken) {
		return err
	}
	return nil
}
