//go:build linux && cgo && (amd64 || arm64)

package cfault

// #include <stdint.h>
// int verdigris_cfault_arm(int control, uint64_t *word, uintptr_t begin, uintptr_t end);
import "C"

import (
	"os"
	"reflect"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/verdigris-go/verdigris/internal/dying"
)

func init() { dying.Arm = arm }

// Check returns nil if workers of this program tell their end, else why they do not.
// The error matches errors.ErrUnsupported.
func Check() error { return nil }

// arm installs the handlers. The word must stay where it is for as long as the process
// lives.
func arm(control int, word *uint64) error {
	begin, end := text()
	errno := C.verdigris_cfault_arm(C.int(control), (*C.uint64_t)(unsafe.Pointer(word)), C.uintptr_t(begin), C.uintptr_t(end))
	if errno != 0 {
		return os.NewSyscallError("sigaction", syscall.Errno(errno))
	}
	return nil
}

// text is where the instructions of all Go code of this program are, from begin to
// before end. The linker puts them into one piece, and those of C into others. The
// runtime has no function that tells, but it knows the function at each address of
// that piece, and at no other.
func text() (begin, end uintptr) {
	here := reflect.ValueOf(text).Pointer()
	known := func(pc uintptr) bool { return runtime.FuncForPC(pc) != nil }
	begin = edge(func(n uintptr) bool { return known(here - n) })
	end = edge(func(n uintptr) bool { return known(here + n) })
	return here - begin, here + end + 1
}

// edge is the greatest n for which inside is true; it is true of 0, and from some n on
// of none.
func edge(inside func(n uintptr) bool) uintptr {
	high := uintptr(1)
	for inside(high) {
		high *= 2
	}
	low := high / 2
	for low+1 < high {
		if mid := low + (high-low)/2; inside(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}
