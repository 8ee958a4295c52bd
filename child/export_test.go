package child

import "time"

// MaxAbandoned is how many abandoned processes there may be.
const MaxAbandoned = maxAbandoned

// WithKillGrace sets how long a killed process may take to die.
func (c Config) WithKillGrace(d time.Duration) Config {
	c.tune.killGrace = d
	return c
}

// Undying makes the workers survive being killed.
func (c Config) Undying() Config {
	c.tune.undying = true
	return c
}
