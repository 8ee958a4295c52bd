package seccomp

import "strings"

// Feature is something that kernels have since different versions, or that an
// outer filter may take away.
type Feature uint16

// The features, with the version of Linux that brought them.
const (
	Filters      Feature = 1 << iota // seccomp(2) with filters, 3.17
	CanTrap                          // Trap, 3.5
	CanFail                          // Fail, 3.5
	CanKill                          // KillProcess, 4.14
	CanLog                           // Log, 4.14
	CanNotify                        // Notify, 5.0
	Sync                             // one call for all threads, 3.17
	SyncListener                     // that with a listener, 5.7
	Listener                         // a listener, 5.0
	KillableWait                     // calls that wait for a listener can be killed only, 5.19
)

// Features is a set of them.
type Features uint16

var featureNames = [...]string{
	"seccomp filters", "trap", "fail with an errno", "kill the process", "log", "notify",
	"filters for all threads at once", "a listener for all threads at once", "a listener", "waits that only a kill ends",
}

func (f Features) String() string {
	var names []string
	for i, name := range featureNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// Has reports whether all of g are in f.
func (f Features) Has(g Feature) bool { return f&Features(g) == Features(g) }

// Kernel is what a kernel can do, as [Probe] found it or as it was recorded.
type Kernel struct{ Features Features }

// Check says whether the kernel can load p, for these threads. What is missing
// is in a *MissingError.
func (k Kernel) Check(p Program, t Threads) error {
	needs := p.needs
	if t == AllThreads {
		needs |= Features(Sync)
	}
	if needs.Has(Listener) && t == AllThreads {
		needs |= Features(SyncListener)
	}
	if missing := needs &^ k.Features; missing != 0 {
		return &MissingError{missing}
	}
	return nil
}

// Threads says which threads a filter is loaded into. Each passes it on to the
// threads and processes that it starts, and keeps it when it executes a program.
type Threads uint8

// The choices.
const (
	AllThreads Threads = iota // of the process: for a worker that confines itself
	ThisThread                // the calling one, to which its goroutine stays locked for ever: for the one that starts workers
)

// needs is what a kernel must have for the actions of the filter; it always
// kills for a foreign architecture and fails for the canary.
func (f Filter) needs() Features {
	n := Features(Filters | CanKill | CanFail)
	for _, a := range append([]Action{f.Default}, f.actions()...) {
		switch a {
		case Trap:
			n |= Features(CanTrap)
		case Log:
			n |= Features(CanLog)
		case Notify:
			n |= Features(CanNotify | Listener)
		}
	}
	return n
}

func (f Filter) actions() []Action {
	all := make([]Action, len(f.Rules))
	for i, r := range f.Rules {
		all[i] = r.Do
	}
	return all
}
