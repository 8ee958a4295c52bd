package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// killAll sends SIGKILL to all that lives in a directory and below it. Since
// Linux 5.14 the kernel does it at once; before, and in v1, it is done process
// by process until there is none, for a bounded time.
func killAll(dir string, version Version) error {
	if version == V2 {
		err := write(dir+"/cgroup.kill", "1")
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if _, gone := os.Stat(dir); gone != nil {
			return nil
		}
		return killFrozen(dir)
	}
	return killEach(dir)
}

// killFrozen kills the processes one by one while they stand still, so that none
// forks faster than it is killed. The kernel freezes groups of v2 since Linux 5.2;
// an older one leaves it to the loop to be the faster.
func killFrozen(dir string) error {
	_ = write(dir+"/cgroup.freeze", "1")
	defer func() { _ = write(dir+"/cgroup.freeze", "0") }()
	return killEach(dir)
}

// killEach kills the processes one by one. Those that are forked meanwhile are
// found in the next round.
func killEach(dir string) error {
	var left []int
	if retry(patience, func() bool {
		for _, sub := range subtree(dir) {
			killIn(sub)
		}
		left = pidsIn(dir)
		return len(left) == 0
	}) {
		return nil
	}
	return &StayedError{Dirs: []string{dir}, PIDs: left, Err: os.ErrDeadlineExceeded}
}

// killIn signals every process of one directory, by a descriptor that is known
// to stand for a member: the number alone may have passed on to a stranger.
func killIn(dir string) {
	for _, pid := range members(dir) {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		if slices.Contains(members(dir), pid) {
			_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // fails only when it is dead
		}
		unix.Close(fd)
	}
}

// members are the processes of one directory, this program excepted: a thread
// of it may be there while it starts a worker. What another PID namespace hides
// has the number 0.
func members(dir string) (pids []int) {
	b, _ := os.ReadFile(dir + "/cgroup.procs") // gone is as good as empty
	for _, word := range strings.Fields(string(b)) {
		if pid, err := strconv.Atoi(word); err == nil && pid > 0 && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// pidsIn are the processes of a directory and of those below it.
func pidsIn(dir string) (pids []int) {
	for _, sub := range subtree(dir) {
		pids = append(pids, members(sub)...)
	}
	return pids
}

// subtree is a directory and all directories below it, the lowest first.
func subtree(dir string) (dirs []string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil // what cannot be looked at is gone
	})
	slices.Reverse(dirs)
	return dirs
}

// prune removes a directory and all below it, which only works when they are empty.
func prune(dir string) error {
	err := unix.Rmdir(dir)
	if err == nil || err == unix.ENOENT {
		return nil
	}
	for _, sub := range subtree(dir) { // a worker may have made groups of its own
		if err = unix.Rmdir(sub); err != nil && err != unix.ENOENT {
			return &fs.PathError{Op: "rmdir", Path: sub, Err: err}
		}
	}
	return nil
}

// empty reports whether nothing lives in a directory and below it.
func empty(dir string, version Version) bool {
	if version == V1 {
		return len(pidsIn(dir)) == 0
	}
	b, err := os.ReadFile(dir + "/cgroup.events")
	return err != nil || strings.Contains("\n"+string(b), "\npopulated 0\n")
}

// retry asks again and again, at growing distances, until the answer is yes or
// the time is over.
func retry(limit time.Duration, ok func() bool) bool {
	deadline := time.Now().Add(limit)
	for pause := 50 * time.Microsecond; !ok(); pause = min(2*pause, 20*time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pause)
	}
	return true
}

// write writes to a file of the kernel, in one piece.
func write(file, content string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(content)
	return err
}
