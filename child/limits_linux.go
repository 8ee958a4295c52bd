package child

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// yieldToOOM makes a worker a likelier victim of the OOM killer than its parent:
// 500 thousandths of the memory more (proc(5), oom_score_adj).
func yieldToOOM(pid int) error {
	b, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return err
	}
	own, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return err
	}
	return os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte(strconv.Itoa(min(own+500, 1000))), 0)
}

// limitData bounds what a process and those it forks from now on may ask for as
// data: each of them by itself.
func limitData(pid int, bytes int64) error {
	limit := unix.Rlimit{Cur: uint64(bytes), Max: uint64(bytes)}
	return os.NewSyscallError("prlimit", unix.Prlimit(pid, unix.RLIMIT_DATA, &limit, nil))
}

// resident is a look at the resident memory of a process. Its descriptor
// belongs to the process and not to the number.
type resident struct{ file *os.File }

func residentSize(pid int) (*resident, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/statm", pid))
	return &resident{f}, err
}

func (r *resident) close() { r.file.Close() }

// bytes is what the process has for itself: without files and shared memory.
// It is 0 when the process is gone.
func (r *resident) bytes() int64 {
	var b [128]byte
	n, err := unix.Pread(int(r.file.Fd()), b[:], 0)
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b[:n]) // size, resident, shared, ... in pages
	if len(fields) < 3 {
		return 0
	}
	all, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	shared, _ := strconv.ParseInt(string(fields[2]), 10, 64)
	return (all - shared) * int64(os.Getpagesize())
}

// oomKillsOfSystem is how many processes the OOM killer has ended since the
// machine was started.
func oomKillsOfSystem() (kills uint64, ok bool) {
	b, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0, false
	}
	_, after, found := bytes.Cut(b, []byte("\noom_kill "))
	if !found {
		return 0, false
	}
	line, _, _ := bytes.Cut(after, []byte("\n"))
	kills, err = strconv.ParseUint(string(line), 10, 64)
	return kills, err == nil
}
