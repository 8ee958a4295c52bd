//go:build linux && !amd64 && !arm64

package early

import (
	"os"
	"os/signal"
	"syscall"
)

// catchRaw is Catch for one signal, at once.
func catchRaw(sig syscall.Signal) { signal.Notify(make(chan os.Signal, 1), sig) }
