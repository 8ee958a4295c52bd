// Package histogram counts durations in buckets, so that their quantiles can be told
// at any time, in a fixed amount of memory.
//
// A [Histogram] has eight buckets of the same width for each power of two: a quantile
// is the middle of its bucket and off by a sixteenth at most, from one microsecond to
// one hour. What is shorter is off by 64 ns at most, what is longer counts as
// one hour, but for Max. It is 264 numbers, 1,080 bytes. A [Recent] is two of them,
// in turns, for what has happened in the last minute or two.
//
// Nothing here locks, looks at a clock or allocates. One goroutine at a time may use
// a value; values may be copied.
package histogram

import (
	"math/bits"
	"time"
)

const (
	sub     = 3                  // bits: buckets for each power of two
	unit    = 7                  // bits: the width of the smallest buckets is 128 ns
	longest = time.Hour          // what is longer counts as this
	buckets = (35 - sub + 1) * 8 // an hour has 35 bits, in units
)

// Histogram counts durations. The zero value is empty.
type Histogram struct {
	counts [buckets]uint32
	n      uint64
	max    time.Duration
}

// Add counts one duration; a negative one is 0.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.n++
	h.max = max(h.max, d)
	h.counts[bucketOf(d)]++
}

// Merge adds what another one has counted.
func (h *Histogram) Merge(o *Histogram) {
	h.n += o.n
	h.max = max(h.max, o.max)
	for i, n := range o.counts {
		h.counts[i] += n
	}
}

// Count is how many durations were counted.
func (h *Histogram) Count() uint64 { return h.n }

// Max is the longest of them, exactly; 0 if there is none.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile is what a share q of the durations, 0 to 1, does not exceed; 0 if there is
// none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := min(max(uint64(q*float64(h.n)+0.999999), 1), h.n)
	seen := uint64(0)
	for i, n := range h.counts {
		if seen += uint64(n); seen >= rank && seen > 0 {
			return min(middle(i), h.max)
		}
	}
	return 0
}

// bucketOf is the number of the bucket of a duration: of its most significant bit
// and the sub bits that follow.
func bucketOf(d time.Duration) int {
	v := uint64(min(d, longest)) >> unit
	shift := max(bits.Len64(v)-sub-1, 0)
	return shift<<sub + int(v>>shift)
}

// middle is the middle of a bucket.
func middle(i int) time.Duration {
	shift := max(i>>sub-1, 0)
	v := uint64(i - shift<<sub)
	return time.Duration((2*v + 1) << (shift + unit) / 2)
}

// Half is how long each of the two halves of a Recent is.
const Half = time.Minute

// Recent counts the durations of the last one to two minutes. The zero value is empty.
type Recent struct {
	halves [2]Histogram
	since  time.Time // of halves[0]
}

// Add counts one duration.
func (r *Recent) Add(now time.Time, d time.Duration) {
	r.turn(now)
	r.halves[0].Add(d)
}

// All returns what has been counted in the last one to two minutes.
func (r *Recent) All(now time.Time) Histogram {
	r.turn(now)
	h := r.halves[0]
	h.Merge(&r.halves[1])
	return h
}

// turn makes room when the newer half is over.
func (r *Recent) turn(now time.Time) {
	age := now.Sub(r.since)
	if age < Half {
		return
	}
	if age < 2*Half {
		r.halves[1] = r.halves[0]
		r.since = r.since.Add(Half)
	} else {
		r.halves[1] = Histogram{}
		r.since = now
	}
	r.halves[0] = Histogram{}
}
