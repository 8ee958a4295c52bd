package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
)

// outcome is what the error of a call tells about its file.
type outcome struct {
	fate  fate
	class string // for the summary
	words string // for the file's own line
}

type fate int

const (
	failed    fate = iota // it is the file's fault: to try again would end in the same way
	unlucky               // it is not, or nobody knows: the next run tries it again
	cut                   // the program was asked to stop; nothing has happened
	noWorkers             // there are no decoders any more, so no file can be done
)

// judge reads the facts that the error of a call carries.
func judge(err error, o options) outcome {
	if crash, ok := errors.AsType[*child.CrashError](err); ok {
		return blame(crash, o)
	}
	if no, ok := errors.AsType[*child.RemoteError](err); ok {
		return refusal(no)
	}
	if _, ok := errors.AsType[*pool.QuarantinedError](err); ok {
		return outcome{failed, "killed decoders before", "is refused: it has killed decoders before"}
	}
	if stopped, ok := errors.AsType[*child.InterruptedError](err); ok {
		return patience(stopped, o)
	}
	if _, ok := errors.AsType[*child.UnavailableError](err); ok {
		return outcome{noWorkers, "no decoder", err.Error()}
	}
	return outcome{unlucky, "not tried", err.Error()}
}

// refusal is what a decoder says politely. The errors of io/fs keep their identity on the way from the worker.
func refusal(no *child.RemoteError) outcome {
	if errors.Is(no, fs.ErrNotExist) || errors.Is(no, fs.ErrPermission) {
		return outcome{unlucky, "cannot be read", no.Error()}
	}
	return outcome{failed, "no proper image", "is no proper image: " + no.Error()}
}

// patience tells a call whose time was up from one that nobody waits for any more.
func patience(stopped *child.InterruptedError, o options) outcome {
	switch {
	case !errors.Is(stopped, context.DeadlineExceeded):
		return outcome{cut, "", ""}
	case stopped.Started:
		return tooLong(o)
	}
	return outcome{unlucky, "not tried", stopped.Error()}
}

func tooLong(o options) outcome {
	return outcome{failed, "too slow", fmt.Sprintf("takes longer than %v", o.deadline)}
}

// blame says whether a death was the doing of what was being decoded.
func blame(crash *child.CrashError, o options) outcome {
	switch cause := crash.Exit.Cause; cause {
	case child.Killed, child.KillCalled, child.Canceled, child.StopTimeout, child.Abandoned, child.Unknown:
		return outcome{unlucky, "decoder ended by somebody else", "its decoder " + crash.Exit.String()}
	case child.Deadline:
		return tooLong(o)
	case child.OutOfMemory:
		return outcome{failed, "too much memory", fmt.Sprintf("needs more than %d MiB of memory", o.memory)}
	default:
		return outcome{failed, "decoder died: " + cause.String(), "its decoder " + crash.Exit.String()}
	}
}
