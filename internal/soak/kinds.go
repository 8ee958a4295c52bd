//go:build linux

package main

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// kind is one kind of fault. Exactly one of act, call and strike is there.
type kind struct {
	name   string
	rare   bool                       // it takes long: a tenth of the others' share
	lanes  func(*lane) bool           // which workers it may meet; nil: all
	within time.Duration              // the deadline of its call; 0: none
	act    func(*execution)           // made by the worker, in the call
	call   func(*attempt)             // made by the caller, before or during the call
	strike func(*soak, *strike) error // made by the parent, while the call runs
}

// allKinds are the kinds that can be had here, in the order of their names.
func allKinds() []*kind {
	all := slices.Concat(deaths(), hangs(), crowds(), badFrames(), inC(), byCaller(), byParent())
	slices.SortFunc(all, func(a, b *kind) int { return cmp.Or(strings.Compare(a.name, b.name)) })
	return all
}

// kindsByName is for the worker, which is told a name.
var kindsByName = func() map[string]*kind {
	m := map[string]*kind{}
	for _, k := range allKinds() {
		m[k.name] = k
	}
	return m
}

// narrow is a worker that runs one call at a time, so that the call which makes
// a fault is the one that the worker has begun last.
func narrow(l *lane) bool { return l.width == 1 }
