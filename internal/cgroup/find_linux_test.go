package cgroup

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is found into the recorded trees")

// A recorded tree is a text: the user's number, and the paths that exist, each
// with its owner, its extended attributes and, indented, its lines. What is
// found out about it stands at the end, behind a line "finds".
const finds = "\nfinds\n"

func TestFind(t *testing.T) {
	trees, err := filepath.Glob("testdata/*.txt")
	must(t, err)
	if len(trees) < 20 {
		t.Fatalf("%d recorded trees", len(trees))
	}
	for _, path := range trees {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(path)
			must(t, err)
			tree, want, _ := strings.Cut(string(b), finds)
			got := describe(find(play(t, tree)))
			if *update {
				must(t, os.WriteFile(path, []byte(strings.TrimRight(tree, "\n")+"\n"+finds+got), 0o600))
			} else if got != want {
				t.Errorf("found:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// describe is what a Host says, one line for each part.
func describe(h *Host) string {
	var b strings.Builder
	line := func(what string, s Support, at *stem) {
		if s.OK {
			fmt.Fprintf(&b, "%s: by %v in %s (%v)\n", what, s.By, at.base, at.version)
		} else {
			fmt.Fprintf(&b, "%s: no: %s\n", what, s.Why)
		}
	}
	line("kill", h.Kill, h.kill)
	line("memory", h.Memory, h.memory)
	line("tasks", h.Tasks, h.tasks)
	d := h.OOMTakesAll()
	fmt.Fprintf(&b, "danger: certain %v: %s\n", d.Certain, d.Why)
	return b.String()
}

// recorded is a system out of a text.
type recorded struct {
	user  int
	nodes map[string]*node
}

type node struct {
	content string
	owner   int
	attrs   map[string]string
}

func play(t *testing.T, text string) *recorded {
	r := &recorded{nodes: map[string]*node{}}
	var last *node
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\n"); line == "" || line[0] == '#' {
			continue
		}
		if content, ok := strings.CutPrefix(line, "\t"); ok {
			last.content += content + "\n"
			continue
		}
		if user, ok := strings.CutPrefix(line, "uid "); ok {
			r.user, _ = strconv.Atoi(user)
			continue
		}
		last = &node{attrs: map[string]string{}}
		path := setting.ReplaceAllStringFunc(line, func(s string) string {
			name, value, _ := strings.Cut(strings.TrimSpace(s), "=")
			last.attrs[name] = value
			return ""
		})
		if !strings.HasPrefix(path, "/") {
			t.Fatalf("line %q", line)
		}
		last.owner, _ = strconv.Atoi(last.attrs["owner"])
		r.nodes[path] = last
	}
	return r
}

var setting = regexp.MustCompile(` (owner|user\.delegate|trusted\.delegate)=\d+`)

func (r *recorded) read(path string) (string, error) {
	if n := r.nodes[path]; n != nil {
		return n.content, nil
	}
	return "", fs.ErrNotExist
}

func (r *recorded) exists(path string) bool { return r.nodes[path] != nil }

func (r *recorded) writable(path string) bool {
	n := r.nodes[path]
	return n != nil && (r.user == 0 || r.user == n.owner)
}

func (r *recorded) owner(path string) int {
	if n := r.nodes[path]; n != nil {
		return n.owner
	}
	return -1
}

// attribute plays that only root sees trusted attributes.
func (r *recorded) attribute(path, name string) string {
	n := r.nodes[path]
	if n == nil || r.user != 0 && strings.HasPrefix(name, "trusted.") {
		return ""
	}
	return n.attrs[name]
}

func (r *recorded) uid() int { return r.user }

// The machine that runs the tests is one of those that are recorded, or
// another: in any case every "no" has its reason.
func TestEveryNoHasAReason(t *testing.T) {
	h := find(machine{})
	t.Logf("here:\n%s", describe(h))
	for name, s := range map[string]Support{"kill": h.Kill, "memory": h.Memory, "tasks": h.Tasks} {
		if s.OK == (s.Why != "") || s.OK == (s.By == None) {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if first, second := Find(), Find(); first != second {
		t.Error("found out twice")
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		`/a`: "/a", `\040`: " ", `a\040b\011c\012\134`: "a b\tc\n\\", `\`: `\`, `\04`: `\04`, `\999`: `\999`, `x\134040`: `x\040`,
	} {
		if got := unescape(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzParsers(f *testing.F) {
	f.Add("31 23 0:28 / /sys/fs/my\\040groups rw - cgroup2 none rw\n", "0::/a\n4:memory,pids:/b\n")
	f.Add(" - cgroup2", ":::\n::")
	f.Fuzz(func(t *testing.T, info, self string) {
		paths := parseMembership(self)
		for _, m := range parseMounts(info) {
			for _, p := range paths {
				if dir, visible := m.dir(p); visible && strings.Contains("/"+strings.TrimPrefix(dir, m.point)+"/", "/../") && strings.HasPrefix(p, "/..") {
					t.Errorf("%q in %+v is seen at %q", p, m, dir)
				}
			}
		}
	})
}
