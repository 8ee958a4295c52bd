//go:build linux

package main

import (
	"slices"
	"time"
)

// sample is what a turn of one side has yielded.
type sample struct {
	took  []time.Duration // each operation, where they were timed one by one
	done  int             // operations, where they were not, or when cpu is of interest
	wall  time.Duration   // the whole turn
	cpu   time.Duration   // of all processes that took part
	facts facts           // what is neither a time nor a rate
}

// and joins two turns of the same side.
func (s sample) and(t sample) sample {
	return sample{
		slices.Concat(s.took, t.took), s.done + t.done, s.wall + t.wall, s.cpu + t.cpu, s.facts.and(t.facts),
	}
}

// facts are values by name.
type facts map[string]float64

// and is the mean of what two turns have found.
func (f facts) and(g facts) facts {
	mean := facts{}
	for name, v := range f {
		mean[name] = (v + g[name]) / 2
	}
	return mean
}

// point is what a side has scored in one round.
type point struct {
	p50, p99 float64 // ns of one operation
	each     float64 // ns of wall time for each operation
	rate     float64 // operations in a second
	cpu      float64 // ns of processor time for each operation
	facts    facts
}

func (s sample) point() point {
	p := point{facts: s.facts}
	if n := max(s.done, len(s.took)); n > 0 {
		p.each, p.cpu = float64(s.wall)/float64(n), float64(s.cpu)/float64(n)
		if s.wall > 0 {
			p.rate = float64(n) / s.wall.Seconds()
		}
	}
	if len(s.took) > 0 {
		slices.Sort(s.took)
		p.p50, p.p99 = float64(rank(s.took, 0.5)), float64(rank(s.took, 0.99))
	}
	return p
}

// rank is the smallest value that at least the share q of the sorted values does
// not exceed.
func rank[T any](sorted []T, q float64) T {
	i := int(q * float64(len(sorted)))
	if float64(i) == q*float64(len(sorted)) {
		i--
	}
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// score is a side's points, round by round.
type score []point

// of picks one value out of each round.
func (s score) of(value func(point) float64) []float64 {
	values := make([]float64, len(s))
	for i, p := range s {
		values[i] = value(p)
	}
	return values
}

func p50(p point) float64  { return p.p50 }
func p99(p point) float64  { return p.p99 }
func each(p point) float64 { return p.each }
func rate(p point) float64 { return p.rate }
func cpu(p point) float64  { return p.cpu }

// fact picks the value of that name.
func fact(name string) func(point) float64 {
	return func(p point) float64 { return p.facts[name] }
}

// summary is what is told of the values of all rounds.
type summary struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func summarise(values []float64) summary {
	if len(values) == 0 {
		return summary{}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return summary{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// steady reports whether the rounds agree well enough to be believed.
func (s summary) steady() bool { return s.Max <= 2*s.Min }

// ratios divides round by round: what a round did to one side it did to the other.
func ratios(ours, base []float64) []float64 {
	x := make([]float64, 0, len(ours))
	for i := range min(len(ours), len(base)) {
		if base[i] > 0 {
			x = append(x, ours[i]/base[i])
		}
	}
	return x
}
