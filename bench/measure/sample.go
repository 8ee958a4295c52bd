//go:build linux

package measure

import (
	"slices"
	"time"
)

// Sample is what a turn of work has yielded.
type Sample struct {
	Took  []time.Duration `json:"took,omitempty"`  // each operation, where they were timed one by one
	Done  int             `json:"done,omitempty"`  // operations, where they were not, or when CPU is of interest
	Wall  time.Duration   `json:"wall,omitempty"`  // the whole turn
	CPU   time.Duration   `json:"cpu,omitempty"`   // of all processes that took part
	Facts Facts           `json:"facts,omitempty"` // what is neither a time nor a rate
}

// And joins two turns of the same work.
func (s Sample) And(t Sample) Sample {
	return Sample{slices.Concat(s.Took, t.Took), s.Done + t.Done, s.Wall + t.Wall, s.CPU + t.CPU, s.Facts.and(t.Facts)}
}

// Facts are values by name.
type Facts map[string]float64

// and is the mean of what two turns have found.
func (f Facts) and(g Facts) Facts {
	mean := Facts{}
	for name, v := range f {
		mean[name] = (v + g[name]) / 2
	}
	return mean
}
