package seccomp

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"slices"
)

// MaxInstructions is how many the kernel takes in one program (BPF_MAXINSNS).
const MaxInstructions = 4096

// Program is a compiled filter. Only [Filter.Compile] makes one.
type Program struct {
	arch   Arch
	code   []Instruction
	canary uint64
	needs  Features
}

// Arch is what the program was compiled for.
func (p Program) Arch() Arch { return p.arch }

// Instructions is the program itself.
func (p Program) Instructions() []Instruction { return slices.Clone(p.code) }

// Needs is what a kernel must have to load the program.
func (p Program) Needs() Features { return p.needs }

// Compile translates the filter for an architecture. The same filter gives the
// same program. Rules for system calls that the architecture does not have are
// left out: nobody can make these calls.
//
// System calls of another architecture (32-bit programs, x32) are never done:
// they kill the process, whatever Default says.
//
// One rule is added before the others: getpid with two certain arguments, which
// it ignores otherwise, fails with a certain error. [Program.InForce] asks so.
func (f Filter) Compile(a Arch) (Program, error) {
	if a != AMD64 && a != ARM64 {
		return Program{}, ErrUnsupported
	}
	if err := f.check(); err != nil {
		return Program{}, err
	}
	p := Program{arch: a, canary: digest(f.code(a)), needs: f.needs()}
	f.Rules = slices.Insert(slices.Clone(f.Rules), 0, canaryRule(p.canary))
	p.code = f.code(a)
	if len(p.code) > MaxInstructions {
		return Program{}, &TooLongError{len(p.code)}
	}
	return p, nil
}

const (
	canaryMagic       = 0x7665726469677269
	canaryErrno Errno = 2989 // none of the kernel's
)

func canaryRule(canary uint64) Rule {
	return Rule{SysGetpid, []Cond{
		{Arg: 0, Width: Long, Value: canaryMagic},
		{Arg: 1, Width: Long, Value: canary},
	}, Fail(canaryErrno)}
}

// digest tells programs apart.
func digest(code []Instruction) uint64 {
	h := fnv.New64a()
	binary.Write(h, binary.LittleEndian, code) //nolint:errcheck // a hash takes everything
	return h.Sum64()
}

// Where the kernel puts what a filter looks at, struct seccomp_data of
// linux/seccomp.h.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

// code is the whole program: the architecture, then a binary search among the
// numbers, then the rules of one system call.
func (f Filter) code(a Arch) []Instruction {
	var c code
	search := c.search(f.segments(a))
	number := c.load(offsetNumber, search)
	c.load(offsetArch, c.branch(jeq, a.audit(), number, c.ret(KillProcess)))
	return c.program()
}

// segment is what is done with all numbers from first up to the next segment.
type segment struct {
	first uint32
	rules []Rule // if there is one, the last is without condition
}

// segments covers all numbers.
func (f Filter) segments(a Arch) []segment {
	otherwise := []Rule{{Do: f.Default}}
	rules := map[uint32][]Rule{}
	for _, r := range f.Rules {
		if nr, ok := a.Number(r.Call); ok {
			rules[nr] = append(rules[nr], r)
		}
	}
	segments := []segment{{0, otherwise}, {a.foreign(), []Rule{{Do: KillProcess}}}}
	for nr, r := range rules {
		segments = append(segments, segment{nr, effective(append(r, otherwise...))})
		if _, ok := rules[nr+1]; !ok {
			segments = append(segments, segment{nr + 1, otherwise})
		}
	}
	return joined(segments)
}

// effective leaves out what comes after a rule that always matches, and rules
// that only say what would be done anyway.
func effective(rules []Rule) []Rule {
	for i, r := range rules {
		if len(r.If) == 0 {
			rules = rules[:i+1]
			break
		}
	}
	last := len(rules) - 1
	for last > 0 && rules[last-1].Do == rules[last].Do {
		rules[last-1] = Rule{Do: rules[last].Do}
		last--
	}
	return rules[:last+1]
}

// joined sorts the segments and makes one of neighbours that do the same.
func joined(s []segment) []segment {
	slices.SortStableFunc(s, func(a, b segment) int { return cmp.Compare(a.first, b.first) })
	out := s[:0]
	for _, next := range s {
		if n := len(out); n > 0 && out[n-1].first == next.first {
			out = out[:n-1] // number 0 has rules of its own
		}
		if n := len(out); n == 0 || !out[n-1].same(next) {
			out = append(out, next)
		}
	}
	return out
}

func (s segment) same(o segment) bool {
	return len(s.rules) == 1 && len(o.rules) == 1 && s.rules[0].Do == o.rules[0].Do
}
