//go:build linux

package main

import (
	"fmt"

	"github.com/verdigris-go/verdigris/bench/measure"
)

// side is one of those that are compared.
type side struct {
	name string
	turn func() (measure.Sample, error)
}

// contest lets all sides take two turns in each round, A B C C B A, so that none
// is always first and a machine that gets slower does so for all. A side that is
// alone has one. It returns their scores, in the order of the sides.
func (e effort) contest(sides ...side) ([]score, error) {
	scores := make([]score, len(sides))
	for round := range e.rounds {
		if len(sides) == 1 {
			only, err := e.take(sides[0], round%2 == 1)
			if err != nil {
				return nil, err
			}
			scores[0] = append(scores[0], scored(only))
			continue
		}
		first := make([]measure.Sample, len(sides))
		for i, s := range sides {
			var err error
			if first[i], err = e.take(s, false); err != nil {
				return nil, err
			}
		}
		for i := len(sides) - 1; i >= 0; i-- {
			second, err := e.take(sides[i], true)
			if err != nil {
				return nil, err
			}
			scores[i] = append(scores[i], scored(first[i].And(second)))
		}
	}
	return scores, nil
}

// take is one turn. Where two builds are compared, the other one takes the same
// turn before it or after it.
func (e effort) take(s side, second bool) (measure.Sample, error) {
	if err := e.other.before(s.name, second); err != nil {
		return measure.Sample{}, err
	}
	got, err := s.turn()
	if err != nil {
		return got, fmt.Errorf("%s: %w", s.name, err)
	}
	return got, e.other.after(s.name, second)
}
