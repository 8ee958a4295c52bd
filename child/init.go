package child

import (
	"fmt"
	"os"

	"github.com/verdigris-go/verdigris/internal/early"
	"github.com/verdigris-go/verdigris/internal/spawn"
)

const marker = early.Marker

// Init makes workers possible. Call it as the first line of main, and of
// TestMain in tests:
//
//	func main() {
//		child.Init()
//		...
//
// In a process that was started as a worker it serves calls until the parent
// says stop, and never returns: nothing of what main sets up exists there. In
// every other process it opens the program's own file, so that workers are
// this very program even after the file has been replaced, and returns. It may
// be called more than once.
func Init() {
	if early.Depth == 0 {
		_ = spawn.Hold() // what fails here fails again, and is reported, at the first start
		initialised.Store(true)
		return
	}
	initialised.Store(true)
	if os.Getpid() == 1 { // of a PID namespace
		go beWorker()
		adopt()
	}
	beWorker()
}

// InWorker reports whether this process was started as a worker.
func InWorker() bool { return early.Depth > 0 }

// nobodyServes says why nobody does, and never did in this process.
func nobodyServes() string {
	if InWorker() {
		return "nobody serves it in this process, which is a worker itself; ask the process that serves it to make the call, see AllMeta, or serve one here"
	}
	return "nobody serves it; put it under a supervisor or call Serve"
}

// beWorker never returns.
func beWorker() {
	if err := serveParent(); err != nil {
		fmt.Fprintln(os.Stderr, "verdigris worker:", err)
		os.Exit(exitNoParent)
	}
	os.Exit(0)
}

// Exit statuses of a worker that ends by its own decision, see docs/wire.md.
const (
	exitPanic    = 2  // as a Go program that panics
	exitNoParent = 70 // EX_SOFTWARE of sysexits.h: it could not talk to a parent
	exitOrphan   = early.StatusOrphan
)
