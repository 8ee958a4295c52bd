//go:build linux

package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/verdigris-go/verdigris/child"
	_ "github.com/verdigris-go/verdigris/child/cfault"
	"github.com/verdigris-go/verdigris/internal/dying"
)

// unnoticed is a variable of the environment of workers that are as in a program
// without package cfault: nothing tells of a fault in C before its report does.
const unnoticed = "SOAK_UNNOTICED"

func main() {
	if os.Getenv(unnoticed) != "" {
		dying.Arm = nil
	}
	child.Init() // in a worker process, this never returns
	var o options
	flag.IntVar(&o.calls, "calls", 50_000, "how many calls are made")
	flag.IntVar(&o.faults, "faults", 5_000, "how many of them meet a fault")
	flag.IntVar(&o.workers, "workers", 8, "how many workers take them, at least 2")
	flag.IntVar(&o.callers, "callers", 64, "how many callers call at once")
	flag.Uint64Var(&o.seed, "seed", 1, "what the plan of the faults is made from")
	flag.StringVar(&o.kinds, "kinds", "*", "which kinds of faults, patterns as for file names with commas between them")
	flag.BoolVar(&o.verbose, "v", false, "print every call that is slow")
	flag.BoolVar(&o.pipes, "pipes", false, "calls travel by pipes, also where there could be shared memory")
	flag.BoolVar(&o.keep, "keep", false, "keep the ledgers, and say where they are")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	good, err := run(o, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
	}
	if err != nil || !good {
		os.Exit(1)
	}
}
