package early

import (
	"os"
	"runtime"
	"strconv"
)

// Marker is the environment variable that tells a process that it is a worker.
// It is gone from the environment before main, so that no program that a worker
// starts takes itself for one.
const Marker = "VERDIGRIS_WORKER"

// Depth says how many workers are above this process: 0 in a program that was
// not started as a worker, 1 in its workers, 2 in workers of those.
var Depth = begin(os.Getenv(Marker))

// StatusOrphan is the exit status of a worker whose parent has gone, EX_TEMPFAIL
// of sysexits.h.
const StatusOrphan = 75

// What a parent passes on: from the control channel to the shared memory for calls
// and its bells, if it has any.
const (
	fdControl = 3
	fdStrays  = 10 // the first that is none of a worker's
)

func begin(marker string) (depth int) {
	if marker == "" {
		return 0
	}
	os.Unsetenv(Marker)
	runtime.LockOSThread()
	settle()
	depth, _ = strconv.Atoi(marker)
	return max(depth, 1)
}
