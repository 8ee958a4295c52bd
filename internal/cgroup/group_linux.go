package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"time"
)

// Group is a control group for one worker and all that it starts. It has a
// directory in each tree that is needed for it.
type Group struct {
	parts  []part
	memory *part    // where its memory is limited; nil if it is not
	tasks  *part    // where its tasks are
	file   *os.File // its directory in v2

	once sync.Once // Close
	err  error
}

// part is a group's directory in one tree.
type part struct {
	*stem
	dir string
}

// New makes a group. Without limits it is one for killing. It is an *Error if
// there cannot be one: see Kill, Memory and Tasks, or what the system says.
func (h *Host) New(l Limits) (*Group, error) {
	if err := h.check(l); err != nil {
		return nil, err
	}
	g := &Group{}
	if err := g.build(h, l); err != nil {
		_ = g.Close() // nothing lives in it
		return nil, &Error{What: "make a group for " + l.String(), Err: err}
	}
	return g, nil
}

func (g *Group) build(h *Host, l Limits) error {
	name := strconv.FormatUint(h.groups.Add(1), 10)
	controllers := map[*stem][]string{}
	var stems []*stem // in the order of use
	use := func(s *stem, controller ...string) {
		if _, known := controllers[s]; !known {
			stems = append(stems, s)
		}
		controllers[s] = append(controllers[s], controller...)
	}
	if h.kill != nil {
		use(h.kill)
	}
	if l.Memory > 0 {
		use(h.memory, "memory")
	}
	if l.Tasks > 0 {
		use(h.tasks, "pids")
	}
	for _, s := range stems {
		dir, err := s.add(name, controllers[s])
		if err != nil {
			return err
		}
		g.parts = append(g.parts, part{s, dir})
	}
	return g.limit(h, l)
}

// limit sets the limits and opens what is needed to start a process inside.
func (g *Group) limit(h *Host, l Limits) (err error) {
	for i := range g.parts {
		p := &g.parts[i]
		if p.version == V2 && g.file == nil {
			if g.file, err = os.Open(p.dir); err != nil {
				return err
			}
		}
		if l.Memory > 0 && p.stem == h.memory {
			g.memory = p
			if err := p.limitMemory(l.Memory); err != nil {
				return err
			}
		}
		if l.Tasks > 0 && p.stem == h.tasks {
			g.tasks = p
			if err := write(p.dir+"/pids.max", strconv.Itoa(l.Tasks)); err != nil {
				return err
			}
		}
	}
	return nil
}

// limitMemory bounds memory and swap together. In v2 the whole group dies when
// its memory is out; v1 kills its largest process.
func (p *part) limitMemory(bytes int64) error {
	n := strconv.FormatInt(bytes, 10)
	settings := []struct{ file, value string }{
		{"memory.max", n}, {"memory.swap.max", "0"}, {"memory.oom.group", "1"},
	}
	if p.version == V1 {
		settings = []struct{ file, value string }{
			{"memory.limit_in_bytes", n}, {"memory.memsw.limit_in_bytes", n}, {"memory.swappiness", "0"},
		}
	}
	for i, s := range settings {
		err := write(p.dir+"/"+s.file, s.value)
		if err != nil && (i == 0 || !errors.Is(err, fs.ErrNotExist)) { // kernels without swap accounting lack the others
			return err
		}
	}
	return nil
}

// Dirs are the group's directories.
func (g *Group) Dirs() (dirs []string) {
	for _, p := range g.parts {
		dirs = append(dirs, p.dir)
	}
	return dirs
}

// File is the group's directory in v2, for CLONE_INTO_CGROUP (clone(2)): a
// process is born inside. It is closed by Close, and nil where there is only v1.
func (g *Group) File() *os.File { return g.file }

// Born gives File back, which is of no use once the worker has been started.
func (g *Group) Born() {
	if g.file != nil {
		g.file.Close()
		g.file = nil
	}
}

// Join moves a process with all its threads into the group; what it has forked
// before stays outside. It is for what File and Enter cannot do.
func (g *Group) Join(pid int) error {
	for _, p := range g.parts {
		if err := write(p.dir+"/cgroup.procs", strconv.Itoa(pid)); err != nil {
			return &Error{What: "move process " + strconv.Itoa(pid) + " into a group", Err: err}
		}
	}
	return nil
}

// Enter moves the calling thread, and it alone, into the group's directories in
// v1, so that what it clones is born there. The goroutine must be locked to its
// thread, and calls leave when it has cloned. In v2 use File.
func (g *Group) Enter() (leave func() error, err error) {
	var entered []*stem
	leave = func() error {
		var errs []error
		for _, s := range entered {
			errs = append(errs, write(s.base+"/tasks", "0"))
		}
		return errors.Join(errs...)
	}
	for _, p := range g.parts {
		if p.version != V1 {
			continue
		}
		if err := write(p.dir+"/tasks", "0"); err != nil { // 0 is the thread that writes
			return nil, &Error{What: "enter a group", Err: errors.Join(err, leave())}
		}
		entered = append(entered, p.stem)
	}
	return leave, nil
}

// Kill sends SIGKILL to everything in the group. Where the kernel cannot do
// that at once it takes a bounded time.
func (g *Group) Kill() error {
	if len(g.parts) == 0 {
		return nil
	}
	p := g.parts[0] // v2, if there is v2: then all are in it
	return killAll(p.dir, p.version)
}

// Empty waits until nothing lives in the group any more, at most as long as
// limit, and reports whether that is so.
func (g *Group) Empty(limit time.Duration) bool {
	return retry(limit, func() bool {
		for _, p := range g.parts {
			if !empty(p.dir, p.version) {
				return false
			}
		}
		return true
	})
}

// Close kills what lives in the group and removes it. It takes a bounded time;
// what has stayed is in the *StayedError. Closing again returns the same.
func (g *Group) Close() error {
	g.once.Do(func() { g.err = g.close() })
	return g.err
}

func (g *Group) close() error {
	if g.file != nil {
		g.file.Close()
	}
	_ = g.Kill() // the removal tells
	var stayed StayedError
	for _, p := range g.parts {
		removed := retry(patience, func() bool { stayed.Err = prune(p.dir); return stayed.Err == nil })
		if !removed {
			stayed.Dirs, stayed.PIDs = append(stayed.Dirs, p.dir), append(stayed.PIDs, pidsIn(p.dir)...)
		}
		p.release(p.dir, removed)
	}
	if stayed.Dirs == nil {
		return nil
	}
	return &stayed
}
