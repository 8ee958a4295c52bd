// Package spawn starts worker processes and watches over their lives.
//
// It does one thing: clone and execute a program so that the result can be
// signalled, waited for and got rid of without any of the races that
// process numbers bring. What a worker says, and what is said to it, is the
// business of package child.
//
// # What holds for every worker
//
//   - It is executed by a descriptor that is already open. Replacing or
//     deleting the file of the program does not matter.
//   - It gets standard input from /dev/null, the given standard output and
//     error, and the given files as descriptors 3, 4, 5 and so on. The
//     environment is what the command says, and nothing else.
//   - It leads a process group of its own, which is killed when it has died
//     and before its number is given back to the system.
//   - The kernel kills it when this program dies (PR_SET_PDEATHSIG, prctl(2)).
//     That signal follows the thread that cloned the worker, so one goroutine,
//     locked to its thread and never ending, does all the cloning.
//   - It is signalled and waited for by pidfd (pidfd_open(2)), so a signal can
//     never reach a stranger that has inherited the number. Waiting costs a
//     goroutine in the runtime's poller and no thread.
//
// # What does not hold
//
//   - A descendant that leaves the process group (setsid, setpgid) survives
//     the group's death, and that of this program, unless the process was
//     started in a PID namespace or a control group. Package child sees to it.
//   - A descriptor that this program has itself inherited, or that C code in
//     it has opened without O_CLOEXEC, reaches the workers too. Descriptors
//     opened by Go do not.
//   - In a program that waits for all its children (wait4 with pid -1) or
//     ignores SIGCHLD, exit statuses get lost: the State is Unknown then.
//     Before Linux 6.9 the group of such a worker is not killed at its end.
//
// # Concurrency
//
// All functions and all methods may be called from any goroutine. Starts are
// done one after the other.
//
// # Systems
//
// Worker processes need Linux 5.4 or later and a mounted /proc. On other
// systems the package builds, and every call returns [ErrUnsupported].
//
// Read next: spawn.go for the vocabulary, start_linux.go for how a worker
// begins, process_linux.go for how it ends.
package spawn
