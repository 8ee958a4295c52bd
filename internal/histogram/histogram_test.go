package histogram

import (
	"math"
	"slices"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"
)

func TestBuckets(t *testing.T) {
	for _, c := range []struct {
		d      time.Duration
		bucket int
	}{
		{-1, 0},
		{0, 0},
		{127, 0},
		{128, 1},
		{1023, 7},
		{1024, 8},
		{1151, 8},
		{1152, 9},
		{2047, 15},
		{2048, 16},
		{2303, 16},
		{2304, 17},
		{time.Hour, buckets - 3},
		{24 * time.Hour, buckets - 3},
		{math.MaxInt64, buckets - 3},
	} {
		var h Histogram
		h.Add(c.d)
		if got := slices.Index(h.counts[:], 1); got != c.bucket {
			t.Errorf("%v is in bucket %d, not %d", c.d, got, c.bucket)
		}
	}
	if size := unsafe.Sizeof(Histogram{}); size > 1080 {
		t.Errorf("it takes %d bytes", size)
	}
}

func TestQuantiles(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Max() != 0 || h.Count() != 0 {
		t.Error("an empty one is not")
	}
	for n := range 1000 {
		h.Add(time.Duration(n+1) * time.Millisecond)
	}
	for _, c := range []struct {
		q    float64
		want time.Duration
	}{{0, 1}, {0.001, 1}, {0.5, 500}, {0.95, 950}, {0.99, 990}, {1, 1000}} {
		if got := h.Quantile(c.q); !near(got, c.want*time.Millisecond) {
			t.Errorf("%v: %v", c.q, got)
		}
	}
	if h.Max() != time.Second || h.Count() != 1000 {
		t.Error(h.Max(), h.Count())
	}
	h.Add(5 * time.Hour)
	if h.Max() != 5*time.Hour || !near(h.Quantile(1), time.Hour) {
		t.Error(h.Max(), h.Quantile(1))
	}
}

// near reports whether the error is what is promised.
func near(got, want time.Duration) bool { return (got - want).Abs() <= max(want/16, 64) }

// Against sorted samples: no quantile is off by more than promised, and it makes no
// difference how the samples were put together.
func TestQuantilesOfSamples(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		durations := rapid.Custom(func(t *rapid.T) time.Duration { // of all magnitudes alike
			return time.Duration(rapid.Int64Range(0, int64(time.Hour)>>rapid.IntRange(0, 41).Draw(t, "shift")).Draw(t, "d"))
		})
		samples := rapid.SliceOfN(durations, 1, 300).Draw(t, "samples")
		var h, one, two Histogram
		for i, d := range samples {
			h.Add(d)
			if i%3 == 0 {
				one.Add(d)
			} else {
				two.Add(d)
			}
		}
		slices.Sort(samples)
		for range 5 {
			q := rapid.Float64Range(0, 1).Draw(t, "q")
			rank := max(int(math.Ceil(q*float64(len(samples))-1e-6)), 1)
			if got, want := h.Quantile(q), samples[rank-1]; !near(got, want) {
				t.Errorf("%v of %v: %v, not %v", q, samples, got, want)
			}
		}
		one.Merge(&two)
		if one != h || h.Max() != samples[len(samples)-1] {
			t.Error("merged, they are not the same")
		}
	})
}

func TestRecent(t *testing.T) {
	var r Recent
	begin := time.Now()
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	for _, c := range []struct {
		second int
		add    int // durations
		want   uint64
	}{
		{0, 2, 2},
		{59, 1, 3},
		{60, 4, 7}, // the second half begins
		{119, 0, 7},
		{120, 0, 4}, // and the first is forgotten
		{179, 1, 5},
		{181, 0, 1},
		{500, 0, 0},
		{501, 1, 1},
		{560, 0, 1},
		{620, 0, 0},
	} {
		for range c.add {
			r.Add(at(c.second), time.Millisecond)
		}
		all := r.All(at(c.second))
		if got := all.Count(); got != c.want {
			t.Errorf("after %d s: %d, not %d", c.second, got, c.want)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	var r Recent
	now, d := time.Now(), 100*time.Microsecond
	for b.Loop() {
		r.Add(now, d)
	}
}
