package spawn

import (
	"runtime"
	"sync"
)

// clones takes the work of the cloning thread. The kernel sends a worker its
// parent-death signal when the thread that cloned it ends, and the Go runtime
// ends threads as it likes (for one, when a locked goroutine returns). So all
// workers are cloned by this one, which is locked and never returns.
var clones = sync.OnceValue(func() chan<- func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
})

// onCloneThread runs f on the cloning thread and waits for it.
func onCloneThread(f func()) {
	done := make(chan struct{})
	clones() <- func() {
		defer close(done)
		f()
	}
	<-done
}
