//go:build linux

package main

import (
	"errors"
	"path/filepath"

	"github.com/verdigris-go/verdigris/bench/measure"
	"github.com/verdigris-go/verdigris/bench/peer"
)

// tiny is the small program with a worker of ours. It is measured as the peers are.
const tiny = "tiny"

// The peers: what else one can use in Go.
var peers = []struct {
	name, program string
	args          []string
}{
	{"os/exec with gob", "gob", nil},
	{"ttrpc", "ttrpc", nil},
	{"go-plugin, net/rpc", "plugin", []string{"rpc"}},
	{"go-plugin, gRPC", "plugin", []string{"grpc"}},
}

func (e effort) open(name, program string, args ...string) (*peer.Program, error) {
	return peer.Open(name, filepath.Join(e.programs, program), args...)
}

// guest is a peer at a row. What it cannot do does not end the row: err says it,
// and it is not asked again.
type guest struct {
	name    string
	program *peer.Program
	err     error
}

// guests are all peers, or none where two builds are compared.
type guests []*guest

func (e effort) invite() (all guests) {
	if !e.peers {
		return nil
	}
	for _, p := range peers {
		g := &guest{name: p.name}
		g.program, g.err = e.open(p.name, p.program, p.args...)
		all = append(all, g)
	}
	return all
}

// close ends them. One that has failed has said why in its line.
func (all guests) close() (err error) {
	for _, g := range all {
		if g.program != nil {
			if closing := g.program.Close(); g.err == nil {
				err = errors.Join(err, closing)
			}
		}
	}
	return err
}

// asking is a turn of a program that has to be able to do the task.
func asking(p *peer.Program, t peer.Task) func() (measure.Sample, error) {
	return func() (measure.Sample, error) {
		r, err := p.Do(t)
		return r.Sample, err
	}
}

// sides lets each do a task in its turns.
func (all guests) sides(t peer.Task) []side {
	return all.take(func(p *peer.Program) (measure.Sample, error) { return asking(p, t)() })
}

// take is a turn of each that is taken with its program.
func (all guests) take(turn func(*peer.Program) (measure.Sample, error)) (sides []side) {
	for _, g := range all {
		sides = append(sides, side{g.name, func() (measure.Sample, error) { return g.turn(turn), nil }})
	}
	return sides
}

func (g *guest) turn(take func(*peer.Program) (measure.Sample, error)) (s measure.Sample) {
	if g.err == nil {
		s, g.err = take(g.program)
	}
	return s
}

// lines are those of all guests, whose scores they are. What failed may be asked
// for something else again.
func (all guests) lines(what string, u unit, scores []score, value func(point) float64, b baseline) (lines []line) {
	for i, g := range all {
		l := compare(g.name+what, u, scores[i].of(value), b, target{})
		if g.err != nil {
			l = absent(g.name+what, g.err.Error())
		}
		if g.program != nil {
			g.err = nil
		}
		l.Peer = g.name
		lines = append(lines, l)
	}
	return lines
}

// beside names the nearest of the peers in a line of ours.
func (l line) beside(peers []line) line {
	var best *line
	for i, p := range peers {
		better := best != nil && (p.Ours.Median < best.Ours.Median) != (l.Unit == perSecond)
		if p.Verdict != notThere && (best == nil || better) {
			best = &peers[i]
		}
	}
	if best != nil {
		l.Nearest = best.Peer + " " + best.Unit.write(best.Ours.Median)
	}
	return l
}
