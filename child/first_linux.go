package child

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This is what a worker has to do that is process 1 of a PID namespace.

// adopt is what process 1 of a PID namespace has to do on the side: it reaps the
// orphans that the kernel gives it. They become children of the process's first
// thread, on which it runs and never returns; what the worker's functions start
// are children of other threads, and are left for them to wait for. (A child
// whose thread has ended before it goes to the first thread, too: its status is
// then lost.)
func adopt() {
	deaths := make(chan os.Signal, 1)
	signal.Notify(deaths, unix.SIGCHLD)
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG|unix.WNOTHREAD, nil)
		if pid <= 0 && err != unix.EINTR {
			<-deaths
		}
	}
}

// endByFaults ends the process, with a report, when C code crashes on a thread
// that C code has made. The Go runtime lets the signal do its work there; for
// process 1 the kernel drops it, and the thread would crash again for ever.
// Faults on Go's threads do not come here.
func endByFaults(report *os.File) {
	faults := make(chan os.Signal, 1)
	signal.Notify(faults, unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGSYS)
	go func() {
		sig, _ := (<-faults).(syscall.Signal)
		name := unix.SignalName(sig) + ": " + sig.String()
		if aborting() {
			name = "SIGABRT: abort"
		}
		_, _ = fmt.Fprintf(report, "%s\n\non a thread of C code, of which there is no stack\n", name)
		os.Exit(exitPanic)
	}()
}

// aborting reports whether abort(3) has been called. It raises SIGABRT, and when
// that has not helped takes Go's handler away, raises it again, and at last runs
// into an instruction that is a fault.
func aborting() bool {
	var action [4]uintptr // struct sigaction of the kernel: the handler comes first
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGABRT), 0, uintptr(unsafe.Pointer(&action)), 8, 0, 0)
	return errno == 0 && action[0] == 0
}
