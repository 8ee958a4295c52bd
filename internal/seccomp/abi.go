package seccomp

// What the groups compare arguments with: numbers of Linux that are the same on
// both architectures. A test compares them with golang.org/x/sys/unix, which has
// them on Linux only.
const (
	afUnix  = 1
	afInet  = 2
	afInet6 = 10

	sockStream    = 1
	sockDgram     = 2
	sockTypeMask  = 0xf // SOCK_TYPE_MASK: without SOCK_NONBLOCK and SOCK_CLOEXEC
	protocolAny   = 0
	ipprotoTCP    = 6
	ipprotoUDP    = 17
	cloneThread   = 0x10000
	cloneNewTime  = 0x80
	cloneNewNS    = 0x20000
	cloneNewCg    = 0x2000000
	cloneNewUTS   = 0x4000000
	cloneNewIPC   = 0x8000000
	cloneNewUser  = 0x10000000
	cloneNewPID   = 0x20000000
	cloneNewNet   = 0x40000000
	cloneNew      = cloneNewNS | cloneNewCg | cloneNewUTS | cloneNewIPC | cloneNewUser | cloneNewPID | cloneNewNet
	unshareNew    = cloneNew | cloneNewTime // in clone(2) that bit belongs to the exit signal
	tiocsti       = 0x5412
	tioclinux     = 0x541c
	fiosetown     = 0x8901
	siocspgrp     = 0x8902
	fSetown       = 8
	fSetownEx     = 15
	mfdNoexecSeal = 8
	prioProcess   = 0
	prSetVMA      = 0x53564d41
	prSetName     = 15
	personQuery   = 0xffffffff
)
