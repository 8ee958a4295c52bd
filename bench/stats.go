//go:build linux

package main

import (
	"slices"

	"github.com/verdigris-go/verdigris/bench/measure"
)

// point is what a side has scored in one round.
type point struct {
	p50, p99 float64 // ns of one operation
	each     float64 // ns of wall time for each operation
	rate     float64 // operations in a second
	cpu      float64 // ns of processor time for each operation
	facts    measure.Facts
}

// scored is what is made of a turn.
func scored(s measure.Sample) point {
	p := point{facts: s.Facts}
	if n := max(s.Done, len(s.Took)); n > 0 {
		p.each, p.cpu = float64(s.Wall)/float64(n), float64(s.CPU)/float64(n)
		if s.Wall > 0 {
			p.rate = float64(n) / s.Wall.Seconds()
		}
	}
	if len(s.Took) > 0 {
		slices.Sort(s.Took)
		p.p50, p.p99 = float64(rank(s.Took, 0.5)), float64(rank(s.Took, 0.99))
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
