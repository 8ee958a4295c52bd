package seccomp

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
)

// call is what the kernel shows a filter.
type call struct {
	number uint32
	arch   uint32
	args   [6]uint64
}

// machine runs programs as the kernel does. The one of x/net/bpf reads packets,
// whose words have their highest byte first.
type machine struct{ vm *bpf.VM }

func newMachine(t testing.TB, p Program) machine {
	t.Helper()
	vm, err := bpf.NewVM(disassemble(t, p))
	if err != nil {
		t.Fatal(err)
	}
	return machine{vm}
}

func disassemble(t testing.TB, p Program) []bpf.Instruction {
	t.Helper()
	raw := make([]bpf.RawInstruction, len(p.code))
	for i, c := range p.code {
		raw[i] = bpf.RawInstruction{Op: c.Op, Jt: c.JT, Jf: c.JF, K: c.K}
	}
	code, all := bpf.Disassemble(raw)
	if !all {
		t.Fatal("not all instructions are known")
	}
	return code
}

func (m machine) run(t testing.TB, c call) uint32 {
	t.Helper()
	words := []uint32{c.number, c.arch, 0, 0}
	for _, a := range c.args {
		words = append(words, uint32(a), uint32(a>>32))
	}
	var data []byte
	for _, w := range words {
		data = binary.BigEndian.AppendUint32(data, w)
	}
	r, err := m.vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(r)
}

// meaning is what a filter means, written down as it is documented.
func meaning(f Filter, a Arch, c call) Action {
	if c.arch != a.audit() || c.number >= a.foreign() {
		return KillProcess
	}
	for _, r := range f.Rules {
		if nr, ok := a.Number(r.Call); ok && nr == c.number && holds(r.If, c) {
			return r.Do
		}
	}
	return f.Default
}

func holds(conds []Cond, c call) bool {
	for _, d := range conds {
		if !d.holds(c.args[d.Arg]) {
			return false
		}
	}
	return true
}

func (c Cond) holds(arg uint64) bool {
	if c.Width == Int {
		arg = uint64(uint32(arg))
	}
	return map[Op]bool{
		Equal:          arg == c.Value,
		NotEqual:       arg != c.Value,
		Less:           arg < c.Value,
		LessOrEqual:    arg <= c.Value,
		Greater:        arg > c.Value,
		GreaterOrEqual: arg >= c.Value,
		Masked:         arg&c.Mask == c.Value,
	}[c.Op]
}

func compile(t testing.TB, f Filter, a Arch) Program {
	t.Helper()
	p, err := f.Compile(a)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// archs are those that filters are compiled for, on whichever the test runs.
var archs = []Arch{AMD64, ARM64}
