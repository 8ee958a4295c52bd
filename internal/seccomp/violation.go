package seccomp

import (
	"bytes"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
)

// Violation is a system call that was not to be.
type Violation struct {
	Arch   Arch // 0: none that this package knows
	Number uint32
	Args   [6]uint64 // the registers, with what the call does not use
}

// Call is which one it is; ok says whether the architecture has that number.
func (v Violation) Call() (c Call, ok bool) {
	if v.Arch == 0 {
		return 0, false
	}
	return v.Arch.Call(v.Number)
}

func (v Violation) String() string {
	name := fmt.Sprintf("system call %d of %v", v.Number, v.Arch)
	if c, ok := v.Call(); ok {
		name = c.String()
	}
	return fmt.Sprintf("%s(%#x, %#x, %#x, %#x, %#x, %#x)", name, v.Args[0], v.Args[1], v.Args[2], v.Args[3], v.Args[4], v.Args[5])
}

// LogValue gives the facts.
func (v Violation) LogValue() slog.Value {
	attrs := []slog.Attr{slog.Uint64("number", uint64(v.Number)), slog.String("arch", v.Arch.String()), slog.String("args", fmt.Sprintf("%#x", v.Args))}
	if c, ok := v.Call(); ok {
		attrs = append(attrs, slog.String("call", c.String()))
	}
	return slog.GroupValue(attrs...)
}

// FromDump finds the system call in what the Go runtime writes to standard error
// when a trapped one kills it: the kernel has put its number and its arguments
// back into the registers (seccomp(2), SECCOMP_RET_TRAP), and the runtime prints
// them. The text comes from the process that was confined: it may be a lie.
func FromDump(a Arch, dump []byte) (v Violation, ok bool) {
	_, dump, ok = bytes.Cut(dump, []byte("SIGSYS: bad system call\n"))
	if !ok || !trapped.Match(dump) {
		return Violation{}, false
	}
	registers := map[string]uint64{}
	for _, m := range register.FindAllSubmatch(dump, -1) {
		value, err := strconv.ParseUint(string(m[2]), 0, 64)
		if _, again := registers[string(m[1])]; err == nil && !again {
			registers[string(m[1])] = value
		}
	}
	names := conventions[a]
	number, ok := registers[names[6]]
	if !ok || number > 1<<32-1 {
		return Violation{}, false
	}
	v = Violation{Arch: a, Number: uint32(number)}
	for i := range v.Args {
		v.Args[i] = registers[names[i]]
	}
	return v, true
}

var (
	trapped  = regexp.MustCompile(`(?m)^PC=.* sigcode=1\b`) // SYS_SECCOMP: not sent by kill
	register = regexp.MustCompile(`(?m)^(r\w+) +(0x[0-9a-f]+)$`)

	// conventions are the registers of the arguments and of the number (syscall(2)).
	conventions = map[Arch][7]string{
		AMD64: {"rdi", "rsi", "rdx", "r10", "r8", "r9", "rax"},
		ARM64: {"r0", "r1", "r2", "r3", "r4", "r5", "r8"},
	}
)
