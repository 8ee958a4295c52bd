//go:build linux

package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/dying"
)

// unnoticed is a variable of the environment of workers that do not tell of faults in C
// before they are dead, as if package cfault were not there.
const unnoticed = "BENCH_UNNOTICED"

func main() {
	playRole() // before Init: the floor is this program reaching main, without the library
	if os.Getenv(unnoticed) != "" {
		dying.Arm = nil
	}
	child.Init()
	o := options{effort: full}
	flag.IntVar(&o.effort.rounds, "rounds", full.rounds, "rounds of each row, of which the median counts")
	only := flag.String("row", "", "which rows, with commas between them; all if empty")
	flag.DurationVar(&o.within, "within", 7*time.Minute+30*time.Second, "when it is too late to take a row again whose rounds differ")
	flag.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	flag.StringVar(&o.profiles, "profile", "", "measure nothing, but write processor profiles of the parent and a worker to this folder")
	flag.StringVar(&o.against, "against", "", "compare with this other build of the program, turn by turn")
	flag.BoolVar(&o.ordered, "ordered", false, "be the other build: take orders from the input")
	flag.Parse()
	if flag.NArg() > 0 || o.effort.rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	var err error
	o.rows, err = choose(strings.FieldsFunc(*only, func(r rune) bool { return r == ',' || r == ' ' }))
	if err == nil {
		err = o.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	effort            effort
	rows              []row
	json, ordered     bool
	profiles, against string
	within            time.Duration
}

func (o options) run() error {
	dir, remove, err := findPrograms()
	if err != nil {
		return err
	}
	defer func() { _ = remove() }() // nobody needs them any more
	o.effort.programs = dir
	switch {
	case o.ordered:
		return ordered{conversation{bufio.NewReader(os.Stdin), os.Stdout}}.serve(o.effort)
	case o.profiles != "":
		return profileAll(o.profiles, o.rows)
	case o.against != "":
		other, err := startRival(exec.Command(o.against, "-ordered", "-rounds", strconv.Itoa(o.effort.rounds)))
		if err != nil {
			return err
		}
		defer other.end()
		return o.report(other.measure)
	}
	return o.report(takeRow)
}

// report takes the rows and prints what they say.
func (o options) report(take taker) (err error) {
	r := report{Machine: look(o.effort)}
	if r.Lines, err = take.readAll(o.rows, o.effort, o.within); err != nil {
		return err
	}
	r.Machine.LoadAfter = load()
	if o.json {
		return r.writeJSON(os.Stdout)
	}
	return r.writeTable(os.Stdout)
}
