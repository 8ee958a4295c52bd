package seccomp

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// atStart are the calls of the runtime's sources that it makes before main only,
// or on other occasions than those of Runtime.
var atStart = map[Call]string{
	SysOpenat:       "the size of huge pages and the own limits of processors, before main",
	SysArchPrctl:    "the thread's own memory, before main",
	SysBrk:          "the end of the heap that a C program may have, before main",
	SysUname:        "the kernel's version, before main",
	SysPipe2:        "tests of the runtime",
	SysFaccessat:    "Android",
	SysSocket:       "Android's log",
	SysConnect:      "Android's log",
	SysEpollPwait2:  "not in use",
	SysSetitimer:    "Profiling",
	SysTimerCreate:  "Profiling",
	SysTimerSettime: "Profiling",
	SysTimerDelete:  "Profiling",
}

// What the sources of this Go's runtime call is in the list, on each
// architecture. A new version that calls something new is seen here, before it
// kills a worker.
func TestListCoversTheSourcesOfTheRuntime(t *testing.T) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("there is no Go here to read: %v", err)
	}
	src := filepath.Join(strings.TrimSpace(string(out)), "src")
	for _, a := range archs {
		m := newMachine(t, compile(t, Filter{Rules: Join(Runtime(4711)...)}, a))
		found := numbersIn(t, a,
			filepath.Join(src, "runtime/sys_linux_"+a.String()+".s"),
			filepath.Join(src, "internal/runtime/syscall/linux/defs_linux_"+a.String()+".go"))
		if len(found) < 30 {
			t.Fatalf("%v: found only %v: the sources are elsewhere now", a, found)
		}
		for _, c := range found {
			nr, _ := a.Number(c)
			args := [6]uint64{4711} // of kill and tgkill
			switch c {
			case SysClone:
				args[0] = 0x50f00 // as for each new thread
			case SysPrctl:
				args[0] = prSetVMA
			}
			allowed := m.run(t, call{nr, a.audit(), args}) == Allow.result()
			if _, known := atStart[c]; allowed == known {
				t.Errorf("%v: %v: allowed %t, and known to be needed at the start only %t", a, c, allowed, known)
			}
		}
	}
}

var numberIn = regexp.MustCompile(`(?m)^(?:#define)?\s*SYS_\w+\s*=?\s*(\d+)`)

func numbersIn(t *testing.T, a Arch, files ...string) (found []Call) {
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range numberIn.FindAllSubmatch(b, -1) {
			nr, _ := strconv.ParseUint(string(m[1]), 10, 32)
			c, ok := a.Call(uint32(nr))
			if !ok {
				t.Errorf("%v has no system call %d", a, nr)
			}
			found = append(found, c)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
