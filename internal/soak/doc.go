// Command soak breaks workers for as long as you like, in every way that it
// knows, while callers call them, and then has a checker decide whether any
// call was lost, answered with another one's answer, or run twice.
//
//	go run ./internal/soak -calls 50000 -faults 5000 -workers 8 -callers 64 -seed 1
//
// The workers are a pool.Pool and single child.Processes, under a tree of
// supervisors. A fault is made by the worker that runs a call (it crashes,
// hangs, sends garbage), by the caller (it leaves), or by the parent (it sends
// signals, restarts supervisors, has no descriptors left). Which fault comes
// with which call is a plan that is made from the seed alone: the same seed
// gives the same plan. When they meet is up to the machine.
//
// Parent and workers write ledgers, see package ledger; package check, which
// knows nothing of the library, reads them and looks for what is left behind.
// The last line is
//
//	soak: calls=N answered=N mismatched=0 lost=0 duplicated=0 faults=M leaked=0
//
// answered counts calls that have come to exactly one end, be it an error: what
// counts is that the error is true. The exit status is 1 when a number is not
// as it should be, or when a fault that was planned did not happen.
//
// Read next: kinds.go for what a fault is, deaths.go, frames.go and strikes.go
// for the faults, lanes.go for the workers, calls.go for the callers.
package main
