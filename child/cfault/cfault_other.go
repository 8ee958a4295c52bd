//go:build !linux || !cgo || !(amd64 || arm64)

package cfault

import (
	"errors"
	"fmt"
	"runtime"
)

// Check returns nil if workers of this program tell their end, else why they do not.
// The error matches errors.ErrUnsupported.
func Check() error {
	return fmt.Errorf("cfault: this program was built for %s on %s, or without cgo; workers tell of faults in C before they are dead with cgo on Linux for amd64 and arm64: %w",
		runtime.GOOS, runtime.GOARCH, errors.ErrUnsupported)
}
