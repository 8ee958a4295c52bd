package child

import (
	"errors"
	"os"
	"time"

	"github.com/verdigris-go/verdigris/wire"
)

// Transport carries call frames between this process and one run of a worker.
// How it writes and how it reads is its own business: another implementation
// can let the waiting callers read, or pass large bodies through shared memory,
// and nothing else changes.
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

// ends are what a transport is made of.
type ends struct {
	out, in  *os.File      // to and from the worker
	limit    int           // bytes of a body
	patience time.Duration // for a frame that has been begun, see inlet
}

// newTransport makes a transport of one kind.
type newTransport func(ends, receiver) (Transport, error)

// pipes is the portable transport: one pipe each way, a reader goroutine, and
// writes that are combined. Measured against a socketpair it has half the round
// trip for small messages.
type pipes struct {
	out  *outbox
	in   *inlet
	to   receiver
	gone chan struct{} // closed when the reader has ended
}

func newPipes(e ends, to receiver) (Transport, error) {
	// A write fails when nobody reads any more; only what is read can be wrong.
	box, err := newOutbox(e.out, func(error) { to.ended(nil) })
	if err != nil {
		return nil, err
	}
	p := &pipes{out: box, in: newInlet(e.in, e.limit, e.patience), to: to, gone: make(chan struct{})}
	go p.read()
	return p, nil
}

func (p *pipes) Enqueue(frame []byte) (bool, error) {
	return len(frame) <= smallFrame, p.out.enqueue(frame)
}

func (p *pipes) Flush(crowd bool) { p.out.flush(crowd) }

func (p *pipes) Wait(done, cancel, more <-chan struct{}) { waitFor(done, cancel, more) }

func waitFor(done, cancel, more <-chan struct{}) {
	select {
	case <-done:
	case <-cancel:
	case <-more:
	}
}

func (p *pipes) read() {
	defer close(p.gone)
	p.to.ended(p.loop())
}

func (p *pipes) loop() error {
	for {
		f, err := p.in.next()
		if err != nil {
			return streamEnd(err)
		}
		if err := f.Check(wire.Calls, wire.ToParent); err != nil {
			return err
		}
		if err := p.to.deliver(f); err != nil {
			return err
		}
	}
}

func (p *pipes) Drain(limit time.Duration) {
	p.in.drain(limit)
	<-p.gone
	p.Close()
}

func (p *pipes) Close() {
	p.out.close()
	p.in.file.Close()
	<-p.gone
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
