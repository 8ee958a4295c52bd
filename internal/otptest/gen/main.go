// Command gen makes random scenarios and has OTP's supervisor record what it does with them. It needs escript, which
// is in Debian's erlang-base.
//
//	go run ./internal/otptest/gen -seed 42 -count 300 -processes 100 -out out/otp
//
// writes out/otp/all/random.json, and the first hundred also to out/otp/some/random.json, for tests that are slow.
// The candidates depend on the seed alone. A candidate whose trace varies between runs of OTP itself is dropped, as is
// one in which too little happens, so the list may differ a little between machines.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/verdigris-go/verdigris/internal/otptest"
)

func main() {
	seed := flag.String("seed", "1", "any text; the same text makes the same candidates")
	count := flag.Int("count", 300, "how many scenarios to write")
	processes := flag.Int("processes", 0, "how many of them to write also for tests with processes")
	out := flag.String("out", "out/otp", "folder to write to")
	script := flag.String("oracle", "internal/otptest/oracle.escript", "the script that runs OTP")
	runs := flag.Int("runs", 5, "how often OTP runs each scenario; all runs must agree")
	flag.Parse()
	o := oracle{script: *script, runs: *runs}
	if err := run(o, *seed, *count, *processes, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run writes the files.
func run(o oracle, seed string, count, processes int, out string) error {
	list, err := scenarios(o, seed, count, out)
	if err != nil {
		return err
	}
	if err := save(filepath.Join(out, "all", "random.json"), list); err != nil {
		return err
	}
	return save(filepath.Join(out, "some", "random.json"), list[:min(processes, len(list))])
}

// scenarios makes batches of candidates until there are enough scenarios.
func scenarios(o oracle, seed string, count int, out string) ([]*otptest.Scenario, error) {
	var done []*otptest.Scenario
	for made, tries := 0, 0; len(done) < count && tries < 10; tries++ {
		batch := candidates(seed, made, (count-len(done))*5/4+10)
		made += len(batch)
		recorded, err := o.stable(batch, filepath.Join(out, "candidates.json"))
		if err != nil {
			return nil, err
		}
		done = append(done, recorded...)
	}
	if len(done) < count {
		return nil, fmt.Errorf("only %d of %d scenarios are stable", len(done), count)
	}
	done = done[:count]
	for i, sc := range done {
		sc.Name = fmt.Sprintf("%s_%04d", strings.Map(plain, "seed"+seed), i+1)
	}
	return done, nil
}

// plain leaves only what may stand in the name of a test.
func plain(r rune) rune {
	if r == '/' || r <= ' ' {
		return '_'
	}
	return r
}

func candidates(seed string, from, n int) []*otptest.Scenario {
	list := make([]*otptest.Scenario, n)
	for i := range list {
		list[i] = newGen(fmt.Sprintf("%s/%d", seed, from+i)).scenario()
	}
	return list
}

// save writes one scenario to a line.
func save(file string, list []*otptest.Scenario) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	lines := make([]string, len(list))
	for i, sc := range list {
		text, err := json.Marshal(sc)
		if err != nil {
			return err
		}
		lines[i] = string(text)
	}
	return os.WriteFile(file, []byte("[\n"+strings.Join(lines, ",\n")+"\n]\n"), 0o644)
}
