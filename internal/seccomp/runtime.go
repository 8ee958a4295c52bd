package seccomp

// Runtime is what a Go program needs that was started before its filter was
// loaded and uses the descriptors that it has: the garbage collector, goroutines
// on many threads, timers, preemption and the poller. Some of it is called for
// the first time seconds after the start, and all of it by the runtime itself.
//
// The process is the one with this number, as it knows itself; signals to others
// are not allowed. 0 means any: then others of the same user can be signalled,
// unless OwnSignals stands before.
func Runtime(pid int) []Group {
	return []Group{
		allow("memory", "the heap, stacks of threads, and giving memory back",
			SysMmap, SysMunmap, SysMprotect, SysMadvise, SysMincore).
			and(Allow, SysPrctl, equals(0, prSetVMA)), // it names its mappings, since Go 1.25, where the kernel can
		threads(),
		signals(pid),
		allow("time", "timers, where the vDSO does not answer, and the pauses of sysmon",
			SysNanosleep, SysClockGettime, SysClockNanosleep, SysGettimeofday),
		allow("poller", "made when the first timer or pipe is waited for, not at the start",
			SysEpollCreate1, SysEpollCtl, SysEpollPwait, SysEventfd2),
		allow("descriptors", "what is open already; the runtime reads cpu.max of its control group again and again, since Go 1.25",
			SysRead, SysWrite, SysReadv, SysWritev, SysPread64, SysClose, SysFcntl),
		allow("randomness", "seeds of maps and of math/rand", SysGetrandom),
		allow("end", "leaving", SysExit, SysExitGroup),
	}
}

// threads allows new threads of the process, and no new process. clone3 has its
// flags in memory, where a filter cannot look.
func threads() Group {
	return allow("threads", "GOMAXPROCS follows sched_getaffinity, asked for each second since Go 1.25",
		SysFutex, SysSchedYield, SysSchedGetaffinity, SysGettid, SysGetpid).
		and(Allow, SysClone, masked(0, cloneThread|cloneNew, cloneThread)).
		and(Fail(ENOSYS), SysClone3)
}

func signals(pid int) Group {
	g := allow("signals", "preemption is a signal from one thread to another; a fatal one is sent to itself",
		SysRtSigaction, SysRtSigprocmask, SysRtSigreturn, SysSigaltstack, SysRestartSyscall)
	if pid == 0 {
		return g.and(Allow, SysTgkill).and(Allow, SysKill)
	}
	return g.and(Allow, SysTgkill, equals(0, uint64(pid))).and(Allow, SysKill, equals(0, uint64(pid)))
}

// CGo is what C code with threads and malloc needs on top (glibc).
func CGo() []Group {
	return []Group{
		allow("C memory", "malloc, its arenas, and stacks of threads", SysBrk, SysMremap),
		allow("C threads", "pthread_create, and what the library does in a new thread", SysSetRobustList, SysRseq).
			and(Allow, SysPrctl, equals(0, prSetName)),
		Group{Name: "C limits", Why: "pthread_getattr_np and sysconf ask for the own limits; they set none"}.
			and(Allow, SysPrlimit64, equals(0, 0), Cond{Arg: 2, Width: Long, Value: 0}),
		allow("C files", "malloc looks at the processors in /sys and at /proc/self when it makes an arena: with this, something else (Landlock, an empty root) must be the wall around files",
			SysOpenat, SysNewfstatat, SysFstat),
	}
}

// Profiling is what runtime/pprof needs for a CPU profile.
func Profiling() Group {
	return allow("profiling", "a timer for the process and one for each thread",
		SysSetitimer, SysTimerCreate, SysTimerSettime, SysTimerDelete)
}
