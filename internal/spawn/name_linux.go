package spawn

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SetName sets the name of this process that top and the kernel's log show
// (PR_SET_NAME, prctl(2)); the kernel keeps 15 bytes. A worker needs it
// because the kernel derives that name from the executed path, which is a
// descriptor's number. It is the name of the first thread: from another one it
// takes a file of /proc.
func SetName(name string) error {
	var err error
	if unix.Gettid() == os.Getpid() {
		b := append([]byte(name), 0)
		err = os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&b[0])), 0, 0, 0))
	} else {
		err = os.WriteFile("/proc/self/comm", []byte(name), 0)
	}
	if err != nil {
		return &Error{OpName, err}
	}
	return nil
}
