package seccomp

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The numbers that are written down here are the kernel's.
func TestNumbersOfTheKernel(t *testing.T) {
	for name, n := range map[string][2]uint64{
		"AF_UNIX":            {afUnix, unix.AF_UNIX},
		"AF_INET":            {afInet, unix.AF_INET},
		"AF_INET6":           {afInet6, unix.AF_INET6},
		"SOCK_STREAM":        {sockStream, unix.SOCK_STREAM},
		"SOCK_DGRAM":         {sockDgram, unix.SOCK_DGRAM},
		"SOCK_TYPE_MASK":     {sockTypeMask &^ (unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK), 0xf},
		"IPPROTO_TCP":        {ipprotoTCP, unix.IPPROTO_TCP},
		"IPPROTO_UDP":        {ipprotoUDP, unix.IPPROTO_UDP},
		"CLONE_THREAD":       {cloneThread, unix.CLONE_THREAD},
		"CLONE_NEWTIME":      {cloneNewTime, unix.CLONE_NEWTIME},
		"CLONE_NEW*":         {cloneNew, unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET},
		"TIOCSTI":            {tiocsti, unix.TIOCSTI},
		"TIOCLINUX":          {tioclinux, unix.TIOCLINUX},
		"SIOCSPGRP":          {siocspgrp, unix.SIOCSPGRP},
		"F_SETOWN":           {fSetown, unix.F_SETOWN},
		"F_SETOWN_EX":        {fSetownEx, unix.F_SETOWN_EX},
		"MFD_NOEXEC_SEAL":    {mfdNoexecSeal, unix.MFD_NOEXEC_SEAL},
		"PRIO_PROCESS":       {prioProcess, unix.PRIO_PROCESS},
		"PR_SET_VMA":         {prSetVMA, unix.PR_SET_VMA},
		"PR_SET_NAME":        {prSetName, unix.PR_SET_NAME},
		"AUDIT_ARCH_X86_64":  {uint64(AMD64.audit()), unix.AUDIT_ARCH_X86_64},
		"AUDIT_ARCH_AARCH64": {uint64(ARM64.audit()), unix.AUDIT_ARCH_AARCH64},
		"EPERM":              {uint64(EPERM), uint64(unix.EPERM)},
		"EACCES":             {uint64(EACCES), uint64(unix.EACCES)},
		"ENOSYS":             {uint64(ENOSYS), uint64(unix.ENOSYS)},
		"EINVAL":             {uint64(einval), uint64(unix.EINVAL)},
		"ENOMEM":             {uint64(enomem), uint64(unix.ENOMEM)},
		"EBUSY":              {uint64(ebusy), uint64(unix.EBUSY)},
		"kill":               {uint64(KillProcess.result()), unix.SECCOMP_RET_KILL_PROCESS},
		"trap":               {uint64(Trap.result()), unix.SECCOMP_RET_TRAP},
		"notify":             {uint64(Notify.result()), unix.SECCOMP_RET_USER_NOTIF},
		"log":                {uint64(Log.result()), unix.SECCOMP_RET_LOG},
		"allow":              {uint64(Allow.result()), unix.SECCOMP_RET_ALLOW},
		"fail":               {uint64(Fail(EPERM).result()), unix.SECCOMP_RET_ERRNO | uint64(unix.EPERM)},
		"ld":                 {uint64(ldAbs), unix.BPF_LD | unix.BPF_W | unix.BPF_ABS},
		"and":                {uint64(and), unix.BPF_ALU | unix.BPF_AND | unix.BPF_K},
		"jmp":                {uint64(jmp), unix.BPF_JMP | unix.BPF_JA},
		"jeq":                {uint64(jeq), unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K},
		"jgt":                {uint64(jgt), unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K},
		"jge":                {uint64(jge), unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K},
		"ret":                {uint64(ret), unix.BPF_RET | unix.BPF_K},
		"instructions":       {MaxInstructions, unix.BPF_MAXINSNS},
	} {
		if n[0] != n[1] {
			t.Errorf("%s: %#x here, %#x in x/sys", name, n[0], n[1])
		}
	}
	if unsafe.Sizeof(Instruction{}) != unsafe.Sizeof(unix.SockFilter{}) {
		t.Error("an instruction is not the kernel's")
	}
}
