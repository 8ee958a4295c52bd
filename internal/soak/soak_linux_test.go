package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/ring"
)

func TestMain(m *testing.M) {
	child.Init()
	os.Exit(m.Run())
}

// Every kind of fault at least once, whatever calls travel by, and nothing is lost, mixed
// up, done twice or left behind.
func TestSoak(t *testing.T) {
	defer ring.SwitchOff(false)
	for name, pipes := range map[string]bool{"rings": false, "pipes": true} {
		t.Run(name, func(t *testing.T) { testSoak(t, pipes) })
	}
}

func testSoak(t *testing.T, pipes bool) {
	t.Setenv("TMPDIR", t.TempDir())
	var out, errs bytes.Buffer
	good, err := run(options{calls: 2000, faults: 200, workers: 8, callers: 32, seed: 3, pipes: pipes}, &out, &errs)
	if err != nil || !good {
		t.Fatalf("%v\n%s\n%s", err, &out, &errs)
	}
	const want = "soak: calls=2000 answered=2000 mismatched=0 lost=0 duplicated=0 faults=200 leaked=0\n"
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("the last line is not %q:\n%s", want, &out)
	}
	kinds := allKinds()
	for _, k := range kinds {
		if there := regexp.MustCompile(`(?m)^` + k.name + ` +[1-9]`).MatchString(out.String()); there != (pipes || !k.piped) {
			t.Errorf("%s is in the table: %v", k.name, there)
		}
	}
	if len(kinds) < 120 {
		t.Errorf("only %d kinds of faults", len(kinds))
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("left in the folder for temporary files: %v", left)
	}
}

func TestPlan(t *testing.T) {
	kinds := allKinds()
	digest := func(seed uint64) uint64 {
		p, err := newPlan(seed, 1000, 300, kinds)
		if err != nil {
			t.Fatal(err)
		}
		return p.digest
	}
	if one := digest(1); one != digest(1) || one == digest(2) {
		t.Error("a plan is not a function of its seed")
	}
	p, err := newPlan(5, 10_000, 3000, kinds)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, f := range p.faults {
		count[f.kind.name]++
		if p.byCall[f.call] == nil || p.byCall[f.call].index != f.index {
			t.Errorf("call %d does not carry fault %d", f.call, f.index)
		}
	}
	for _, k := range kinds {
		if n := count[k.name]; n == 0 || k.rare && n > 30 || !k.rare && n < 10 {
			t.Errorf("%s comes %d times of 3000", k.name, n)
		}
	}
	if _, err := newPlan(1, 10, 11, kinds); err == nil {
		t.Error("more faults than calls")
	}
}

func TestKindsAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range allKinds() {
		makers := 0
		for _, there := range []bool{k.act != nil, k.call != nil, k.crowd != nil, k.strike != nil} {
			if there {
				makers++
			}
		}
		if k.name == "" || seen[k.name] || makers != 1 || strings.ContainsAny(k.name, " \n") {
			t.Errorf("%+v", k)
		}
		seen[k.name] = true
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []options{{}, {calls: 1, workers: 1, callers: 1}, {calls: 1, workers: 2, callers: 1, faults: 2}} {
		if _, err := run(o, new(bytes.Buffer), new(bytes.Buffer)); err == nil {
			t.Error(fmt.Sprintf("%+v", o), "was taken")
		}
	}
}
