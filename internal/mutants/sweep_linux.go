package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// adopt makes this process the parent of what its tests leave behind.
func adopt() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// own are the processes that output waits for.
var own struct {
	sync.Mutex
	pids map[int]bool
}

// output is CombinedOutput of a command that sweep leaves alone.
func output(cmd *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	own.Lock()
	err := cmd.Start()
	if err == nil {
		if own.pids == nil {
			own.pids = map[int]bool{}
		}
		own.pids[cmd.Process.Pid] = true
	}
	own.Unlock()
	if err != nil {
		return nil, err
	}
	err = cmd.Wait()
	own.Lock()
	defer own.Unlock()
	delete(own.pids, cmd.Process.Pid)
	return out.Bytes(), err
}

// sweep kills and reaps the orphans, and those that they leave.
func sweep() {
	own.Lock()
	defer own.Unlock()
	for found := true; found; {
		found = false
		for _, pid := range children() {
			if own.pids[pid] {
				continue
			}
			found = true
			_ = unix.Kill(pid, unix.SIGKILL) // our child, not reaped: the number is its own
			_, _ = unix.Wait4(pid, nil, 0, nil)
		}
	}
}

// children are the processes whose parent this one is.
func children() (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if parent, _ := strconv.Atoi(string(fields[1])); parent == os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}
