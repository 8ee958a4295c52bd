package seccomp

//go:generate go run ./gen

import "runtime"

// Arch is a processor architecture with its own numbers of system calls.
type Arch uint8

// The architectures.
const (
	AMD64 Arch = iota + 1
	ARM64
)

// Native is the architecture that this program was compiled for; ok says
// whether this package knows it.
func Native() (a Arch, ok bool) {
	switch runtime.GOARCH {
	case "amd64":
		return AMD64, true
	case "arm64":
		return ARM64, true
	}
	return 0, false
}

func (a Arch) String() string {
	switch a {
	case AMD64:
		return "amd64"
	case ARM64:
		return "arm64"
	}
	return "unknown architecture"
}

// audit is how the kernel names it, AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64
// of linux/audit.h.
func (a Arch) audit() uint32 {
	if a == AMD64 {
		return 0xc000003e
	}
	return 0xc00000b7
}

// foreign is the first number that is no system call of this architecture. On
// amd64 these are the calls of x32, which has the same AUDIT_ARCH.
func (a Arch) foreign() uint32 {
	if a == AMD64 {
		return 0x40000000
	}
	return 1 << 31
}

// Number gives the number of c, if the architecture has it.
func (a Arch) Number(c Call) (nr uint32, ok bool) {
	if int(c) >= len(calls) {
		return 0, false
	}
	n := calls[c].arm64
	if a == AMD64 {
		n = calls[c].amd64
	}
	return uint32(n), n >= 0
}

// Call finds a system call by its number.
func (a Arch) Call(nr uint32) (c Call, ok bool) {
	for c := range Call(len(calls)) {
		if n, ok := a.Number(c); ok && n == nr {
			return c, true
		}
	}
	return 0, false
}

// Call is a system call of Linux, the same on each architecture.
type Call uint16

// String is its name in the manual, as openat2.
func (c Call) String() string {
	if int(c) >= len(calls) {
		return "unknown system call"
	}
	return calls[c].name
}
