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
// them. The text comes from the process that was confined: it may be a lie. For a
// thread that C code has made there is none: it dies of SIGSYS without a word.
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

// FromAudit finds the system call, and the process that was killed for it, in a
// line of the kernel's log: a kernel with CONFIG_AUDIT writes one for each process
// that a filter kills, where no audit daemon takes them. It is the kernel's word,
// but it comes at a limited rate, to those who may read the log (CAP_SYSLOG), and
// without the arguments. The process has its number of the first PID namespace.
func FromAudit(line []byte) (pid int, v Violation, ok bool) {
	m := audited.FindSubmatch(line)
	if m == nil {
		return 0, Violation{}, false
	}
	pid, err := strconv.Atoi(string(m[1]))
	arch, err2 := strconv.ParseUint(string(m[2]), 16, 32)
	number, err3 := strconv.ParseUint(string(m[3]), 10, 32)
	if err != nil || err2 != nil || err3 != nil {
		return 0, Violation{}, false
	}
	return pid, Violation{Arch: archOf(uint32(arch)), Number: uint32(number)}, true
}

// audited takes what comes after the name of the program from behind that name,
// which the program may choose: the kernel writes a name with a quote in it in
// hexadecimal.
var audited = regexp.MustCompile(`\btype=1326 .*? pid=(\d+) comm=(?:"[^"]*"|[0-9A-F]+) exe=(?:"[^"]*"|[0-9A-F]+|\(null\)) sig=31 arch=([0-9a-f]+) syscall=(\d+) `)

// archOf finds an architecture by the kernel's name for it; 0: none of ours.
func archOf(audit uint32) Arch {
	for _, a := range []Arch{AMD64, ARM64} {
		if a.audit() == audit {
			return a
		}
	}
	return 0
}
