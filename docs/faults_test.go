package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every fault has its row, every test that is named exists in its package, and
// every mutant in its table.
func TestFaults(t *testing.T) {
	text, err := os.ReadFile("faults.md")
	if err != nil {
		t.Fatal(err)
	}
	page, later, found := strings.Cut(string(text), "\n## Not here yet\n")
	if !found {
		t.Fatal("the page has no end")
	}
	rows := faultRows(page)
	for n := 1; n <= 81; n++ {
		f := fmt.Sprintf("F%d", n)
		switch missing := slices.Contains(strings.Fields(later), f); {
		case missing && len(rows[f]) != 0:
			t.Errorf("%s has a row, and is listed as missing", f)
		case missing:
		case len(rows[f]) != 1:
			t.Errorf("%s has %d rows", f, len(rows[f]))
		case !namesTest.MatchString(rows[f][0]):
			t.Errorf("%s names no test", f)
		}
	}
	tests := map[string]string{}
	for _, m := range namesTest.FindAllStringSubmatch(page, -1) {
		if tests[m[1]] == "" {
			tests[m[1]] = testsOf(t, m[1])
		}
		if !strings.Contains(tests[m[1]], "\nfunc "+m[2]+"(") {
			t.Errorf("there is no %s in %s", m[2], m[1])
		}
	}
	table, err := os.ReadFile("../internal/mutants/table.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutantsOf(page) {
		if !strings.Contains(string(table), fmt.Sprintf("name: %q,", m)) {
			t.Errorf("there is no mutant %q", m)
		}
	}
}

var (
	faultRow   = regexp.MustCompile(`(?m)^\| (F\d+) \| .*$`)
	namesTest  = regexp.MustCompile("`([a-z/]+)/((?:Test|Fuzz)\\w+)`")
	mutantList = regexp.MustCompile(`, mutants? ((?:\*[^*]+\*(?:, )?)+)`)
	oneMutant  = regexp.MustCompile(`\*([^*]+)\*`)
)

func faultRows(page string) map[string][]string {
	rows := map[string][]string{}
	for _, m := range faultRow.FindAllStringSubmatch(page, -1) {
		rows[m[1]] = append(rows[m[1]], m[0])
	}
	return rows
}

func mutantsOf(page string) (names []string) {
	for _, list := range mutantList.FindAllStringSubmatch(page, -1) {
		for _, m := range oneMutant.FindAllStringSubmatch(list[1], -1) {
			names = append(names, m[1])
		}
	}
	return names
}

// testsOf is the source of a package's tests.
func testsOf(t *testing.T, pkg string) string {
	files, err := filepath.Glob(filepath.Join("..", pkg, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Errorf("%s: no tests (%v)", pkg, err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}
