// Package seccomp builds and loads system call filters for worker processes.
//
// It does one thing: a [Filter], a plain description of which system calls with
// which arguments are done, fail or kill, becomes a [Program] of the kernel's
// filter machine, and [Load] puts it in force for good, or says that it did not.
// What a worker may do is the business of others; this package has the lists they
// are made of: [Runtime] and [CGo] are what a Go program cannot live without, and
// groups as [NoExec] and [OnlySockets] each refuse one thing.
//
// # What can be relied on
//
//   - Compiling is a pure function, the same on every system. The first rule that
//     matches decides. System calls of another architecture kill the process,
//     those of 32-bit programs and of x32 too.
//   - An argument that the kernel reads as an int is compared as one ([Int]):
//     whatever stands in the upper half of its register does not help.
//   - Loading cannot fail open. Success means that the filter itself has answered
//     a question that only it can answer ([Program.InForce]).
//   - When one thread has a filter that the others have not, the kernel refuses to
//     load one for all of them, and reports that by a positive result without an
//     error. It is an error here, with the thread.
//
// # What a filter cannot do
//
// It sees numbers: no path, no address to connect to, no flags in memory (clone3,
// openat2), nothing that io_uring does. It does not reach descriptors that are
// open already. It is not undone, and it passes to all that the process starts.
//
// # When to load
//
//   - [AllThreads]: by a worker, in its own main, before it serves. This is the
//     only place from which executing programs can be refused. Package variables
//     and C constructors have been initialised by then.
//   - [ThisThread]: by a goroutine that starts the workers. It stays on that
//     thread for ever (runtime.LockOSThread), and when it ends the thread ends, and
//     by their parent-death signal the workers. They are confined from their first
//     instruction on, but the filter must allow execve and all that a starting
//     program does: use it to refuse single things, not for a list of what is
//     allowed.
//
// Filters add up: of several, the strictest answer counts.
//
// # Which system call it was
//
// The status of a process that was killed says SIGSYS and no more. With [Trap]
// instead of [KillProcess] the Go runtime prints its registers when it dies, and
// [FromDump] reads the call from them; the text is the worker's. With [Notify]
// the kernel tells the holder of a [Notifier], who then lets the call fail and
// kills: that is beyond doubt, and costs a descriptor and a goroutine. Nothing is
// slower until a call is refused. A program that may read the kernel's log can find
// it there as well, by [FromAudit], mostly.
//
// # Concurrency
//
// Everything may be called from any goroutine; [Load] and [Program.InForce] are
// about the calling thread where they say so.
//
// # Systems
//
// Loading needs Linux on amd64 or arm64; [Probe] says what the kernel has,
// [Kernel.Check] whether that is enough. Elsewhere the package builds, compiles
// filters, and does not load them: [ErrUnsupported].
//
// # Sources
//
// seccomp(2), seccomp_unotify(2), and Documentation/userspace-api/seccomp_filter.rst
// of Linux; the numbers are those of golang.org/x/sys/unix. Which calls the Go
// runtime makes was measured, under filters that kill, by the tests of this
// package.
//
// Read next: filter.go for the vocabulary, compile.go and code.go for the
// translation, load_linux.go for loading, runtime.go and refuse.go for the lists.
package seccomp
