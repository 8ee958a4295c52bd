//go:build linux

package main

import (
	"os"
	"time"
)

// longestBurn ends a burner that has been forgotten.
const longestBurn = 5 * time.Minute

// burn keeps one core busy until the input ends.
func burn([]string) {
	go func() { idle(nil); os.Exit(0) }()
	for end := time.Now().Add(longestBurn); time.Now().Before(end); {
		for n := 0; n < 1<<16; n++ {
		}
	}
}

// burners starts processes that keep so many cores busy. Where two builds are
// compared, those of one of them burn for both.
func (e effort) burners(n int) (partners, error) {
	if _, follows := e.other.(ordered); follows {
		return nil, nil
	}
	all, err := startPartners(n, "burn")
	if n > 0 && err == nil {
		time.Sleep(50 * time.Millisecond) // until they burn
	}
	return all, err
}
