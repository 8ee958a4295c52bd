package spawn

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// A host that is short of something says so, and what to do; it is no fault of
// the worker. Others are.
func TestShortage(t *testing.T) {
	for errno, words := range map[syscall.Errno]string{
		syscall.EMFILE: "raise its limit", syscall.ENFILE: "fs.file-max", syscall.EAGAIN: "no more processes are allowed", syscall.ENOMEM: "not enough memory",
		syscall.EACCES: "", syscall.ENOENT: "",
	} {
		err := &Error{OpStart, fmt.Errorf("starting: %w", os.NewSyscallError("clone", errno))}
		if err.Shortage() != (words != "") || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, a shortage: %v", err, err.Shortage())
		}
	}
}
