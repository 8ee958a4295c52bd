package main

import (
	"fmt"
	"testing"
)

// How long four copies take when the memory is in use already, and when the last
// one goes to memory that is fresh, as an answer is that its caller keeps.
func BenchmarkCopies(b *testing.B) {
	for _, size := range []int{1 << 20, 16 << 20} {
		c := newCopies(size)
		b.Run(fmt.Sprintf("used/%dMiB", size>>20), func(b *testing.B) {
			for b.Loop() {
				c.all()
			}
		})
		b.Run(fmt.Sprintf("fresh/%dMiB", size>>20), func(b *testing.B) {
			for b.Loop() {
				c.buffers[4] = make([]byte, size)
				c.all()
			}
		})
	}
}

func TestQuickCopy(t *testing.T) {
	for _, size := range []int{0, 1, piece - 1, piece, piece + 1, 3*piece + 7, fits, fits + 1} {
		c := newCopies(size)
		for i := range c.buffers[0] {
			c.buffers[0][i] = byte(i * 7)
		}
		c.all()
		if string(c.buffers[4]) != string(c.buffers[0]) {
			t.Error(size, "bytes are not what they were")
		}
	}
}
