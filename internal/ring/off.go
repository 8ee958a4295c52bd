package ring

import (
	"errors"
	"sync/atomic"
)

// off is set where there shall be no rings.
var off atomic.Bool

var errOff = errors.New("they are switched off")

// SwitchOff makes New fail from now on, as on a machine that has no memfd. Tests
// and comparisons use it.
func SwitchOff(yes bool) { off.Store(yes) }
