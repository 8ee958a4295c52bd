package main

import (
	"slices"
	"sync"
)

// ledger is what has become of each image. It belongs to the one process that does not crash, and so outlives every
// restart in the tree: a stage that is started again looks here what is left to do. All methods may be called from
// any goroutine.
type ledger struct {
	mu       sync.Mutex
	names    []string
	verdicts map[string]verdict
}

func newLedger() *ledger { return &ledger{verdicts: map[string]verdict{}} }

// expect says which images there are. An index that was started again may have found others than before.
func (l *ledger) expect(names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names = names
}

// todo reports whether an image still wants a verdict.
func (l *ledger) todo(name string) bool {
	_, known := l.verdict(name)
	return !known
}

// note keeps an image's verdict and returns how many have one by now, of how many.
func (l *ledger) note(name string, v verdict) (settled, of int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.verdicts[name] = v
	return len(l.verdicts), len(l.names)
}

// complete reports whether every image has a verdict.
func (l *ledger) complete() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !slices.ContainsFunc(l.names, func(name string) bool { _, known := l.verdicts[name]; return !known })
}

// verdict returns an image's verdict, if it has one.
func (l *ledger) verdict(name string) (v verdict, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, known = l.verdicts[name]
	return v, known
}

// without returns the images that do not have the verdict v.
func (l *ledger) without(v verdict) (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range l.names {
		if w, known := l.verdicts[name]; !known || w != v {
			names = append(names, name)
		}
	}
	return names
}

// size returns how many images there are.
func (l *ledger) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.names)
}

// count returns how many images have the verdict v.
func (l *ledger) count(v verdict) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.verdicts {
		if w == v {
			n++
		}
	}
	return n
}
