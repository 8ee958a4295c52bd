// Package output drains what a worker writes to its standard output or error.
//
// A worker whose pipe is full stands still, so a [Drain] reads always and as
// fast as it can, whatever happens to the text. It does two things with it:
//
//   - The last bytes stay as they came, for the report of a crash (Tail).
//   - Lines go to a function, usually a logger: without their line ends,
//     bounded in length, valid UTF-8, and free of control characters, because
//     nobody wants a worker's escape sequences in a terminal or a log.
//
// The function is called on a goroutine of its own, behind a queue that is
// bounded in bytes, and a rate limit. What does not fit is counted and
// reported, and is lost for the log. So neither a slow logger nor a worker
// that floods its output can hold up the other, or use memory without bound:
// a Drain needs about 100 KiB, and at most about 1 MiB while lines wait.
//
// # The end
//
// A pipe ends when the last process that holds its other side is gone, which
// may be a grandchild that outlives the worker by hours. Close therefore
// bounds the waiting. Whatever was in the pipe when Close was called is read in
// any case.
//
// # Concurrency
//
// All methods may be called from any goroutine, except that Wait must not be
// called from within Options.Line or Options.Dropped.
//
// Read next: drain.go; then tail.go, split.go, queue.go and clean.go, of which
// each stands alone.
package output
