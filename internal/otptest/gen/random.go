package main

import (
	"encoding/json"
	"hash/fnv"
	"math/rand/v2"

	"github.com/verdigris-go/verdigris/internal/otptest"
)

// gen makes one scenario.
type gen struct {
	*rand.Rand
	flavour flavour

	sups    []sup    // all supervisors there are or may be
	workers []string // paths of all workers there are or may be
	gated   []string // paths of the workers that may wait at a gate
	serial  int      // of references and new names
}

// flavour is what a scenario is mostly about.
type flavour struct {
	depth    int     // levels of supervisors
	spine    bool    // one long branch
	groups   float64 // how often children are restarted together
	failing  float64 // how often a start fails
	slow     float64 // how often a stop takes time or has to be forced
	ending   float64 // how often supervisors end with significant children
	dynamic  float64 // how often a supervisor is dynamic
	gates    int     // workers whose start or stop may wait
	lateGate bool    // the start of the tree itself waits at a gate
}

// sup is a supervisor in a scenario.
type sup struct {
	path string
	node *otptest.Node
}

func newGen(seed string) *gen {
	h := fnv.New64a()
	_, _ = h.Write([]byte(seed))
	g := &gen{Rand: rand.New(rand.NewPCG(h.Sum64(), 0))}
	g.flavour = flavour{
		depth: 1 + g.IntN(5), spine: g.chance(0.5), groups: oneOf(g, 0.3, 0.6, 0.9), failing: oneOf(g, 0, 0.2, 0.5),
		slow: oneOf(g, 0, 0.2, 0.5), ending: oneOf(g, 0, 0.3, 0.8), dynamic: oneOf(g, 0, 0.1, 0.3),
		gates: oneOf(g, 0, 0, 1, 2), lateGate: g.chance(0.1),
	}
	if g.flavour.spine {
		g.flavour.depth = 4 + g.IntN(3)
	}
	return g
}

func (g *gen) chance(p float64) bool { return g.Float64() < p }

func oneOf[T any](g *gen, list ...T) T { return list[g.IntN(len(list))] }

// raw makes JSON of a value.
func raw(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

func raws(list ...any) (out []json.RawMessage) {
	for _, v := range list {
		out = append(out, raw(v))
	}
	return out
}

// reason is how a worker exits.
func (g *gen) reason() string {
	return oneOf(g, "error", "error", "error", "error", "error", "normal", "normal", "shutdown", "shutdown:x", "killed")
}
