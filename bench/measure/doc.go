// Package measure times work: what every program of this module does in the same
// way, ours and the peers', so that none is measured by another yardstick.
//
// It works on Linux alone. Nothing here may be called by two goroutines at once
// unless it says so; what is measured may use as many as it likes.
//
// Read next: sample.go for what a turn yields, turns.go for how operations are
// repeated, processes.go for what processes use.
package measure
