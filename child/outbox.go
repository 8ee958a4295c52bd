package child

import (
	"errors"
	"runtime"
	"sync"
)

// outbox writes frames to a worker in the order they are put, and never makes
// the one who puts wait for the worker: what the kernel does not take at once
// is written on by a goroutine that lives as long as there is something left.
// Frames put while somebody writes go out together with the next write.
// All methods may be called from any goroutine.
type outbox struct {
	to     sink
	broken func(error) // told once when writing fails

	mu      sync.Mutex
	queue   []piece // what is still to be written, in order
	spare   []piece // the slice of the last batch, for reuse
	writing bool    // somebody is in flush or finish
	err     error   // the first failure; nothing is written after it
}

// piece is some bytes to be written, our own or a caller's.
type piece struct {
	own  []byte
	loan *loan
}

// large reports whether nothing may be written behind it, and nothing kept of it.
func (p piece) large() bool { return p.loan != nil || cap(p.own) > smallFrame }

// try writes what goes at once. done: that was all.
func (p *piece) try(to sink) (done bool, err error) {
	if p.loan != nil {
		left, err := p.loan.write(to)
		return left == 0, err
	}
	n, err := to.TryWrite(p.own)
	if n == len(p.own) {
		return true, err // its memory is used again
	}
	p.own = p.own[n:]
	return false, err
}

// finish writes all of it. A write that waits has its bytes from room, if they are
// a caller's: it may want them back meanwhile.
func (p *piece) finish(to sink, room []byte) error {
	if p.loan == nil {
		_, err := to.Write(p.own)
		return err
	}
	for {
		if left, err := p.loan.write(to); left == 0 || err != nil {
			return err
		}
		if _, err := to.Write(room[:p.loan.take(room)]); err != nil {
			return err
		}
	}
}

// Frames up to smallFrame are copied behind each other, larger ones are kept
// and written as they are: below it a copy is cheaper than a write of its own.
const smallFrame = 16 << 10

var errOutboxClosed = errors.New("the channel to the worker is closed")

func newOutbox(to sink, broken func(error)) *outbox { return &outbox{to: to, broken: broken} }

// enqueue hands a frame over, to be written by the next flush of anybody. A
// frame of more than smallFrame bytes belongs to the outbox from then on; a
// smaller one is the caller's again. tail is the rest of the frame, or nil. An error
// means that nothing will be written any more.
func (o *outbox) enqueue(frame []byte, tail *loan) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.append(frame)
	}
	if o.err == nil && tail != nil {
		o.queue = append(o.queue, piece{loan: tail})
	}
	return o.err
}

func (o *outbox) append(frame []byte) {
	last := len(o.queue) - 1
	switch {
	case len(frame) > smallFrame:
		o.queue = append(o.queue, piece{own: frame})
	case last >= 0 && o.queue[last].loan == nil && len(o.queue[last].own)+len(frame) <= smallFrame:
		o.queue[last].own = append(o.queue[last].own, frame...)
	case cap(o.queue) > last+1 && !o.queue[:last+2][last+1].large():
		o.queue = o.queue[:last+2] // take up the buffer that an earlier batch has left
		o.queue[last+1].own = append(o.queue[last+1].own[:0], frame...)
	default:
		o.queue = append(o.queue, piece{own: append([]byte(nil), frame...)})
	}
}

// flush writes what is queued, as far as the kernel takes it at once; the rest,
// and what has been put meanwhile, is left to a goroutine, so that a caller
// writes for others only once. While somebody else writes it does nothing.
//
// With crowd, it lets other goroutines run before it writes: when many calls are
// on their way their frames then leave in one write, which was measured to
// triple the rate of 64 callers (and would cost a lone caller 4 µs).
func (o *outbox) flush(crowd bool) {
	if !o.begin() {
		return
	}
	if crowd {
		runtime.Gosched()
	}
	batch := o.take()
	for i := range batch {
		done, err := batch[i].try(o.to)
		if err != nil {
			o.fail(err)
			return
		}
		if !done {
			go o.finish(batch, i)
			return
		}
	}
	if !o.done(batch) {
		go o.finish(nil, 0)
	}
}

// begin reports whether there is something to write and nobody writes it yet.
func (o *outbox) begin() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.writing || o.err != nil || len(o.queue) == 0 {
		return false
	}
	o.writing = true
	return true
}

// finish writes on, waiting for the worker to read, until nothing is left.
func (o *outbox) finish(batch []piece, from int) {
	room := make([]byte, smallFrame)
	for {
		for i := range batch[from:] {
			if err := batch[from+i].finish(o.to, room); err != nil {
				o.fail(err)
				return
			}
		}
		if o.done(batch) {
			return
		}
		batch, from = o.take(), 0
	}
}

func (o *outbox) take() []piece {
	o.mu.Lock()
	defer o.mu.Unlock()
	batch := o.queue
	o.queue, o.spare = o.spare[:0], nil
	return batch
}

// done gives a batch's buffers back and reports whether nothing has come meanwhile;
// then nobody is writing any more.
func (o *outbox) done(batch []piece) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range batch {
		if batch[i].large() {
			batch[i] = piece{}
		}
	}
	o.spare = batch[:0]
	o.writing = len(o.queue) > 0
	return !o.writing
}

// fail ends writing for good and reports it, the first time.
func (o *outbox) fail(err error) {
	o.mu.Lock()
	first := o.err == nil
	if first {
		o.err, o.queue, o.spare = err, nil, nil
	}
	o.mu.Unlock()
	if first && o.broken != nil && err != errOutboxClosed {
		o.broken(err)
	}
}

// close ends writing; what has not been written is dropped.
func (o *outbox) close() {
	o.fail(errOutboxClosed)
	_ = o.to.Close()
}
