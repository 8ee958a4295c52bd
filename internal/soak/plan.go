//go:build linux

package main

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"path/filepath"

	"github.com/verdigris-go/verdigris/internal/soak/ledger"
)

// fault is one fault of the plan: it comes with this call.
type fault struct {
	index int
	call  int
	kind  *kind
}

// plan says which calls carry a fault.
type plan struct {
	faults []fault
	byCall map[int]*fault
	digest uint64 // the same for the same plan
}

// rareShare is how many times less often a fault that takes long is planned.
const rareShare = 10

// newPlan makes the plan from the seed. Every kind comes at least once, if
// there are faults enough.
func newPlan(seed uint64, calls, faults int, kinds []*kind) (*plan, error) {
	if faults > calls {
		return nil, fmt.Errorf("%d faults need as many calls, there are %d", faults, calls)
	}
	rnd := rand.New(rand.NewPCG(seed, 0x706c616e))
	p := &plan{byCall: map[int]*fault{}}
	var lots []*kind
	for _, k := range kinds {
		for range map[bool]int{true: 1, false: rareShare}[k.rare] {
			lots = append(lots, k)
		}
	}
	at := rnd.Perm(calls)[:faults]
	sum := fnv.New64a()
	for i, call := range at {
		k := lots[rnd.IntN(len(lots))]
		if i < len(kinds) {
			k = kinds[i]
		}
		p.faults = append(p.faults, fault{i, call, k})
		fmt.Fprintln(sum, i, call, k.name)
	}
	for i := range p.faults {
		p.byCall[p.faults[i].call] = &p.faults[i]
	}
	p.digest = sum.Sum64()
	return p, nil
}

// write puts the plan where the checker reads it.
func (p *plan) write(dir string) error {
	f, err := ledger.Create(filepath.Join(dir, "plan"))
	if err != nil {
		return err
	}
	defer f.Close()
	for _, x := range p.faults {
		if err := f.Write(ledger.Line{Event: ledger.Fault, Fault: x.index, Kind: x.kind.name, Attempt: ledger.Attempt{Call: x.call}}); err != nil {
			return err
		}
	}
	return nil
}
