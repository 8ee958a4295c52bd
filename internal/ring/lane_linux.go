package ring

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lane is what both sides know about one way: the shared words. Those that the
// producer writes are apart from those that the consumer writes, by two cache
// lines, for the processor fetches lines in pairs.
type lane struct {
	head   atomic.Uint64 // producer: how many bytes have ever been written
	base   atomic.Uint64 // producer: which of them stands, or would stand, at the beginning of the bytes
	sleeps atomic.Uint32 // how the consumer waits for bytes
	_      [108]byte
	tail   atomic.Uint64 // consumer: how many bytes have ever been taken
	waits  atomic.Uint32 // how the producer waits for room
	_      [116]byte
}

// How somebody waits: the values of sleeps and waits.
const (
	awake     = iota
	napping   // in futex(2), on this very word
	listening // for its bell
)

// chunk is how much is copied before the other side is told: both copy at once.
const chunk = 64 << 10

// roomy is how much room a waiting producer is woken for: it is not worth it for less.
const roomy = Size / 2

// near is how far the small traffic goes before it begins again at the first byte.
const near = 16 << 10

// producer puts bytes into a lane. Its own index is private; the other side's is
// read once per look, and checked.
type producer struct {
	lane  *lane
	bytes []byte // Size of them
	rouse waker  // of the consumer

	head, base uint64
	tail       uint64 // as it was seen last
}

// put writes as much of b as there is room for, which may be nothing.
func (p *producer) put(b []byte) (n int, err error) {
	if err := p.look(len(b)); err != nil {
		return 0, err
	}
	for n < len(b) {
		room := p.room()
		if room == 0 {
			if err := p.refresh(); err != nil {
				return n, err
			}
			if room = p.room(); room == 0 {
				break
			}
		}
		some := b[n:min(n+chunk, n+room, len(b))]
		p.copyIn(some)
		n += len(some)
		p.lane.head.Store(p.head)
		p.rouse.call(&p.lane.sleeps)
	}
	return n, nil
}

// look sees how far the consumer is, if that matters: for room, or for beginning
// again at the first byte, which the producer may do when nothing is under way.
func (p *producer) look(want int) error {
	far := p.head-p.base >= near
	if !far && want <= p.room() {
		return nil
	}
	if err := p.refresh(); err != nil {
		return err
	}
	if far && p.tail == p.head {
		p.base = p.head
		p.lane.base.Store(p.base)
	}
	return nil
}

// room is how much can be written as far as is known.
func (p *producer) room() int { return Size - int(p.head-p.tail) }

func (p *producer) refresh() error {
	tail := p.lane.tail.Load()
	if p.head-tail > Size {
		return &BrokenError{fmt.Sprintf("%d bytes were taken of %d that were written", tail, p.head)}
	}
	p.tail = tail
	return nil
}

func (p *producer) copyIn(b []byte) {
	at := (p.head - p.base) % Size
	n := copy(p.bytes[at:], b)
	copy(p.bytes, b[n:])
	p.head += uint64(len(b))
}

// ready reports whether it is worth while to put again, or there is something
// wrong that put will find.
func (p *producer) ready() bool {
	under := p.head - p.lane.tail.Load()
	return under <= Size-roomy || under > Size
}

// consumer takes bytes out of a lane, with the same care.
type consumer struct {
	lane  *lane
	bytes []byte
	rouse waker // of the producer

	tail uint64
}

// take reads as much as is there and fits, which may be nothing.
func (c *consumer) take(b []byte) (n int, err error) {
	head := c.lane.head.Load()
	there := head - c.tail
	if there > Size {
		return 0, &BrokenError{fmt.Sprintf("%d bytes were written of which %d have been taken", head, c.tail)}
	}
	b = b[:min(uint64(len(b)), there)]
	base := c.lane.base.Load() // whatever it says: its place in the ring is one
	for n < len(b) {
		some := b[n:min(n+chunk, len(b))]
		at := (c.tail - base) % Size
		m := copy(some, c.bytes[at:])
		copy(some[m:], c.bytes)
		n += len(some)
		c.tail += uint64(len(some))
		c.lane.tail.Store(c.tail)
		if head-c.tail <= roomy {
			c.rouse.call(&c.lane.waits)
		}
	}
	return n, nil
}

// ready reports whether there is something to take, or wrong.
func (c *consumer) ready() bool { return c.lane.head.Load() != c.tail }

// waker wakes the other side, if it waits.
type waker struct{ bell int } // the eventfd that it listens for; -1: there is none, it only naps

// call is told after something has been published. It never waits.
func (w waker) call(word *atomic.Uint32) {
	if word.Load() == awake {
		return
	}
	switch word.Swap(awake) {
	case napping:
		futexWake(word)
	case listening:
		w.ring()
	}
}

// one is what is added to a bell's counter, in the order of this machine.
var one uint64 = 1

// ring cannot wait: the counter would have to be full, and it does not block then.
func (w waker) ring() {
	if w.bell >= 0 {
		_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(w.bell), uintptr(unsafe.Pointer(&one)), 8)
	}
}
