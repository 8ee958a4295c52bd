package landlock

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden file anew")

var policies = []struct {
	name string
	Policy
}{
	{"everything", Policy{
		FS: AllFS, Net: AllNet, Scopes: AllScopes, Quiet: true,
		Paths: []Path{{Name: "/usr", Allow: Execute | Read}, {Name: "/data", Allow: Read | Write}, {Name: "/link", Allow: Refer | Truncate, Follow: true}},
		Ports: []Port{{443, ConnectTCP}, {0, BindTCP}},
	}},
	{"writing", Policy{FS: Write &^ Refer, Paths: []Path{{Name: "/tmp", Allow: WriteFile}}}},
	{"network", Policy{Net: ConnectTCP}},
	{"nothing", Policy{}},
}

// Each policy for each ABI: what is asked of the kernel, and what it cannot do.
func TestPlans(t *testing.T) {
	var b strings.Builder
	for _, p := range policies {
		for abi := ABI(0); abi <= Newest+1; abi++ {
			plan, err := p.Compile(abi)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s, ABI %d\n%s\n", p.name, abi, plan.listing())
		}
	}
	const file = "testdata/plans.txt"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("%s differs: look at it, then run this with -update\n%s", file, b.String())
	}
}

func (p Plan) listing() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  denied: %v; %v; %v; flags %d\n", p.FS, p.Net, p.Scopes, p.quiet)
	for _, r := range p.Paths {
		fmt.Fprintf(&b, "  allowed: %s: %v\n", r.Name, r.Allow)
	}
	for _, r := range p.Ports {
		fmt.Fprintf(&b, "  allowed: port %d: %v\n", r.Number, r.Allow)
	}
	for _, g := range p.Gaps {
		fmt.Fprintf(&b, "  gap: %v\n", g)
	}
	return b.String()
}

// Whatever is asked for is denied, or in a gap; no rule says more than is denied.
func TestNothingIsLeftOutInSilence(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := Policy{
			FS:     FS(rapid.Uint64Range(0, uint64(AllFS)).Draw(r, "fs")),
			Net:    Net(rapid.Uint64Range(0, uint64(AllNet)).Draw(r, "net")),
			Scopes: Scope(rapid.Uint64Range(0, uint64(AllScopes)).Draw(r, "scopes")),
		}
		if allow := FS(rapid.Uint64().Draw(r, "allow")) & p.FS; allow != 0 {
			p.Paths = []Path{{Name: "/", Allow: allow}}
		}
		abi := ABI(rapid.IntRange(0, int(Newest)+2).Draw(r, "abi"))
		plan, err := p.Compile(abi)
		if err != nil {
			r.Fatal(err)
		}
		lost := p.FS &^ plan.FS
		for _, g := range plan.Gaps {
			for _, q := range promises {
				if q.hole == g.Hole && q.since != 0 {
					lost &^= q.fs
				}
			}
			if abi >= g.Since && g.Since != 0 {
				r.Errorf("%v, with ABI %d", g, abi)
			}
		}
		if lost != 0 {
			r.Errorf("ABI %d: lost %v, gaps %v", abi, lost, plan.Gaps)
		}
		for _, rule := range plan.Paths {
			if rule.Allow&^plan.FS != 0 || rule.Allow == 0 {
				r.Errorf("a rule that the kernel refuses: %v", rule)
			}
		}
	})
}

func TestPoliciesThatCannotBeMeant(t *testing.T) {
	for name, p := range map[string]Policy{
		"right":          {FS: AllFS + 1},
		"net":            {Net: AllNet + 1},
		"scope":          {Scopes: AllScopes + 1},
		"no name":        {FS: AllFS, Paths: []Path{{Allow: Read}}},
		"no right":       {FS: AllFS, Paths: []Path{{Name: "/"}}},
		"not denied":     {FS: Write, Paths: []Path{{Name: "/", Allow: ReadFile}}},
		"no net right":   {Net: AllNet, Ports: []Port{{Number: 1}}},
		"net not denied": {Net: BindTCP, Ports: []Port{{1, ConnectTCP}}},
	} {
		var e *PolicyError
		if _, err := p.Compile(Newest); !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for _, e := range []struct {
		err  error
		want string
	}{
		{&Error{Step: StepPath, Path: "/x", Err: errLink}, `landlock: open the path "/x": it is a symbolic link, and the rule does not say Follow`},
		{&Error{Step: StepPortRule, Port: 7, Err: errors.New("no")}, "landlock: add the rule for the port 7: no"},
		{&PolicyError{Why: "no"}, "landlock: policy: no"},
	} {
		if e.err.Error() != e.want {
			t.Errorf("%v, want %s", e.err, e.want)
		}
	}
}
