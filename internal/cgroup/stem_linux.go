package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	prefix   = "verdigris."
	attempts = 5               // to make a directory that somebody else keeps removing
	patience = 2 * time.Second // for a group to become empty and to be removed
)

// stem is this program's own directory in one tree, while it has groups there.
type stem struct {
	base    string // the group in which it is made
	version Version

	mu     sync.Mutex
	dir    string   // "" while there is none
	lock   *os.File // tells other programs that this one lives
	groups int      // in dir
	stayed []string // groups that could not be removed
	swept  bool
}

// add makes the directory of a group in which these controllers work.
func (s *stem) add(name string, controllers []string) (dir string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.swept {
		s.swept = true
		s.sweep()
	}
	for range attempts {
		if dir, err = s.make(name, controllers); err == nil {
			s.groups++
			return dir, nil
		}
		s.drop()
		if !errors.Is(err, fs.ErrNotExist) {
			break // ErrNotExist: our directory was removed, which is allowed as long as it is empty
		}
	}
	return "", err
}

func (s *stem) make(name string, controllers []string) (string, error) {
	if s.dir == "" {
		if err := s.open(); err != nil {
			return "", err
		}
	}
	if s.version == V2 && len(controllers) > 0 {
		for _, dir := range []string{s.base, s.dir} {
			if err := enable(dir, controllers); err != nil {
				return "", err
			}
		}
	}
	dir := filepath.Join(s.dir, name)
	return dir, os.Mkdir(dir, 0o755)
}

// open makes our directory and locks it. One that is left from a run of this
// program with the same number and start cannot exist; one of another thread
// of its life can, when its last removal failed.
func (s *stem) open() error {
	dir := filepath.Join(s.base, ownName())
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	s.dir, s.lock = dir, lock
	return nil
}

// release takes note that a group is gone, or that it could not be removed.
func (s *stem) release(dir string, removed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups--
	if !removed {
		s.stayed = append(s.stayed, dir)
	}
	s.stayed = slices.DeleteFunc(s.stayed, func(dir string) bool { return prune(dir) == nil })
	s.drop()
}

// drop removes our directory if nothing is in it; s.mu is held.
func (s *stem) drop() {
	if s.dir == "" || s.groups > 0 {
		return
	}
	if err := unix.Rmdir(s.dir); err != nil && err != unix.ENOENT {
		return
	}
	s.lock.Close()
	s.dir, s.lock = "", nil
}

// enable lets controllers work in the groups below a directory.
func enable(dir string, controllers []string) error {
	file := dir + "/cgroup.subtree_control"
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	on := strings.Fields(string(b))
	for _, c := range controllers {
		if !slices.Contains(on, c) {
			if err := write(file, "+"+c); err != nil {
				return fmt.Errorf("enabling the %s controller: %w", c, err)
			}
		}
	}
	return nil
}

// sweep kills and removes what dead programs have left here. What cannot be
// removed now is left for the next program.
func (s *stem) sweep() {
	found, _ := filepath.Glob(escapeGlob(s.base) + "/" + prefix + "*") // the pattern is sound
	for _, dir := range found {
		if !abandoned(dir) {
			continue
		}
		lock, err := lockDir(dir)
		if err != nil {
			continue
		}
		clear := &leftover{dir: dir, version: s.version}
		clear.remove()
		lock.Close()
	}
}

// escapeGlob takes the meaning from what filepath.Match would read as a pattern.
func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// leftover is the directory of a dead program.
type leftover struct {
	dir     string
	version Version
}

func (l *leftover) remove() {
	_ = killAll(l.dir, l.version) // the removal tells
	retry(patience, func() bool { return prune(l.dir) == nil })
}

var ownName = sync.OnceValue(func() string {
	start, _ := startTime(os.Getpid())
	return fmt.Sprintf("%s%d.%d", prefix, os.Getpid(), start)
})

// abandoned reports whether the program that has made a directory is gone, as
// far as its name tells.
func abandoned(dir string) bool {
	pid, start, ok := strings.Cut(strings.TrimPrefix(filepath.Base(dir), prefix), ".")
	if !ok || dir == "" || filepath.Base(dir) == ownName() {
		return false
	}
	n, err := strconv.Atoi(pid)
	if err != nil || n < 1 {
		return false
	}
	began, err := startTime(n)
	return err != nil || strconv.FormatUint(began, 10) != start
}

// startTime is when a process began, in clock ticks since the machine did:
// field 22 of /proc/PID/stat (proc(5)).
func startTime(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	s := string(b)
	fields := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(fields) < 20 {
		return 0, errors.New("/proc/PID/stat is too short")
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// lockDir takes the lock of a directory, which the kernel gives back when its
// holder dies, and makes sure that the directory is still there.
func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	var held, there unix.Stat_t
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = unix.Fstat(int(f.Fd()), &held)
	}
	if err == nil {
		err = unix.Stat(dir, &there)
	}
	if err == nil && held.Ino != there.Ino {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
