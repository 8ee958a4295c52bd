// Package docs_test compiles the Go code in the pages.
//
// A block that is a whole program is built, and run if a block of kind "output"
// follows it. Any other block is a fragment: it is compiled inside a file that
// imports what it names. It may use names of the reader's program: those in
// known have a type, so that their methods are checked, others stay undefined.
// What it names of a package, a field or a method must exist.
package docs_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What fragments may name, by the package's last element.
var imports = []string{
	"context", "errors", "fmt", "iter", "log/slog", "net", "net/http", "os", "strings", "testing", "time",
	"github.com/thejerf/suture/v4",
	"github.com/verdigris-go/verdigris/child",
	"github.com/verdigris-go/verdigris/pool",
	"github.com/verdigris-go/verdigris/strategy",
	"github.com/verdigris-go/verdigris/tree",
}

// Names of the reader's program.
const known = `
var (
	ctx     context.Context
	root    *tree.Supervisor
	workers child.Caller
)
`

// block is one fenced block of Go.
type block struct {
	name   string // page and line
	code   string
	output string // of the block behind it
}

func (b block) program() bool { return strings.Contains(b.code, "\nfunc main() {") }

// pages lists the pages by their paths from here.
func pages(t *testing.T) []string {
	var found []string
	for _, pattern := range []string{"../*.md", "*.md", "decisions/*.md"} {
		matches, err := filepath.Glob(pattern)
		if err != nil || len(matches) == 0 {
			t.Fatalf("%s: no pages (%v)", pattern, err)
		}
		found = append(found, matches...)
	}
	return found
}

func TestCodeInPages(t *testing.T) {
	for _, page := range pages(t) {
		for _, b := range blocks(t, page) {
			t.Run(b.name, func(t *testing.T) {
				t.Parallel()
				if b.program() {
					checkProgram(t, b)
				} else {
					checkFragment(t, b)
				}
			})
		}
	}
}

func checkProgram(t *testing.T, b block) {
	if strings.Contains(b.code, `import "C"`) && !cgo(t) {
		t.Skip("needs cgo")
	}
	exe := filepath.Join(t.TempDir(), "program")
	if out, err := goBuild(t, b.code, "-o", exe); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if b.output == "" {
		return
	}
	out, err := exec.CommandContext(t.Context(), exe).Output()
	if err != nil || string(out) != b.output {
		t.Errorf("printed %q, the page says %q; ended with %v", out, b.output, err)
	}
}

func checkFragment(t *testing.T, b block) {
	// -e: all errors, not the first ten.
	out, _ := goBuild(t, wrap(t, b.code), "-gcflags=-e")
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "#") && !ofTheReader.MatchString(line) {
			t.Error(line)
		}
	}
}

// ofTheReader matches what is no fault of a fragment.
var ofTheReader = regexp.MustCompile(`/main\.go:\d+:\d+: (undefined: \w+|declared and not used: .*)\n$`)

// wrap makes a fragment a file: its imports, and a function around statements.
func wrap(t *testing.T, code string) string {
	head := "package p\n"
	for _, path := range imports {
		name := filepath.Base(strings.TrimSuffix(path, "/v4"))
		if regexp.MustCompile(`\b` + name + `\.\p{Lu}`).MatchString(known + code) {
			head += fmt.Sprintf("import %q\n", path)
		}
	}
	head += known
	candidates := []string{head + code, head + "func _() {\n" + code + "}\n"}
	var faults [2]error
	for i, c := range candidates {
		if _, faults[i] = parser.ParseFile(token.NewFileSet(), "", c, 0); faults[i] == nil {
			return c
		}
	}
	t.Fatalf("neither declarations (%v) nor statements (%v)", faults[0], faults[1])
	return ""
}

func goBuild(t *testing.T, code string, args ...string) (string, error) {
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	args = slices.Concat([]string{"build"}, args, []string{file})
	out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput()
	return string(out), err
}

var fence = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")

func cgo(t *testing.T) bool {
	out, err := exec.CommandContext(t.Context(), "go", "env", "CGO_ENABLED").Output()
	return err == nil && strings.TrimSpace(string(out)) == "1"
}

// blocks cuts the fenced Go blocks out of a page.
func blocks(t *testing.T, page string) []block {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var found []block
	for _, at := range fence.FindAllSubmatchIndex(text, -1) {
		line := 1 + strings.Count(string(text[:at[0]]), "\n")
		switch code := string(text[at[4]:at[5]]); string(text[at[2]:at[3]]) {
		case "go":
			found = append(found, block{name: fmt.Sprintf("%s:%d", filepath.Base(page), line), code: code})
		case "output":
			found[len(found)-1].output = code
		}
	}
	return found
}

// Links between pages and to files of the repository lead somewhere.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)]*)?\)`)
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		prose := fence.ReplaceAllString(string(text), "")
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
	}
}

// What the prose names of a package exists.
func TestNames(t *testing.T) {
	name := regexp.MustCompile("`[^`\n]*?\\b((?:child|pool|strategy|tree)\\.\\p{Lu}\\w*(?:\\.\\p{Lu}\\w*)?)")
	seen := map[string]bool{}
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		prose := fence.ReplaceAllString(string(text), "")
		for _, m := range name.FindAllStringSubmatch(prose, -1) {
			if seen[m[1]] {
				continue
			}
			seen[m[1]] = true
			out, err := exec.CommandContext(t.Context(), "go", "doc", "github.com/verdigris-go/verdigris/"+m[1]).CombinedOutput()
			if err != nil {
				t.Errorf("%s names %s: %s", page, m[1], out)
			}
		}
	}
	if len(seen) == 0 {
		t.Error("no names found")
	}
}
