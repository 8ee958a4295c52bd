package child

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/verdigris-go/verdigris/wire"
)

// functions and states are what Define and DefineState have registered. They
// are filled before main, and the same in the parent and in its workers.
var (
	functions = registry[*function]{what: "function"}
	states    = registry[*stateType]{what: "state"}
)

// initialised says that Init has run in this process, so that a worker made
// from it will take over in its own Init.
var initialised atomic.Bool

type named interface{ Name() string }

// registry is a set of named things that is closed once Init has run.
type registry[T named] struct {
	what string
	mu   sync.RWMutex
	m    map[string]T
}

func (r *registry[T]) add(v T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := v.Name()
	switch _, taken := r.m[name]; {
	case name == "" || len(name) > wire.MaxName || !utf8.ValidString(name):
		panic(fmt.Sprintf("child: a %s needs a name of 1 to %d bytes of UTF-8, not %q", r.what, wire.MaxName, name))
	case taken:
		panic(fmt.Sprintf("child: the %s %q is defined twice", r.what, name))
	case initialised.Load():
		panic(fmt.Sprintf("child: the %s %q is defined after child.Init: its worker would not know it; make it a package variable", r.what, name))
	}
	if r.m == nil {
		r.m = map[string]T{}
	}
	r.m[name] = v
}

func (r *registry[T]) get(name []byte) (T, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	v, ok := r.m[string(name)]
	return v, ok
}

// all returns the registered things in the order of their names.
func (r *registry[T]) all() []T {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]T, 0, len(r.m))
	for _, name := range slices.Sorted(maps.Keys(r.m)) {
		out = append(out, r.m[name])
	}
	return out
}
