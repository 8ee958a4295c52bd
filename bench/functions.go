//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"time"

	"github.com/verdigris-go/verdigris/bench/measure"
	"github.com/verdigris-go/verdigris/bench/peer"
	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/ccrash"
)

// What runs in the workers.
var (
	echo   = child.Define("bench.echo", func(_ context.Context, b []byte) ([]byte, error) { return b, nil })
	mirror = child.Define("bench.mirror", func(_ context.Context, o peer.Order) (peer.Order, error) { return o, nil })
	who    = child.Define("bench.who", func(context.Context, bool) (int, error) { return os.Getpid(), nil })
	fill   = child.Define("bench.fill", func(_ context.Context, mib int) (bool, error) { return ccrash.Leak(mib << 20), nil })
	die    = child.Define("bench.die", func(_ context.Context, d death) (bool, error) { d.happen(); return false, nil })
	record = child.Define("bench.record", func(_ context.Context, file string) (bool, error) { return true, recordTo(file) })
)

// death is how and when a worker is to die: at an appointed time of the clock
// that all processes share, so that its parent knows when that was, and no
// message is part of what is measured.
type death struct {
	At  time.Duration
	How string
}

const (
	byPanic = "panic"
	byFault = "fault"
)

func (d death) happen() {
	sleepUntil(d.At, 2*time.Millisecond)
	if d.How == byFault {
		ccrash.Segfault()
	}
	panic("as appointed")
}

// sleepUntil returns at a time of that clock. It is awake a while before, or it would
// be late.
func sleepUntil(at, before time.Duration) {
	time.Sleep(at - measure.Monotonic() - before)
	for measure.Monotonic() < at {
	}
}

// recordTo begins a processor profile of the worker, or ends it when file is "".
func recordTo(file string) error {
	if file == "" {
		pprof.StopCPUProfile()
		return nil
	}
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("the worker's profile: %w", err)
	}
	return pprof.StartCPUProfile(f) // the file stays open until the process ends
}
