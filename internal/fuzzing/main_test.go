package main

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestParseList(t *testing.T) {
	got := parseList("FuzzA\nFuzzB\nok  \texample.org/a\t0.004s\n?   \texample.org/none\t[no test files]\nok  \texample.org/b\t0.1s\nFuzzC\nok  \texample.org/c\t(cached)\n")
	want := []target{{"example.org/a", "FuzzA"}, {"example.org/a", "FuzzB"}, {"example.org/c", "FuzzC"}}
	if !reflect.DeepEqual(got, want) {
		t.Error(got)
	}
}

func TestParseProgress(t *testing.T) {
	got := parseProgress("fuzz: elapsed: 0s, gathering baseline coverage: 0/12 completed\n" +
		"fuzz: elapsed: 3s, execs: 23 (8/sec), new interesting: 0 (total: 12)\n" +
		"fuzz: elapsed: 1m1s, execs: 89317 (0/sec), new interesting: 17 (total: 29)\nPASS\n")
	if got != (result{execs: 89317, interesting: 17}) {
		t.Error(got)
	}
	if got := parseProgress("# no build\n"); got != (result{}) {
		t.Error(got)
	}
}

func TestWorst(t *testing.T) {
	dir := t.TempDir()
	if got := worst(dir); got != "" {
		t.Error(got)
	}
	for name, text := range map[string]string{"1": "a, 9 % of the bound\n", "2": "b, 41 % of the bound\n", "3": "none"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := worst(dir); got != "b, 41 % of the bound" {
		t.Error(got)
	}
}
