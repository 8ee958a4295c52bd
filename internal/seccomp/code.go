package seccomp

import "slices"

// Instruction is one of classic BPF (linux/filter.h).
type Instruction struct {
	Op     uint16
	JT, JF uint8 // how many instructions are skipped when true and when false
	K      uint32
}

// The operations in use, as classic BPF encodes them.
const (
	ldAbs uint16 = 0x20 // A = word at K
	and   uint16 = 0x54 // A &= K
	jmp   uint16 = 0x05 // skip K instructions
	jeq   uint16 = 0x15 // A == K
	jgt   uint16 = 0x25 // A > K
	jge   uint16 = 0x35 // A >= K
	ret   uint16 = 0x06 // K is the result
)

// code is written from its end to its beginning, so that every jump knows where
// it goes and how far that is.
type code struct {
	reversed []Instruction
	returns  map[Action]place
}

// place is an instruction, by how many stand behind it.
type place int

// program is the finished code.
func (c *code) program() []Instruction {
	p := slices.Clone(c.reversed)
	slices.Reverse(p)
	return p
}

func (c *code) put(i Instruction) place {
	c.reversed = append(c.reversed, i)
	return place(len(c.reversed) - 1)
}

// skip is how far the next instruction written would have to jump.
func (c *code) skip(to place) int { return len(c.reversed) - 1 - int(to) }

// maxSkip is what fits into a conditional jump.
const maxSkip = 255

// near makes sure that the next instruction, and one more before it, can jump
// to p: where it is too far away, it is reached by a jump in between.
func (c *code) near(p place) place {
	if c.skip(p) < maxSkip {
		return p
	}
	return c.put(Instruction{Op: jmp, K: uint32(c.skip(p))})
}

// ret ends the program. A return that stands near is used again.
func (c *code) ret(a Action) place {
	if p, ok := c.returns[a]; ok && c.skip(p) < maxSkip {
		return p
	}
	if c.returns == nil {
		c.returns = map[Action]place{}
	}
	p := c.put(Instruction{Op: ret, K: a.result()})
	c.returns[a] = p
	return p
}

// result is what the kernel knows the action by (linux/seccomp.h).
func (a Action) result() uint32 {
	if e, ok := a.Errno(); ok {
		return 0x00050000 | uint32(e)
	}
	return map[Action]uint32{
		KillProcess: 0x80000000,
		Trap:        0x00030000,
		Notify:      0x7fc00000,
		Log:         0x7ffc0000,
		Allow:       0x7fff0000,
	}[a]
}

// then is an instruction that is followed by another.
func (c *code) then(i Instruction, next place) place {
	if d := c.skip(next); d > 0 {
		c.put(Instruction{Op: jmp, K: uint32(d)})
	}
	return c.put(i)
}

func (c *code) load(offset uint32, next place) place {
	return c.then(Instruction{Op: ldAbs, K: offset}, next)
}

// branch goes on at yes or no.
func (c *code) branch(op uint16, k uint32, yes, no place) place {
	if yes == no {
		return yes
	}
	yes = c.near(yes)
	no = c.near(no)
	return c.put(Instruction{Op: op, JT: uint8(c.skip(yes)), JF: uint8(c.skip(no)), K: k})
}

// search finds the segment of the number that is loaded.
func (c *code) search(s []segment) place {
	if len(s) == 1 {
		return c.rules(s[0].rules)
	}
	half := len(s) / 2
	above := c.search(s[half:])
	below := c.search(s[:half])
	return c.branch(jge, s[half].first, above, below)
}

// rules tries them in order; the last has no condition.
func (c *code) rules(rules []Rule) place {
	next := c.ret(rules[len(rules)-1].Do)
	for _, r := range slices.Backward(rules[:len(rules)-1]) {
		next = c.rule(r, next)
	}
	return next
}

func (c *code) rule(r Rule, otherwise place) place {
	next := c.ret(r.Do)
	for _, cond := range slices.Backward(r.If) {
		next = c.cond(cond, next, otherwise)
	}
	return next
}

// cond reduces the comparisons to three.
func (c *code) cond(d Cond, yes, no place) place {
	switch d.Op {
	case Equal:
		return c.equal(d, yes, no)
	case NotEqual:
		return c.equal(d, no, yes)
	case Masked:
		return c.masked(d, yes, no)
	case Greater:
		return c.above(jgt, d, yes, no)
	case GreaterOrEqual:
		return c.above(jge, d, yes, no)
	case Less:
		return c.above(jge, d, no, yes)
	default: // LessOrEqual
		return c.above(jgt, d, no, yes)
	}
}

func (c *code) equal(d Cond, yes, no place) place {
	low := c.low(d, c.branch(jeq, uint32(d.Value), yes, no))
	if d.Width == Int {
		return low
	}
	return c.high(d, c.branch(jeq, uint32(d.Value>>32), low, no))
}

// above compares the lower halves, by op, where the upper ones are equal.
func (c *code) above(op uint16, d Cond, yes, no place) place {
	low := c.low(d, c.branch(op, uint32(d.Value), yes, no))
	if d.Width == Int {
		return low
	}
	same := c.branch(jeq, uint32(d.Value>>32), low, no)
	return c.high(d, c.branch(jgt, uint32(d.Value>>32), yes, same))
}

func (c *code) masked(d Cond, yes, no place) place {
	low := c.branch(jeq, uint32(d.Value), yes, no)
	low = c.low(d, c.then(Instruction{Op: and, K: uint32(d.Mask)}, low))
	if d.Width == Int {
		return low
	}
	high := c.branch(jeq, uint32(d.Value>>32), low, no)
	return c.high(d, c.then(Instruction{Op: and, K: uint32(d.Mask >> 32)}, high))
}

// low and high load one half of an argument; both architectures have the lower
// one first.
func (c *code) low(d Cond, next place) place {
	return c.load(offsetArgs+8*uint32(d.Arg), next)
}

func (c *code) high(d Cond, next place) place {
	return c.load(offsetArgs+8*uint32(d.Arg)+4, next)
}
