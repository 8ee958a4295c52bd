//go:build amd64 || arm64

package early

import (
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Functions in assembly, by their addresses.
var (
	doNothing uintptr // a handler of signals
	comeBack  uintptr // what follows a handler, where the kernel does not bring it along
)

// sigaction is the kernel's struct of that name, on machines of 64 bits.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// Flags of a handler, see sigaction(2).
const (
	onStack  = 0x08000000
	restart  = 0x10000000
	restorer = 0x04000000
)

// catchRaw gives a signal a handler that does nothing, in place of the runtime's.
// The runtime is told that the signal is ignored, and so sets its own handler
// again when somebody asks for the signal (signal.Notify), as [Catch] does. What
// this process executes meanwhile gets the usual behaviour, as it would not if the
// kernel were told to ignore the signal.
func catchRaw(sig syscall.Signal) {
	signal.Ignore(sig)
	action := sigaction{handler: doNothing, flags: onStack | restart}
	if comeBack != 0 {
		action.flags, action.restorer = action.flags|restorer, comeBack
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, unsafe.Sizeof(action.mask), 0, 0)
	if errno != 0 {
		signal.Notify(make(chan os.Signal, 1), sig)
	}
}
