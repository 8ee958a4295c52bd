//go:build !race

package child

// What a worker needs for itself; a program that does little starts with a quarter of it.
const minMemory = 16 << 20

// What a worker's data takes beside the memory that it uses, see dataFor.
const (
	dataOfRuntime = 256 << 20
	dataFactor    = 1
)
