package cgroup

import (
	"slices"
	"strconv"
	"strings"
)

// mount is a mounted cgroup tree, from /proc/self/mountinfo (proc(5)).
type mount struct {
	version     Version
	controllers []string // of v1: the names in the options of its file system, name=systemd too
	root        string   // the group that is seen at point
	point       string
	readOnly    bool
}

// parseMounts finds the cgroup trees in the text of mountinfo.
func parseMounts(info string) (mounts []mount) {
	for line := range strings.Lines(info) {
		left, right, _ := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if len(l) < 6 || len(r) < 3 || r[0] != "cgroup" && r[0] != "cgroup2" {
			continue
		}
		m := mount{version: V2, root: unescape(l[3]), point: unescape(l[4])}
		options := strings.Split(r[2], ",")
		m.readOnly = slices.Contains(strings.Split(l[5], ","), "ro") || slices.Contains(options, "ro")
		if r[0] == "cgroup" {
			m.version, m.controllers = V1, options
		}
		mounts = append(mounts, m)
	}
	return mounts
}

// unescape decodes the octal escapes of mountinfo: \040 is a space.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// dir is where a group is seen below the mount point, given its path as
// /proc/self/cgroup has it. A path that begins with /.. lies outside of our
// cgroup namespace.
func (m mount) dir(path string) (dir string, visible bool) {
	rel, ok := path, true
	if m.root != "/" {
		rel, ok = strings.CutPrefix(path, m.root)
	}
	if !ok || rel != "" && rel[0] != '/' || rel == "/.." || strings.HasPrefix(rel, "/../") {
		return "", false
	}
	return strings.TrimSuffix(m.point+rel, "/"), true
}

// parseMembership reads /proc/self/cgroup: our path in each tree by the name
// of its controller; that of v2 is "".
func parseMembership(text string) map[string]string {
	paths := map[string]string{}
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for _, controller := range strings.Split(parts[1], ",") {
			paths[controller] = parts[2]
		}
	}
	return paths
}
