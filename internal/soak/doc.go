// Command soak breaks workers for as long as you like, in every way that it
// knows, while callers call them, and then has a checker decide whether any
// call was lost, answered with another one's answer, or run twice.
//
//	go run ./internal/soak -calls 50000 -faults 5000 -workers 8 -callers 64 -seed 1
//
// The workers are a pool.Pool and single child.Processes, under a tree of
// supervisors, and those of small pools, which between them have every setting of
// pool.Config. A call is one of a function or of a stream. A fault is made by the
// worker that runs a call (it crashes, hangs, sends garbage), by the caller (it
// leaves, breaks off a loop, calls with poison, in crowds, by a Map), by the parent
// (it sends signals, restarts supervisors, has no descriptors left), or by who owns
// a pool (it is resized, replaced, paused, drained, stopped under load). Which fault
// comes with which call is a plan that is made from the seed alone: the same seed
// gives the same plan. When they meet is up to the machine.
//
// Parent and workers write ledgers, see package ledger; package check, which
// knows nothing of the library, reads them and looks for what is left behind.
// The last line is
//
//	soak: calls=N answered=N mismatched=0 lost=0 duplicated=0 faults=M leaked=0
//
// answered counts calls that have come to exactly one end, be it an error: what
// counts is that the error is true. leaked counts goroutines, descriptors,
// processes, control groups, files, and lanes that still hold calls or lack workers
// when all calls have ended. The exit status is 1 when a number is not as it should
// be, when a fault that was planned did not happen, or when a pool has counted other
// calls than it was given.
//
// Read next: kinds.go for what a fault is; deaths.go, frames.go, callers.go,
// crowds.go, maps.go, poison.go, strikes.go and orders.go for the faults; lanes.go
// and pools.go for the workers; calls.go and attempts.go for the callers.
package main
