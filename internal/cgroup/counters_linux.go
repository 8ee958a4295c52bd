package cgroup

import (
	"os"
	"strconv"
	"strings"
)

// OOMKills is how many processes of the group the OOM killer has ended.
func (g *Group) OOMKills() (kills uint64, ok bool) {
	if g.memory == nil {
		return 0, false
	}
	if g.memory.version == V1 {
		return counter(g.memory.dir+"/memory.oom_control", "oom_kill")
	}
	return counter(g.memory.dir+"/memory.events", "oom_kill")
}

// Peak is the most memory that the group has used.
func (g *Group) Peak() (bytes int64, ok bool) {
	if g.memory == nil {
		return 0, false
	}
	file := "/memory.peak" // since Linux 5.19
	if g.memory.version == V1 {
		file = "/memory.max_usage_in_bytes"
	}
	b, err := os.ReadFile(g.memory.dir + file)
	if err != nil {
		return 0, false
	}
	bytes, err = strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return bytes, err == nil
}

// TaskRefusals is how many processes and threads of the group could not be made
// because of its limit.
func (g *Group) TaskRefusals() (refused uint64, ok bool) {
	if g.tasks == nil {
		return 0, false
	}
	return counter(g.tasks.dir+"/pids.events", "max")
}

// SharedOOM is how many processes of this program's own group the OOM killer
// has ended: the program itself, workers without a group of their own, and
// whoever else is in there. Groups below it are not counted where the kernel
// can tell (since 5.2).
func (h *Host) SharedOOM() (kills uint64, ok bool) {
	switch {
	case h.shared.dir == "":
		return 0, false
	case h.shared.version == V1:
		return counter(h.shared.dir+"/memory.oom_control", "oom_kill")
	}
	if kills, ok = counter(h.shared.dir+"/memory.events.local", "oom_kill"); !ok {
		kills, ok = counter(h.shared.dir+"/memory.events", "oom_kill")
	}
	return kills, ok
}

// counter reads one value of a file of lines "name value".
func counter(file, name string) (value uint64, ok bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if k, v, _ := strings.Cut(strings.TrimSpace(line), " "); k == name {
			value, err = strconv.ParseUint(v, 10, 64)
			return value, err == nil
		}
	}
	return 0, false
}
