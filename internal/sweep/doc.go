// Package sweep finds and kills what a worker has left behind, where there is
// neither a control group nor a PID namespace to do it.
//
// Every process that is started with a mark in its environment passes it on to
// all that it starts, however often they fork, and into whichever process group
// or session they go. [Kill] searches /proc/PID/environ for the mark.
//
// # How
//
// A process that has the mark is held by its open directory in /proc, which
// stands for that very process as a pidfd does (pidfd_send_signal(2)): the mark
// is read again through it, and through it the signal is sent, so a number that
// has gone to a stranger meanwhile can do no harm.
//
// One look at /proc is not enough: while it lasts, processes may fork. So it is
// repeated until a look has found no mark and missed no process. Processes that
// turned out to be strangers are not looked at twice.
//
// # What it cannot find
//
// A process without its mark: one that was started with another environment, has
// written over it (some daemons do, to change what ps shows), or whose
// environment this user may not read, because it runs as somebody else.
//
// # Concurrency
//
// Everything may be called from any goroutine. Sweeps that are asked for at the
// same time share their looks at /proc; the goroutine that does them ends with
// the last one.
//
// # Systems
//
// It needs Linux 5.1 or later and a mounted /proc. Elsewhere the package builds,
// and Kill returns an error that matches errors.ErrUnsupported.
//
// Read next: sweep.go for marks and the loop, look_linux.go for one look.
package sweep
