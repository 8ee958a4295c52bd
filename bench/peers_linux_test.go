package main

import (
	"testing"

	"github.com/verdigris-go/verdigris/bench/measure"
	"github.com/verdigris-go/verdigris/bench/peer"
)

// A peer that cannot be started is told in all lines, and ends no row.
func TestMissingPeer(t *testing.T) {
	e := once
	e.programs = t.TempDir()
	all := e.invite()
	for range 2 {
		scores, err := e.contest(append(all.sides(peer.Task{Do: peer.Starts, Times: 1}), side{"us", func() (measure.Sample, error) { return measure.Sample{}, nil }})...)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range all.lines("", nanoseconds, scores, p50, baseline{}) {
			if l.Verdict != notThere || l.Note == "" {
				t.Errorf("%+v", l)
			}
		}
	}
	if err := all.close(); err != nil || len(all) != len(peers) {
		t.Error(all, err)
	}
}

// Each peer does everything that the rows ask of it, and answers what it was
// sent: every answer is looked at.
func TestPeers(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: no peer was run, because of -short")
	}
	pace := measure.Pace{Time: 1, Least: 2}
	for _, g := range once.invite() {
		t.Run(g.name, func(t *testing.T) {
			if g.err != nil {
				t.Fatal(g.err)
			}
			defer func() {
				if err := g.program.Close(); err != nil {
					t.Error(err)
				}
			}()
			for _, task := range []peer.Task{
				{Do: peer.Calls, Pace: pace},
				{Do: peer.Calls, Pace: pace, Size: 1},
				{Do: peer.Calls, Pace: pace, Size: 16 << 20},
				{Do: peer.Crowd, Pace: pace, Size: small, Callers: callers},
				{Do: peer.Crowd, Pace: pace, Callers: callers},
				{Do: peer.Starts, Times: 1},
				{Do: peer.Kills, Times: 1},
				{Do: peer.Idle, Times: 2},
			} {
				r, err := g.program.Do(task)
				if g.name == "ttrpc" && task.Size > 4<<20 {
					if err == nil {
						t.Error("it takes messages of more than 4 MiB now: its lines of A4 can be had")
					}
					continue
				}
				if err != nil || len(r.Took)+r.Done+len(r.PIDs) == 0 {
					t.Errorf("%+v: %+v, %v", task, r, err)
				}
			}
		})
	}
}
