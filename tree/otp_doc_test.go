package tree_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const otpPage = "../docs/otp.md"

// The page that compares us with OTP names every rule that is in the recorded scenarios, says for each what pins
// it, and names nothing that does not exist.
func TestPageAboutOTP(t *testing.T) {
	rules, scenarios := recorded(t)
	tests := testNames(t)
	rows := ruleRows(t)
	for id := range rules {
		if rows[id] == nil {
			t.Errorf("%s has no row for rule %s", otpPage, id)
		}
	}
	for id, pins := range rows {
		if len(pins) == 0 {
			t.Errorf("rule %s is not pinned by anything", id)
		}
		for _, pin := range pins {
			if of, ok := scenarios[pin]; ok && !slices.Contains(of, id) {
				t.Errorf("rule %s: scenario %s is about %v", id, pin, of)
			}
		}
	}
	for _, name := range namesIn(t, pinned) {
		if _, ok := scenarios[name]; !ok && !tests[name] {
			t.Errorf("%s names %s, which does not exist", otpPage, name)
		}
	}
}

// A scenario is named as `file/name`, a test as `TestName`.
var (
	pinned  = regexp.MustCompile("`(Test\\w+|[a-z_]+/\\w+)`")
	ruleRow = regexp.MustCompile(`(?m)^\| ([A-Z]\d+) \|.*\|(.*)\|$`)
)

func ruleRows(t *testing.T) map[string][]string {
	rows := map[string][]string{}
	for _, m := range ruleRow.FindAllStringSubmatch(page(t), -1) {
		if _, twice := rows[m[1]]; twice {
			t.Errorf("two rows for rule %s", m[1])
		}
		rows[m[1]] = []string{}
		for _, pin := range pinned.FindAllStringSubmatch(m[2], -1) {
			rows[m[1]] = append(rows[m[1]], pin[1])
		}
	}
	return rows
}

func namesIn(t *testing.T, pattern *regexp.Regexp) (names []string) {
	for _, m := range pattern.FindAllStringSubmatch(page(t), -1) {
		names = append(names, m[1])
	}
	return names
}

func page(t *testing.T) string {
	text, err := os.ReadFile(otpPage)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// recorded returns all rules of the recorded scenarios, and the rules of each scenario.
func recorded(t *testing.T) (rules map[string]bool, scenarios map[string][]string) {
	rules, scenarios = map[string]bool{}, map[string][]string{}
	for _, file := range matches(t, "testdata/otp/*.json") {
		var list []struct {
			Name  string
			Rules []string
		}
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &list)
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, s := range list {
			scenarios[strings.TrimSuffix(filepath.Base(file), ".json")+"/"+s.Name] = s.Rules
			for _, id := range s.Rules {
				rules[id] = true
			}
		}
	}
	return rules, scenarios
}

// testNames returns the names of the tests of this package and of package strategy.
func testNames(t *testing.T) map[string]bool {
	names := map[string]bool{}
	head := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	for _, file := range append(matches(t, "*_test.go"), matches(t, "../strategy/*_test.go")...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range head.FindAllStringSubmatch(string(text), -1) {
			names[m[1]] = true
		}
	}
	return names
}

func matches(t *testing.T, pattern string) []string {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no files (%v)", pattern, err)
	}
	return files
}
