package cgroup

import (
	"fmt"
	"path"
	"strings"
)

// OOMTakesAll tells about the danger to a program whose workers have no group
// of their own.
func (h *Host) OOMTakesAll() Danger { return h.danger }

// danger looks at the groups from our own up to the first that has a limit:
// when memory there is short, the OOM killer takes the highest of them that
// has memory.oom.group set, and all in it (cgroups(7)).
func (f *finder) danger(p place) Danger {
	if p.version == V2 && p.dir != "" {
		for dir := p.dir; len(dir) >= len(p.top); dir = path.Dir(dir) {
			if group, _ := f.read(dir + "/memory.oom.group"); strings.TrimSpace(group) == "1" {
				return Danger{true, fmt.Sprintf("memory.oom.group is set in %s: when a worker runs out of memory there, the kernel kills this program with it; set Config.Memory, so that a worker meets its own limit first, or clear the setting (Kubernetes: singleProcessOOMKill)", dir)}
			}
			if limit, err := f.read(dir + "/memory.max"); err == nil && strings.TrimSpace(limit) != "max" {
				break
			}
		}
	}
	return f.policy()
}

// policy knows what systemd does by default to a service one of whose
// processes the OOM killer has killed. It cannot be read from inside.
func (f *finder) policy() Danger {
	p, _ := f.place("")
	if p.dir == "" {
		p, _ = f.place("name=systemd")
	}
	for dir := p.dir; len(dir) > len(p.top); dir = path.Dir(dir) {
		switch unit := path.Base(dir); {
		case f.delegated(dir), strings.HasSuffix(unit, ".scope"): // then the default is to go on; a scope is mostly a session, with that set
			return Danger{}
		case strings.HasSuffix(unit, ".service") && f.exists("/run/systemd/system"):
			return Danger{Why: fmt.Sprintf("systemd stops the whole unit %s when the OOM killer ends one of its processes, unless OOMPolicy=continue is set: set that, or Delegate=yes", unit)}
		}
	}
	return Danger{}
}
