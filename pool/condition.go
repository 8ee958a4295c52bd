package pool

import (
	"errors"
	"fmt"
	"log/slog"
)

// Condition is how a pool is, in a word.
type Condition uint8

// The conditions. If several are true, that which stands last here counts.
const (
	Starting  Condition = iota // fewer workers are ready than Config.MinReady, for the first time in this service
	Ready                      // as many workers are up as there should be
	Degraded                   // some are not
	Flapping                   // workers die too often
	Rejecting                  // calls are refused
	Paused                     // calls wait until Resume
	Draining                   // no more calls are let in, those that are there are ended
	Drained                    // no more calls are let in, and none is there
	Stopped                    // nobody serves the pool
)

var conditionNames = [...]string{"starting", "ready", "degraded", "flapping", "rejecting", "paused", "draining", "drained", "stopped"}

// String is one word.
func (c Condition) String() string {
	if int(c) < len(conditionNames) {
		return conditionNames[c]
	}
	return fmt.Sprintf("Condition(%d)", uint8(c))
}

// MarshalText is String.
func (c Condition) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

func (c Condition) level(err error) slog.Level {
	switch c {
	case Degraded, Rejecting:
		return slog.LevelWarn
	case Flapping:
		return slog.LevelError
	case Stopped:
		if err != nil && !errors.Is(err, errStopped) {
			return slog.LevelError
		}
	}
	return slog.LevelInfo
}
