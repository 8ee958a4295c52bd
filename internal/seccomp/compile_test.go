package seccomp

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

var examples = map[string]Filter{
	"zero":    {},
	"runtime": {Rules: Join(Runtime(4711)...)},
	"refuse": {Default: Allow, Rules: Join(
		NoExec(), NoFork(), OnlySockets(Sockets{TCP: true}), NoTTYInjection(), NoIOUring(), OwnLimits(),
	)},
	"comparisons": {Default: Log, Rules: []Rule{
		{SysRead, []Cond{{Arg: 0, Width: Long, Op: Greater, Value: 0x1_0000_0002}}, Trap},
		{SysRead, []Cond{{Arg: 5, Width: Long, Op: Masked, Mask: 0xf0_0000_000f, Value: 0x10_0000_0001}}, Fail(EACCES)},
		{SysWrite, []Cond{{Arg: 1, Op: Less, Value: 7}, {Arg: 2, Op: NotEqual, Value: 9}}, Notify},
	}},
}

func TestGolden(t *testing.T) {
	for name, f := range examples {
		for _, a := range archs {
			t.Run(name+"/"+a.String(), func(t *testing.T) {
				file := filepath.Join("testdata", name+"."+a.String()+".txt")
				have := listing(t, compile(t, f, a))
				if *update {
					if err := os.WriteFile(file, []byte(have), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if have != string(want) {
					t.Errorf("%s differs: look at it, then run this with -update\n%s", file, have)
				}
			})
		}
	}
}

func listing(t testing.TB, p Program) string {
	var b strings.Builder
	for i, c := range disassemble(t, p) {
		fmt.Fprintf(&b, "%3d  %v\n", i, c)
	}
	return b.String()
}

func TestCompileIsDeterministic(t *testing.T) {
	for name, f := range examples {
		first := compile(t, f, AMD64)
		for range 20 {
			if again := compile(t, f, AMD64); !slices.Equal(again.code, first.code) || again.canary != first.canary {
				t.Fatalf("%s is compiled in two ways", name)
			}
		}
	}
}

// values are near each other and near the borders of halves, so that
// comparisons are decided in each of them.
var values = rapid.OneOf(
	rapid.Uint64Range(0, 3),
	rapid.SampledFrom([]uint64{
		1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 1, 2 << 32, 2<<32 + 1,
		1<<63 - 1, 1 << 63, 1<<64 - 2, 1<<64 - 1, canaryMagic,
	}),
	rapid.Uint64(),
)

func conds() *rapid.Generator[Cond] {
	return rapid.Custom(func(t *rapid.T) Cond {
		c := Cond{
			Arg:   rapid.Uint8Range(0, 5).Draw(t, "arg"),
			Width: rapid.SampledFrom([]Width{Int, Long}).Draw(t, "width"),
			Op:    Op(rapid.Uint8Range(0, uint8(Masked)).Draw(t, "op")),
		}
		c.Value = values.Draw(t, "value") & c.Width.mask()
		if c.Op == Masked {
			c.Mask = values.Draw(t, "mask") & c.Width.mask()
			c.Value &= c.Mask
		}
		return c
	})
}

// few system calls, so that rules meet; neighbours, the first, and one that only
// amd64 has.
var someCalls = []Call{SysRead, SysWrite, SysOpen, SysClose, SysGetpid, SysSocket, SysExit, SysClone3, SysOpenat2}

func filters() *rapid.Generator[Filter] {
	actions := rapid.SampledFrom([]Action{KillProcess, Trap, Notify, Log, Allow, Fail(EPERM), Fail(maxErrno)})
	rule := rapid.Custom(func(t *rapid.T) Rule {
		return Rule{
			Call: rapid.OneOf(rapid.SampledFrom(someCalls), rapid.Custom(func(t *rapid.T) Call {
				return Call(rapid.IntRange(0, len(calls)-1).Draw(t, "any"))
			})).Draw(t, "call"),
			If: rapid.SliceOfN(conds(), 0, 4).Draw(t, "if"),
			Do: actions.Draw(t, "do"),
		}
	})
	return rapid.Custom(func(t *rapid.T) Filter {
		return Filter{actions.Draw(t, "default"), rapid.SliceOfN(rule, 0, 60).Draw(t, "rules")}
	})
}

// What the machine says is what the rules mean.
func TestCompiledMeansTheSame(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := filters().Draw(r, "filter")
		a := rapid.SampledFrom(archs).Draw(r, "arch")
		p, err := f.Compile(a)
		if err != nil {
			r.Fatal(err)
		}
		m := newMachine(t, p)
		for range 20 {
			c := drawCall(r, f, a)
			if have, want := m.run(t, c), meaning(f, a, c).result(); have != want {
				r.Fatalf("%+v: the program says %#x, the rules say %#x\n%s", c, have, want, listing(t, p))
			}
		}
	})
}

// drawCall makes one that rules are about, with arguments that they name or that
// are next to them.
func drawCall(r *rapid.T, f Filter, a Arch) call {
	c := call{arch: a.audit()}
	c.number = rapid.OneOf(rapid.Uint32Range(0, 470), rapid.SampledFrom([]uint32{1<<30 - 1, 1 << 30, 1<<31 - 1, 1 << 31, 1<<32 - 1})).Draw(r, "number")
	for i := range c.args {
		c.args[i] = values.Draw(r, "arg")
	}
	if len(f.Rules) > 0 && rapid.IntRange(0, 9).Draw(r, "named") > 0 {
		rule := rapid.SampledFrom(f.Rules).Draw(r, "rule")
		if nr, ok := a.Number(rule.Call); ok {
			c.number = nr
		}
		for _, d := range rule.If {
			near := d.Value + uint64(rapid.IntRange(-1, 1).Draw(r, "off"))
			if d.Width == Int || rapid.Bool().Draw(r, "upper") {
				near ^= values.Draw(r, "noise") << 32
			}
			c.args[d.Arg] = near
		}
	}
	if rapid.IntRange(0, 19).Draw(r, "foreign") == 0 {
		c.arch = rapid.SampledFrom([]uint32{AMD64.audit(), ARM64.audit(), 0x40000003, 0}).Draw(r, "arch")
	}
	return c
}

// Rules of one system call that are longer than a jump, and conditions that are.
func TestFarJumps(t *testing.T) {
	var many Filter
	for i := range uint64(400) {
		many.Rules = append(many.Rules, Rule{SysRead, []Cond{{Width: Long, Value: i << 20}}, Fail(Errno(i + 1))})
	}
	long := Rule{Call: SysWrite, Do: Trap}
	for i := range uint64(300) {
		long.If = append(long.If, Cond{Arg: 1, Width: Long, Op: NotEqual, Value: i})
	}
	many.Rules = append(many.Rules, long, Rule{SysExit, nil, Allow}, Rule{SysSocket, nil, Allow})
	for _, a := range archs {
		m := newMachine(t, compile(t, many, a))
		read, _ := a.Number(SysRead)
		write, _ := a.Number(SysWrite)
		for i := range uint64(410) {
			for _, c := range []call{
				{number: read, arch: a.audit(), args: [6]uint64{i << 20}},
				{number: write, arch: a.audit(), args: [6]uint64{0, i}},
			} {
				if have, want := m.run(t, c), meaning(many, a, c).result(); have != want {
					t.Fatalf("%v %+v: %#x instead of %#x", a, c, have, want)
				}
			}
		}
	}
}

func TestTooLong(t *testing.T) {
	var f Filter
	for i := range uint64(2000) {
		f.Rules = append(f.Rules, Rule{SysRead, []Cond{{Width: Long, Value: i}}, Allow})
	}
	var e *TooLongError
	if _, err := f.Compile(AMD64); !errors.As(err, &e) || e.Instructions <= MaxInstructions || !strings.Contains(err.Error(), fmt.Sprint(e.Instructions)) {
		t.Fatalf("%v", err)
	}
	f.Rules = f.Rules[:1000]
	if p := compile(t, f, AMD64); len(p.code) > MaxInstructions || len(p.code) < 4000 {
		t.Errorf("%d instructions", len(p.code))
	}
}

func TestRulesThatCannotBeMeant(t *testing.T) {
	for name, f := range map[string]Filter{
		"default":         {Default: 7},
		"action":          {Rules: []Rule{{Do: 0x70000}}},
		"errno 0":         {Rules: []Rule{{Do: Fail(0)}}},
		"errno too large": {Rules: []Rule{{Do: Fail(4096)}}},
		"call":            {Rules: []Rule{{Call: Call(len(calls))}}},
		"argument":        {Rules: []Rule{{If: []Cond{{Arg: 6}}}}},
		"width":           {Rules: []Rule{{If: []Cond{{Width: 2}}}}},
		"comparison":      {Rules: []Rule{{If: []Cond{{Op: Masked + 1}}}}},
		"wide value":      {Rules: []Rule{{If: []Cond{{Value: 1 << 32}}}}},
		"wide mask":       {Rules: []Rule{{If: []Cond{{Op: Masked, Mask: 1 << 32}}}}},
		"useless mask":    {Rules: []Rule{{If: []Cond{{Mask: 1}}}}},
		"never":           {Rules: []Rule{{If: []Cond{{Op: Masked, Mask: 1, Value: 2}}}}},
	} {
		var e *RuleError
		if _, err := f.Compile(AMD64); !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (Filter{}).Compile(0); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

// An int with something in its upper half is that int for the kernel.
func TestUpperHalvesDoNotHelp(t *testing.T) {
	f := Filter{Default: Allow, Rules: Join(NoTTYInjection(), OnlySockets(Sockets{TCP: true}), OwnLimits())}
	for _, a := range archs {
		m := newMachine(t, compile(t, f, a))
		for _, c := range []struct {
			call Call
			args [6]uint64
			want Action
		}{
			{SysIoctl, [6]uint64{0, tiocsti}, Fail(EPERM)},
			{SysIoctl, [6]uint64{0, tiocsti | 1<<32}, Fail(EPERM)},
			{SysIoctl, [6]uint64{0, tiocsti + 1}, Allow},
			{SysSocket, [6]uint64{afUnix | 1<<63, sockStream}, Fail(EPERM)},
			{SysSocket, [6]uint64{afInet, sockStream, 262}, Fail(EPERM)}, // MPTCP
			{SysSocket, [6]uint64{afInet, sockDgram}, Fail(EPERM)},
			{SysSocket, [6]uint64{afInet | 1<<40, sockStream | 0o2000000, ipprotoTCP | 1<<50}, Allow},
			{SysPrlimit64, [6]uint64{1 << 32}, Allow},
			{SysPrlimit64, [6]uint64{1}, Fail(EPERM)},
		} {
			nr, _ := a.Number(c.call)
			if have := m.run(t, call{nr, a.audit(), c.args}); have != c.want.result() {
				t.Errorf("%v %v%#x: %#x, want %v", a, c.call, c.args, have, c.want)
			}
		}
	}
}

// Nobody else's system calls, whatever the default.
func TestForeignCallsKill(t *testing.T) {
	m := newMachine(t, compile(t, Filter{Default: Allow}, AMD64))
	for _, c := range []call{
		{number: 20, arch: 0x40000003},                 // getpid of a 32-bit program
		{number: 0x40000000 | 39, arch: AMD64.audit()}, // of x32
		{number: 1<<32 - 1, arch: AMD64.audit()},
		{number: 172, arch: ARM64.audit()},
	} {
		if r := m.run(t, c); r != KillProcess.result() {
			t.Errorf("%+v: %#x", c, r)
		}
	}
	if r := m.run(t, call{number: 39, arch: AMD64.audit()}); r != Allow.result() {
		t.Errorf("getpid: %#x", r)
	}
}

// The canary of a program is its own.
func TestCanary(t *testing.T) {
	a, b := compile(t, examples["refuse"], AMD64), compile(t, examples["runtime"], AMD64)
	ask := call{number: 39, arch: AMD64.audit(), args: [6]uint64{canaryMagic, a.canary}}
	if r := newMachine(t, a).run(t, ask); r != Fail(canaryErrno).result() {
		t.Errorf("it does not know its canary: %#x", r)
	}
	if r := newMachine(t, b).run(t, ask); r != Allow.result() {
		t.Errorf("another knows it: %#x", r)
	}
}

func TestNumbers(t *testing.T) {
	for _, a := range archs {
		for c := range Call(len(calls)) {
			nr, ok := a.Number(c)
			if back, found := a.Call(nr); ok && (!found || back != c) {
				t.Errorf("%v: %v has number %d, which is %v", a, c, nr, back)
			}
		}
	}
	if _, ok := ARM64.Number(SysOpen); ok {
		t.Error("arm64 has no open")
	}
	if _, ok := AMD64.Call(1 << 20); ok {
		t.Error("there is no such number")
	}
}
