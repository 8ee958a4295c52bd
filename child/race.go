//go:build race

package child

// What a worker needs for itself, with the race detector's shadow memory.
const minMemory = 32 << 20

// That memory is several times as large as what it covers, see dataFor.
const (
	dataOfRuntime = 1 << 30
	dataFactor    = 6
)
