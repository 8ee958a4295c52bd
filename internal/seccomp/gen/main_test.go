package main

import (
	"bytes"
	"os"
	"testing"
)

// The table is that of the x/sys in go.mod.
func TestTableIsCurrent(t *testing.T) {
	want, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("../calls.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Error("calls.go is not what golang.org/x/sys/unix says: run go generate ./internal/seccomp")
	}
}
