//go:build linux

package main

import "fmt"

// side is one of those that are compared.
type side struct {
	name string
	turn func() (sample, error)
}

// contest lets all sides take two turns in each round, A B C C B A, so that none
// is always first and a machine that gets slower does so for all. It returns
// their scores, in the order of the sides.
func contest(rounds int, sides ...side) ([]score, error) {
	scores := make([]score, len(sides))
	for range rounds {
		first := make([]sample, len(sides))
		for i, s := range sides {
			var err error
			if first[i], err = s.turn(); err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
		}
		for i := len(sides) - 1; i >= 0; i-- {
			second, err := sides[i].turn()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", sides[i].name, err)
			}
			scores[i] = append(scores[i], first[i].and(second).point())
		}
	}
	return scores, nil
}
