//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/soak/ledger"
	"github.com/verdigris-go/verdigris/pool"
)

// report puts an error into the ledger's words.
func (a *attempt) report(err error) ledger.Line {
	l := ledger.Line{Outcome: a.outcome(err)}
	if crash, ok := errors.AsType[*child.CrashError](err); ok && l.Outcome == ledger.Crash {
		l.Cause, l.PID, l.Width = causeWord(crash.Exit.Cause), crash.PID, a.lane.width
		// A pool numbers the runs of a new worker from 1 again, and the kernel gives numbers of processes anew.
		l.Worker = fmt.Sprintf("%s/%d/%v", crash.Worker, crash.Run, crash.Uptime)
	}
	return l
}

func (a *attempt) outcome(err error) ledger.Outcome {
	if err == nil {
		return ledger.OK
	}
	if errors.Is(err, errBroken) {
		return ledger.Broken
	}
	_, left := errors.AsType[*child.InterruptedError](err)
	if a.inside && left {
		return ledger.Unexpected // it has waited
	}
	if _, refused := errors.AsType[*pool.QuarantinedError](err); refused && a.most == 1 {
		return ledger.Unexpected // no input of ours comes twice, but those that are sent again
	}
	if errors.Is(err, child.ErrNotStarted) {
		return ledger.NotStarted
	}
	if _, ok := errors.AsType[*child.CrashError](err); ok {
		return ledger.Crash
	}
	if left {
		return ledger.Interrupted
	}
	if e, ok := errors.AsType[*child.RemoteError](err); ok && (strings.HasPrefix(e.Message, refusal) || a.stream && e.Message == context.DeadlineExceeded.Error()) {
		return ledger.Refused // the worker may be the first to see that a stream's time is up
	}
	if f := a.call.fault; f != nil && f.kind.name == wrongType && strings.Contains(err.Error(), "the output: ") {
		return ledger.BadAnswer
	}
	return ledger.Unexpected
}

// causeWord is a cause in one word.
func causeWord(c child.Cause) string { return strings.ReplaceAll(c.String(), " ", "-") }

// front stands in front of a lane, and hears how its calls are settled there.
type front struct {
	child.Caller
	lane    *lane
	settled func(end error)
}

// Do passes a call on.
func (f front) Do(ctx context.Context, req *child.Request) error {
	attempt := *req
	attempt.Settled = f.settled
	f.lane.asked.Add(1)
	return f.Caller.Do(ctx, &attempt)
}

// Width is for pool.Map.
func (f front) Width() int { return f.lane.width * 2 }

// settled writes that an attempt takes no worker's time any more.
func (s *soak) settled(a ledger.Attempt, end error) {
	l := ledger.Line{Event: ledger.Settled, Attempt: a, Outcome: ledger.NotStarted}
	if _, remote := errors.AsType[*child.RemoteError](end); end == nil || remote {
		l.Outcome = ledger.OK
	} else if _, died := errors.AsType[*child.CrashError](end); died && !errors.Is(end, child.ErrNotStarted) {
		l.Outcome = ledger.Crash
	}
	s.write(l)
}
