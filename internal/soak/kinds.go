//go:build linux

package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// kind is one kind of fault. Exactly one of act, call, crowd and strike is there.
type kind struct {
	name    string
	rare    bool                       // it takes long: a tenth of the others' share
	piped   bool                       // only where calls travel by pipes: shared memory cannot be closed
	lanes   func(*lane) bool           // which workers it may meet; nil: all
	within  time.Duration              // the deadline of its call; 0: none
	cause   child.Cause                // what workers die of then, so that some of them have to; Unknown: of nothing, or of several things
	stream  share                      // whether its call is a stream
	drowsy  bool                       // the caller takes its time with the answer
	again   bool                       // every execution of its call makes it
	gentle  bool                       // no worker dies of it
	ordered bool                       // workers die of it because somebody wants it
	act     func(*execution)           // made by the worker, in the call
	call    func(*attempt)             // made by the caller, before or during the call
	crowd   func(*call)                // made by the caller, with many attempts at once; one more follows
	strike  func(*soak, *strike) error // made by the parent, while the call runs
}

// share is a part of the calls.
type share uint8

const (
	never share = iota
	sometimes
	always
)

// fits reports whether the fault may come to a lane.
func (k *kind) fits(l *lane) bool {
	return (k.lanes == nil || k.lanes(l)) && (!l.steady || k.gentle) && (l.deaths == 0 || !k.ordered)
}

// allKinds are the kinds that can be had here, in the order of their names.
func allKinds() []*kind {
	all := slices.Concat(byWorker(), byCaller(), byStreamCaller(), byCrowd(), byParent(), byPoolOwner())
	slices.SortFunc(all, func(a, b *kind) int { return cmp.Or(strings.Compare(a.name, b.name)) })
	return all
}

// byWorker are the kinds that are made by the worker, in a call.
func byWorker() []*kind {
	return slices.Concat(deaths(), hangs(), crowds(), badFrames(), falseEnds(), inC())
}

// actOf finds what a worker has to do, which is told a name.
func actOf(name string) func(*execution) {
	i := slices.IndexFunc(byWorker(), func(k *kind) bool { return k.name == name })
	return byWorker()[i].act
}

// narrow is a worker that runs one call at a time, so that the call which makes
// a fault is the one that the worker has begun last.
func narrow(l *lane) bool { return l.width == 1 }
