package spawn

import "os"

// SetName sets the name of this process that top and the kernel's log show
// (PR_SET_NAME, prctl(2)); the kernel keeps 15 bytes. A worker needs it
// because the kernel derives that name from the executed path, which is a
// descriptor's number.
func SetName(name string) error {
	if err := os.WriteFile("/proc/self/comm", []byte(name), 0); err != nil {
		return &Error{OpName, err}
	}
	return nil
}
