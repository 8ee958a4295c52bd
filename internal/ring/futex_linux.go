package ring

import (
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The operations of futex(2), for words that processes share.
const (
	opWait = 0
	opWake = 1
)

// futexWait sleeps while the word has this value, until somebody wakes it or, if
// there is a limit, that has passed. It may return for no reason. The scheduler
// knows that the thread is in the kernel.
func futexWait(word *atomic.Uint32, while uint32, limit time.Duration) {
	var ts *unix.Timespec
	if limit > 0 {
		t := unix.NsecToTimespec(int64(limit))
		ts = &t
	}
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), opWait, uintptr(while), uintptr(unsafe.Pointer(ts)), 0, 0)
}

// futexWake wakes who sleeps on the word. It does not wait, so the scheduler need
// not know.
func futexWake(word *atomic.Uint32) {
	_, _, _ = unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), opWake, 1, 0, 0, 0)
}

// nap sleeps until the other side wakes it, at most for the limit, if there is
// one, unless ready says that there is no need to. It may return early.
func nap(word *atomic.Uint32, ready func() bool, limit time.Duration) {
	word.Store(napping)
	if !ready() {
		futexWait(word, napping, limit)
	}
	word.Store(awake)
}
