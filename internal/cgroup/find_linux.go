package cgroup

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Host is what this program may do with control groups on this machine, and
// the place where it does it.
type Host struct {
	Kill   Support // a group's processes can all be killed at once
	Memory Support // Limits.Memory
	Tasks  Support // Limits.Tasks

	kill, memory, tasks *stem // where groups are made; nil where they are not

	shared place // this program's own group in the tree that has the memory controller
	danger Danger
	groups atomic.Uint64 // made so far
}

// Find looks at this machine, once: a program is expected to stay in the group
// in which it began to start workers.
func Find() *Host { return found() }

var found = sync.OnceValue(func() *Host { return find(machine{}) })

// system is what finding out asks. Tests have recorded ones.
type system interface {
	read(path string) (string, error)
	exists(path string) bool
	writable(path string) bool          // for the effective user, the mount's options included
	owner(path string) int              // -1 if not known
	attribute(path, name string) string // an extended attribute, or ""
	uid() int
}

// finder puts together what is to be known.
type finder struct {
	system
	paths  map[string]string // of our groups, by controller
	mounts []mount
}

func find(s system) *Host {
	self, _ := s.read("/proc/self/cgroup") // unreadable is as good as empty
	info, _ := s.read("/proc/self/mountinfo")
	f := &finder{s, parseMembership(self), parseMounts(info)}
	h := &Host{}
	v2 := f.v2()
	h.Kill = v2.kill
	h.Memory, h.shared = f.limit("memory", v2)
	h.Tasks, _ = f.limit("pids", v2)
	h.danger = f.danger(h.shared)
	h.plant(f, v2)
	return h
}

// plant notes where groups are made. Roles that share a tree share the directory.
func (h *Host) plant(f *finder, v2 tree) {
	stems := map[string]*stem{}
	at := func(s Support, controller string) *stem {
		if !s.OK {
			return nil
		}
		base, version := v2.base, V2
		if s.By == V1 {
			p, _ := f.place(controller)
			base, version = p.dir, V1
		}
		if stems[base] == nil {
			stems[base] = &stem{base: base, version: version}
		}
		return stems[base]
	}
	h.kill, h.memory, h.tasks = at(h.Kill, ""), at(h.Memory, "memory"), at(h.Tasks, "pids")
}

// place is where we are in one tree.
type place struct {
	version  Version
	dir      string // of our own group; "" if it cannot be seen
	top      string // the mount point
	readOnly bool
}

// place finds our place in the v1 tree of a controller, or with "" in that of v2.
func (f *finder) place(controller string) (p place, why string) {
	own, why := f.paths[controller], "it is not mounted here"
	for _, m := range f.mounts {
		if controller == "" && m.version != V2 || controller != "" && !slices.Contains(m.controllers, controller) {
			continue
		}
		dir, visible := m.dir(own)
		switch {
		case !visible:
			why = fmt.Sprintf("the program's own group %s is outside of what is mounted at %s", own, m.point)
		case p.dir == "" || p.readOnly && !m.readOnly:
			p = place{m.version, dir, m.point, m.readOnly}
		}
	}
	if p.dir != "" {
		return p, ""
	}
	return p, why
}

// mayDivide says why groups may not be made below a directory, in words; "" if
// they may.
func (f *finder) mayDivide(p place, dir string) (why string) {
	switch {
	case p.readOnly:
		return fmt.Sprintf("%s is mounted read-only, as in most containers: give the container a writable cgroup file system of its own (Docker: --security-opt writable-cgroups=true)", p.top)
	case !f.writable(dir) || !f.writable(dir+"/cgroup.procs"):
		return fmt.Sprintf("user %d may not make groups in %s: have it delegated (systemd: Delegate=yes)", f.uid(), dir)
	case dir == p.top || f.delegated(dir) || p.version == V1 && f.delegatedElsewhere():
		return ""
	case f.exists("/run/systemd/system"):
		return fmt.Sprintf("%s belongs to systemd, which has not delegated it: set Delegate=yes (and DelegateSubgroup=main, for limits) in the unit", dir)
	}
	return ""
}

// delegated reports whether whoever manages a group keeps his hands off it:
// systemd says so, or has given it to this user. What belongs to the user below
// user@1000.service is kept by the user's own systemd.
func (f *finder) delegated(dir string) bool {
	return f.attribute(dir, "user.delegate") == "1" || f.attribute(dir, "trusted.delegate") == "1" ||
		f.uid() != 0 && f.owner(dir) == f.uid() && !ofUserManager.MatchString(dir)
}

var ofUserManager = regexp.MustCompile(`/user@\d+\.service/.`)

// delegatedElsewhere reports whether our group in systemd's own tree is
// delegated: there is the mark for those of v1.
func (f *finder) delegatedElsewhere() bool {
	for _, controller := range []string{"", "name=systemd"} {
		if p, why := f.place(controller); why == "" && f.delegated(p.dir) {
			return true
		}
	}
	return false
}

// words are the content of a small file.
func (f *finder) words(file string) []string {
	s, _ := f.read(file)
	return strings.Fields(s)
}

// tree is what can be done in the tree of v2.
type tree struct {
	base   string // where groups are made; "" where they are not
	kill   Support
	limits string // why there are no limits; "" if the base may have some
}

// v2 looks at the program's own group, and at the group above it if that is
// the one that has been delegated, or the root group of a container, and takes
// what can do more. The root of the machine is not: a group below it would have
// none of the limits that our own one has.
func (f *finder) v2() tree {
	p, why := f.place("")
	if why != "" {
		why = "cgroup v2: " + why
		return tree{kill: Support{Why: why}, limits: why}
	}
	own := f.divide(p, p.dir)
	if own.base != "" && own.limits == "" || p.dir == p.top {
		return own
	}
	if above := path.Dir(p.dir); f.delegated(above) || above == p.top && f.exists(above+"/cgroup.type") {
		if t := f.divide(p, above); t.base != "" && (own.base == "" || t.limits == "") {
			return t
		}
	}
	return own
}

// divide looks at one directory. A group that holds processes may have groups
// below it only as long as none of them has a controller; the machine's root
// group is the exception (cgroups(7), no internal processes).
func (f *finder) divide(p place, dir string) tree {
	if why := f.mayDivide(p, dir); why != "" {
		return tree{kill: Support{Why: why}, limits: why}
	}
	if !f.exists(dir + "/cgroup.type") { // the root of the machine
		return tree{base: dir, kill: Support{OK: true, By: V2}}
	}
	if kind := f.words(dir + "/cgroup.type"); !slices.Equal(kind, []string{"domain"}) {
		why := fmt.Sprintf("%s is a group of the type %q, in which nothing can be started", dir, strings.Join(kind, " "))
		return tree{kill: Support{Why: why}, limits: why}
	}
	if dir != p.dir && len(f.words(dir+"/cgroup.procs")) == 0 {
		return tree{base: dir, kill: Support{OK: true, By: V2}}
	}
	if on := f.words(dir + "/cgroup.subtree_control"); len(on) > 0 {
		why := fmt.Sprintf("%s holds processes itself, and somebody has enabled %q below it, so nothing can be started there: %s", dir, on, goBelow)
		return tree{kill: Support{Why: why}, limits: why}
	}
	return tree{
		base: dir, kill: Support{OK: true, By: V2},
		limits: fmt.Sprintf("%s holds processes itself, so groups below it can have no limits: %s", dir, goBelow),
	}
}

const goBelow = "start the program in a group of its own below a delegated one (systemd 254: DelegateSubgroup=main beside Delegate=yes; in a container: the entry point moves itself into a new group)"

// limit looks for a controller. It is in a tree of v1 or in that of v2, never
// in both.
func (f *finder) limit(controller string, v2 tree) (Support, place) {
	if _, v1 := f.paths[controller]; v1 {
		p, why := f.place(controller)
		if why == "" {
			why = f.mayDivide(p, p.dir)
		}
		return verdict(V1, controller, why), p
	}
	p, why := f.place("")
	switch {
	case why == "" && v2.base == "":
		why = v2.limits
	case why == "" && !slices.Contains(f.words(v2.base+"/cgroup.controllers"), controller):
		why = fmt.Sprintf("the controller %q is not available in %s: enable it in cgroup.subtree_control above (systemd: Delegate=memory pids)", controller, v2.base)
	case why == "":
		why = v2.limits
	}
	return verdict(V2, controller, why), p
}

func verdict(v Version, controller, why string) Support {
	if why != "" {
		return Support{Why: fmt.Sprintf("the %s controller of %v: %s", controller, v, why)}
	}
	return Support{OK: true, By: v}
}

// machine is the real system.
type machine struct{}

func (machine) read(path string) (string, error) {
	b, err := os.ReadFile(path)
	return string(b), err
}

func (machine) exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (machine) writable(path string) bool {
	return unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS) == nil
}

func (machine) owner(path string) int {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return -1
	}
	return int(st.Uid)
}

func (machine) attribute(path, name string) string {
	var b [16]byte
	n, err := unix.Getxattr(path, name, b[:])
	if err != nil {
		return ""
	}
	return string(b[:n])
}

func (machine) uid() int { return os.Geteuid() }
