//go:build linux

package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/verdigris-go/verdigris/child"
)

func main() {
	playRole() // before Init: the floor is this program reaching main, without the library
	child.Init()
	rounds := flag.Int("rounds", full.rounds, "rounds of each row, of which the median counts")
	only := flag.String("row", "", "which rows, with commas between them; all if empty")
	asJSON := flag.Bool("json", false, "print JSON instead of a table")
	profiles := flag.String("profile", "", "measure nothing, but write processor profiles of the parent and a worker to this folder")
	flag.Parse()
	if flag.NArg() > 0 || *rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	chosen, err := choose(strings.FieldsFunc(*only, func(r rune) bool { return r == ',' || r == ' ' }))
	if err == nil && *profiles != "" {
		err = profileAll(*profiles, chosen)
	} else if err == nil {
		e := full
		e.rounds = *rounds
		err = run(e, chosen, *asJSON)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(e effort, chosen []row, asJSON bool) error {
	r := report{Machine: look(e)}
	for _, row := range chosen {
		fmt.Fprintln(os.Stderr, "bench:", row.id, row.what)
		lines, err := measure(row, e)
		if err != nil {
			return fmt.Errorf("row %s: %w", row.id, err)
		}
		r.Lines = append(r.Lines, lines...)
	}
	r.Machine.LoadAfter = load()
	if asJSON {
		return r.writeJSON(os.Stdout)
	}
	return r.writeTable(os.Stdout)
}
