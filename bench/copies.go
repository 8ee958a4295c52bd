//go:build linux

package main

import (
	"runtime"

	"github.com/verdigris-go/verdigris/bench/measure"
)

// The baseline "copies": what shared memory must pay for a payload that goes
// there and back when nobody's memory is believed or lent: four copies, two for
// each way, between memory that is in use already.
type copies struct{ buffers [5][]byte }

// From 1 MiB on, Go's copy passes by the caches. That pays where five buffers do
// not fit into them: 3 ms instead of 6 ms for four times 16 MiB; where they do,
// it takes 140 us instead of 87 us for four times 1 MiB. The baseline is the
// quicker way: in pieces, so long as they fit.
const (
	piece = 256 << 10
	fits  = 4 << 20
)

func newCopies(size int) *copies {
	c := &copies{}
	for i := range c.buffers {
		c.buffers[i] = make([]byte, size)
		for n := 0; n < size; n += 4096 {
			c.buffers[i][n] = 1 // so that the kernel has given all of it
		}
	}
	return c
}

func (c *copies) turn(long measure.Pace) (measure.Sample, error) {
	return measure.Timed(long, nil, func() error { c.all(); return nil })
}

func (c *copies) all() {
	for i := range len(c.buffers) - 1 {
		quickCopy(c.buffers[i+1], c.buffers[i])
	}
	runtime.KeepAlive(c)
}

func quickCopy(to, from []byte) {
	step := len(from)
	if step <= fits {
		step = piece
	}
	for n := 0; n < len(from); n += step {
		copy(to[n:], from[n:min(n+step, len(from))])
	}
}
