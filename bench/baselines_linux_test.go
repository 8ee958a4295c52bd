package main

import (
	"errors"
	"fmt"
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
// counts is the nearest of some rounds.
func TestBaselinesAreThoseOfC(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: the baselines were not compared with C, because of -short")
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
		nearest(t, fmt.Sprintf("pipe, %d bytes", size), 1.25, p.turn, program, "pipe", strconv.Itoa(size), strconv.Itoa(p.core))
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}
	for _, size := range []int{1 << 20, 16 << 20} {
		nearest(t, fmt.Sprintf("copies, %d bytes", size), 1.25, newCopies(size).turn, program, "copies", strconv.Itoa(size))
	}
}

// nearest takes turns until ours is no slower than limit times that of C, which it
// must be once.
func nearest(t *testing.T, what string, limit float64, turn func(measure.Pace) (measure.Sample, error), program string, args ...string) {
	t.Helper()
	pace := measure.Pace{Time: 50 * time.Millisecond, Least: 5}
	var seen []string
	for range 20 {
		s, err := turn(pace)
		if err != nil {
			t.Fatal(err)
		}
		text, err := exec.Command(program, append(args, strconv.FormatInt(pace.Time.Nanoseconds(), 10))...).Output()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatal(err, string(exit.Stderr))
		}
		theirs, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
		if err != nil {
			t.Fatal(err)
		}
		ours := scored(s).p50
		seen = append(seen, nanoseconds.write(ours)+" and "+nanoseconds.write(theirs))
		if ours <= limit*theirs {
			t.Logf("%s: %s in C", what, seen[len(seen)-1])
			return
		}
	}
	t.Errorf("%s: always slower than in C: %s", what, strings.Join(seen, ", "))
}
