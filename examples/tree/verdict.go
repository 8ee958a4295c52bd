package main

import (
	"context"
	"errors"
	"io/fs"

	"github.com/verdigris-go/verdigris/child"
)

// verdict is what the end of a call says about the image that was in it.
type verdict int

const (
	done     verdict = iota // there is a thumbnail
	refused                 // the decoder said politely that the image is bad
	crashed                 // the image ended its decoder's process
	innocent                // the call was not started, or something else ended the worker: nothing is known about the image
	stopped                 // the caller gave up; nothing is known about the image
	broken                  // none of these: this program is at fault
)

// final reports whether the image need not be tried again.
func (v verdict) final() bool { return v != innocent && v != stopped }

// judge reads the facts that the error of a call carries.
func judge(err error) verdict {
	if err == nil {
		return done
	}
	if crash, ok := errors.AsType[*child.CrashError](err); ok {
		return blame(crash.Exit.Cause)
	}
	if no, ok := errors.AsType[*child.RemoteError](err); ok {
		return answer(no)
	}
	if gaveUp, ok := errors.AsType[*child.InterruptedError](err); ok {
		return patience(gaveUp)
	}
	switch {
	case errors.Is(err, child.ErrNotStarted):
		return innocent
	case errors.Is(err, context.Canceled):
		return stopped
	}
	return broken
}

// answer tells an image that is bad from a file that cannot be read. The errors of io/fs keep their identity on the
// way from the worker.
func answer(no *child.RemoteError) verdict {
	if errors.Is(no, fs.ErrNotExist) || errors.Is(no, fs.ErrPermission) {
		return broken
	}
	return refused
}

// patience says why a call was given up: because time was over, or because nobody waits for it any more.
func patience(gaveUp *child.InterruptedError) verdict {
	switch {
	case !errors.Is(gaveUp, context.DeadlineExceeded):
		return stopped
	case gaveUp.Started:
		return crashed // Config.CallTimeout: the decoder did not come back from it
	}
	return innocent
}

// blame says whether a death of this kind is the doing of what was being decoded.
func blame(cause child.Cause) verdict {
	switch cause {
	case child.Killed, child.KillCalled, child.StopTimeout:
		return innocent // somebody killed it: an operator, the kernel short of memory, the tree
	default:
		return crashed
	}
}
