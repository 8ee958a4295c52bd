// Package cfault lets a worker say that it is dying before it is dead, when C code in
// it crashes. It is for programs with C code, and imported for its effect:
//
//	import _ "github.com/verdigris-go/verdigris/child/cfault"
//
// # What for
//
// A Go program in which C code crashes needs 3 to 5 ms until it is dead, since the Go
// runtime stops the world and writes a report, and the kernel then some 0.1 ms for
// each MiB that it had in memory. With this package its parent learns of it within
// some 0.1 ms of the fault: the worker takes no more calls from then on, the calls that
// it had not begun go to another worker of its pool, and so does every new one. The
// calls that it was running wait for its end as they do without this package, and
// their errors have the same facts: which signal, where, on what stack.
//
// # How
//
// In a worker, when it starts, the handlers of the Go runtime for SIGSEGV, SIGBUS,
// SIGFPE, SIGILL and SIGABRT get another one before them. When the signal was raised
// by C code of this process (the instruction is none of Go's; SIGABRT: it comes from
// this process itself), that handler stores the signal's number on the status page and
// shuts the control channel (shutdown(2)); so nothing that another thread is writing
// can garble the notice, or be garbled by it. Then, and in all other cases at once,
// the handler of the Go runtime gets the signal, with the same arguments. It prints
// its report and ends the process. A nil dereference in Go stays a panic that can be
// recovered from.
//
// In a process that is no worker the package does nothing.
//
// # Limits
//
//   - It needs Linux on amd64 or arm64, and cgo. Elsewhere it builds, does nothing, and
//     [Check] says so.
//   - A worker that has told its end is killed when it still lives a second later. So
//     do not import it in a program whose C code survives its own faults by handlers
//     of its own (some language runtimes do); nor in one that loads Go plugins, whose
//     code is taken for C; nor in one that catches SIGABRT by os/signal and lives on
//     after raise(SIGABRT) in C.
//   - C code that installs its own handlers later replaces this one, and those of Go.
//   - What C code does before main, in a worker that is not set up yet, is not told.
//
// All functions may be called from any goroutine.
package cfault
