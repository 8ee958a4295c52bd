//go:build race

package child

// What a worker needs for itself, with the race detector's shadow memory.
const minMemory = 32 << 20

// quick is how many bytes may be written or read without telling the scheduler: none,
// since the race detector would not see such a system call.
const quick = 0

// That memory is several times as large as what it covers, see dataFor.
const (
	dataOfRuntime = 1 << 30
	dataFactor    = 6
)
