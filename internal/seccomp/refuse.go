package seccomp

// Each of these groups refuses something, with the error that a program would
// get that has not the privilege, EPERM. They are for filters that allow what
// they do not refuse; in a filter that allows a list, they stand before it.
// What a group leaves open says its comment.

// NoExec refuses to execute programs.
func NoExec() Group {
	return refuse("no exec", "no other program takes the place of this one", SysExecve, SysExecveat)
}

// NoFork refuses new processes, not new threads.
func NoFork() Group {
	return refuse("no fork", "the process stays alone; clone3 has its flags in memory, where a filter cannot look, so it is said not to be there",
		SysFork, SysVfork).
		and(Fail(EPERM), SysClone, masked(0, cloneThread, 0)).
		and(Fail(ENOSYS), SysClone3)
}

// Sockets are the kinds of sockets that a process may make. Pairs of Unix
// sockets (socketpair) are always allowed: they reach nobody.
type Sockets struct {
	Unix bool // reaches the services of the machine, also those with names in the file system
	TCP  bool // IPv4 and IPv6, without MPTCP, which Landlock does not see
	UDP  bool
}

// OnlySockets refuses all sockets but those. Descriptors that are open already
// stay usable. It needs NoIOUring beside it, which makes sockets, too.
func OnlySockets(s Sockets) Group {
	g := Group{Name: "only these sockets", Why: "the network, and the sockets of the kernel (netlink, raw, vsock, alg), are reached by socket(2) only"}
	if s.Unix {
		g = g.and(Allow, SysSocket, equals(0, afUnix))
	}
	for _, family := range []uint64{afInet, afInet6} {
		if s.TCP {
			g = g.internet(family, sockStream, ipprotoTCP)
		}
		if s.UDP {
			g = g.internet(family, sockDgram, ipprotoUDP)
		}
	}
	return g.and(Fail(EPERM), SysSocket).
		and(Fail(EPERM), SysSocketpair, differs(0, afUnix))
}

func (g Group) internet(family, kind, protocol uint64) Group {
	for _, p := range []uint64{protocolAny, protocol} {
		g = g.and(Allow, SysSocket, equals(0, family), masked(1, sockTypeMask, kind), equals(2, p))
	}
	return g
}

// NoTracing refuses to look into other processes, and into the own.
func NoTracing() Group {
	return refuse("no tracing", "memory and descriptors of other processes of the same user",
		SysPtrace, SysProcessVmReadv, SysProcessVmWritev, SysProcessMadvise, SysProcessMrelease, SysPidfdGetfd, SysKcmp)
}

// NoIOUring refuses io_uring, whose operations no filter sees.
func NoIOUring() Group {
	return refuse("no io_uring", "it opens, connects and makes sockets without system calls",
		SysIoUringSetup, SysIoUringEnter, SysIoUringRegister)
}

// NoBPF refuses bpf(2).
func NoBPF() Group {
	return refuse("no bpf", "programs in the kernel", SysBpf)
}

// NoUserfaultfd refuses it; /dev/userfaultfd is a matter of files.
func NoUserfaultfd() Group {
	return refuse("no userfaultfd", "stops the kernel in the middle of a copy, which makes its races winnable", SysUserfaultfd)
}

// NoPerf refuses performance counters.
func NoPerf() Group {
	return refuse("no perf", "observes other processes and the kernel", SysPerfEventOpen)
}

// NoKeys refuses the kernel's keyrings.
func NoKeys() Group {
	return refuse("no keys", "keyrings are the user's, and no namespace divides them", SysAddKey, SysRequestKey, SysKeyctl)
}

// NoMounts refuses to change the tree of files.
func NoMounts() Group {
	return refuse("no mounts", "paths mean what they meant",
		SysMount, SysUmount2, SysPivotRoot, SysChroot, SysFsopen, SysFsconfig, SysFsmount, SysFspick,
		SysMoveMount, SysOpenTree, SysOpenTreeAttr, SysMountSetattr, SysSwapon, SysSwapoff, SysQuotactl, SysQuotactlFd)
}

// NoNamespaces refuses to make and to enter namespaces. A user namespace would
// give all capabilities inside.
func NoNamespaces() Group {
	g := refuse("no namespaces", "inside a new user namespace a process has all capabilities", SysSetns)
	for flag := uint64(1); flag <= cloneNewNet; flag <<= 1 {
		if unshareNew&flag != 0 {
			g = g.and(Fail(EPERM), SysUnshare, masked(0, flag, flag))
		}
		if cloneNew&flag != 0 {
			g = g.and(Fail(EPERM), SysClone, masked(0, flag, flag))
		}
	}
	return g.and(Fail(ENOSYS), SysClone3)
}

// NoModules refuses to change the kernel, and to stop it.
func NoModules() Group {
	return refuse("no modules", "code in the kernel, another kernel, none",
		SysInitModule, SysFinitModule, SysDeleteModule, SysKexecLoad, SysKexecFileLoad, SysReboot)
}

// NoTTYInjection refuses to type into a terminal that is shared with others.
func NoTTYInjection() Group {
	return Group{Name: "no tty injection", Why: "what is typed into the terminal of the parent's shell, that shell does"}.
		and(Fail(EPERM), SysIoctl, equals(1, tiocsti)).
		and(Fail(EPERM), SysIoctl, equals(1, tioclinux))
}

// OwnSignals refuses signals to any process but pid, and so to process groups
// (kill with 0 or less), and to make others get them by a descriptor.
func OwnSignals(pid int) Group {
	g := refuse("own signals", "the parent and its other workers have the same user", SysTkill, SysPidfdSendSignal).
		and(Fail(EPERM), SysFcntl, equals(1, fSetown)).
		and(Fail(EPERM), SysFcntl, equals(1, fSetownEx)).
		and(Fail(EPERM), SysIoctl, equals(1, fiosetown)).
		and(Fail(EPERM), SysIoctl, equals(1, siocspgrp))
	for _, c := range []Call{SysKill, SysTgkill, SysRtSigqueueinfo, SysRtTgsigqueueinfo} {
		g = g.and(Fail(EPERM), c, differs(0, uint64(uint32(pid))))
	}
	return g
}

// OwnLimits refuses to look at and to set the limits of other processes.
func OwnLimits() Group {
	return Group{Name: "own limits", Why: "limits of the parent bound all its workers"}.
		and(Fail(EPERM), SysPrlimit64, differs(0, 0))
}

// OwnScheduling refuses to change how other processes, and other threads, are
// scheduled. A C library that sets the affinity of another thread fails, too.
func OwnScheduling() Group {
	g := Group{Name: "own scheduling", Why: "the parent pinned to one processor, or at the lowest priority, is the parent stopped"}
	for _, c := range []Call{SysSchedSetaffinity, SysSchedSetscheduler, SysSchedSetparam, SysSchedSetattr, SysMigratePages, SysMovePages} {
		g = g.and(Fail(EPERM), c, differs(0, 0))
	}
	for _, c := range []Call{SysSetpriority, SysIoprioSet} {
		g = g.and(Fail(EPERM), c, differs(1, 0))
	}
	return g.and(Fail(EPERM), SysSetpriority, differs(0, prioProcess)).
		and(Fail(EPERM), SysIoprioSet, differs(0, 1)) // IOPRIO_WHO_PROCESS
}

// OwnPersonality refuses to change the execution domain, as to switch off the
// randomising of addresses; asking for it is allowed.
func OwnPersonality() Group {
	return Group{Name: "own personality", Why: "ADDR_NO_RANDOMIZE and READ_IMPLIES_EXEC weaken the process"}.
		and(Fail(EPERM), SysPersonality, differs(0, personQuery))
}

// NoMemoryPrograms refuses files in memory that could be executed, which no rule
// about paths sees: memfd_create is allowed with MFD_NOEXEC_SEAL only, of Linux
// 6.3. Before, that flag is an error of its own.
func NoMemoryPrograms() Group {
	return Group{Name: "no programs in memory", Why: "Landlock does not see that one is executed"}.
		and(Fail(EPERM), SysMemfdCreate, masked(1, mfdNoexecSeal, 0))
}
