package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
)

func TestJudge(t *testing.T) {
	died := func(c child.Cause) error { return &child.CrashError{Exit: child.Exit{Cause: c}} }
	stopped := func(err error, started bool) error { return &child.InterruptedError{Err: err, Started: started} }
	for _, test := range []struct {
		err   error
		fate  fate
		class string
	}{
		{died(child.Segfault), failed, "decoder died: segmentation fault"},
		{died(child.Panicked), failed, "decoder died: panic"},
		{died(child.OutOfMemory), failed, "too much memory"},
		{died(child.Deadline), failed, "too slow"},
		{died(child.Killed), unlucky, "decoder ended by somebody else"},
		{died(child.StopTimeout), unlucky, "decoder ended by somebody else"},
		{&child.RemoteError{Message: "png: invalid"}, failed, "no proper image"},
		{&pool.QuarantinedError{}, failed, "killed decoders before"},
		{stopped(context.DeadlineExceeded, true), failed, "too slow"},
		{stopped(context.DeadlineExceeded, false), unlucky, "not tried"},
		{stopped(context.Canceled, true), cut, ""},
		{&child.UnavailableError{}, noWorkers, "no decoder"},
		{&child.NotStartedError{Reason: errors.New("it ended")}, unlucky, "not tried"},
	} {
		got := judge(&pool.MapError{Err: test.err}, options{deadline: time.Second, memory: 64})
		if got.fate != test.fate || got.class != test.class || got.words == "" && got.fate != cut {
			t.Errorf("%v: %+v", test.err, got)
		}
	}
}
