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
	return measure.Timed(long, nil, func() error {
		for i := range len(c.buffers) - 1 {
			copy(c.buffers[i+1], c.buffers[i])
		}
		runtime.KeepAlive(c)
		return nil
	})
}
