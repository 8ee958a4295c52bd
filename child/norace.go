//go:build !race

package child

// What a worker needs for itself; a program that does little starts with a quarter of it.
const minMemory = 16 << 20

// quick is how many bytes may be written, and 128 times as many read, without telling the
// scheduler, which would wake a thread of its own each time in a process that is idle
// otherwise.
const quick = 512

// What a worker's data takes beside the memory that it uses, see dataFor.
const (
	dataOfRuntime = 256 << 20
	dataFactor    = 1
)
