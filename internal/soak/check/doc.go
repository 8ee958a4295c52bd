// Package check decides how a soak went. It knows the ledgers that parent and
// workers have written and what /proc shows, and nothing of the library that
// was soaked: a fault there cannot hide itself here.
//
// # What must hold
//
// Every call has one end, and every attempt of it one outcome. An attempt that
// was answered has begun and finished exactly once, in one life of a worker,
// with the token that was sent, and its answer was made from that token. An
// attempt that was reported as not started has not begun, at any time. No
// attempt has begun twice, unless it was sent as idempotent to a pool that tries
// again, and then no oftener than the pool's attempts and its budget allow. Each
// attempt is told once to be settled, as what it was. A crash is
// reported to no more calls than the worker runs at once, unless it has broken the
// protocol: then answers that it had kept together are not believed either. For a
// call that has begun it names the process in which it did. No worker runs more
// calls at once than it should.
//
// # Concurrency
//
// Everything may be called from any goroutine. [Ledgers] reads files that
// nobody writes to any more.
//
// Read next: ledgers.go for what is read, verdict.go for the rules
// of a call and promises.go for those of a pool, table.go
// for the table of faults, leaks.go for what may be left behind.
package check
