// Package ledger is the format in which a soak writes down what happens, and in
// which its checker reads it: append-only files of one folder, one event a
// line, each line written by one write(2), so that a process that is killed
// loses the line it was in and no other.
//
//	plan          the faults that were planned, one "fault" line each
//	parent        the parent's lines: pool, sent, item, shown, got, settled, end, dose, replaced
//	worker-*      one file for each life of a worker: run, begin, passed, finish, spoil, drank, left
//	happened      one byte for each fault of the plan, '1' when it has happened
//
// Both sides of the library under test use this package, and nothing of the
// library: a fault of the library cannot make them agree.
//
// # Concurrency
//
// A [File] and [Happened] may be used from any goroutine.
//
// Read next: line.go for the lines, token.go for what travels with a call.
package ledger
