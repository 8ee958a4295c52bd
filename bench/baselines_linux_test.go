package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/bench/measure"
)

// The baselines are what a C program needs for the same work: they are not slow
// because they are written in Go. Both sides suffer from neighbours, so that what
// counts is the best round of each.
func TestBaselinesAreThoseOfC(t *testing.T) {
	if os.Getenv("BENCH_BASELINES") == "" {
		t.Skip("SKIPPED: the baselines were not compared with C; times want a quiet machine: BENCH_BASELINES=1 go test -run Baselines .")
	}
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("SKIPPED: the baselines were not compared with C: there is no gcc")
	}
	program := filepath.Join(t.TempDir(), "baselines")
	if said, err := exec.Command(gcc, "-O2", "-Wall", "-Werror", "-o", program, "testdata/baselines.c").CombinedOutput(); err != nil {
		t.Fatal(err, string(said))
	}
	for _, size := range []int{small, 1 << 10, 64 << 10} {
		p, err := newRawPipe(size, lastCore())
		if err != nil {
			t.Fatal(err)
		}
		asFast(t, fmt.Sprintf("pipe, %d bytes", size), 1.25, p.turn, program, "pipe", strconv.Itoa(size), strconv.Itoa(p.core))
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}
	for _, size := range []int{1 << 20, 16 << 20} {
		asFast(t, fmt.Sprintf("copies, %d bytes", size), 1.25, newCopies(size).turn, program, "copies", strconv.Itoa(size))
	}
}

// asFast takes turns until ours has been no slower than limit times C, the best of
// at least three rounds of each.
func asFast(t *testing.T, what string, limit float64, turn func(measure.Pace) (measure.Sample, error), program string, args ...string) {
	t.Helper()
	pace := measure.Pace{Time: 50 * time.Millisecond, Least: 5}
	ours, theirs := math.Inf(1), math.Inf(1)
	for round := range 20 {
		s, err := turn(pace)
		if err != nil {
			t.Fatal(err)
		}
		text, err := exec.Command(program, append(args, strconv.FormatInt(pace.Time.Nanoseconds(), 10))...).Output()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatal(err, string(exit.Stderr))
		}
		c, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs = min(ours, scored(s).p50), min(theirs, c)
		if round >= 2 && ours <= limit*theirs {
			t.Logf("%s: %s, in C %s", what, nanoseconds.write(ours), nanoseconds.write(theirs))
			return
		}
	}
	t.Errorf("%s: %s, in C %s", what, nanoseconds.write(ours), nanoseconds.write(theirs))
}
