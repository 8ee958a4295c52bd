package child_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/verdigris-go/verdigris/child"
)

func TestMain(m *testing.M) {
	child.Init()
	os.Exit(m.Run())
}

var double = child.Define("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
var boom = child.Define("boom", func(_ context.Context, s string) (int, error) { panic(s) })
var deny = child.Define("deny", func(_ context.Context, s string) (int, error) { return 0, os.ErrNotExist })

func TestOnce(t *testing.T) {
	out, err := child.Once(t.Context(), child.Config{}, double, 21)
	if err != nil || out != 42 {
		t.Fatal(out, err)
	}
	_, err = child.Once(t.Context(), child.Config{}, boom, "bumm")
	crash, ok := errors.AsType[*child.CrashError](err)
	if !ok {
		t.Fatal(err)
	}
	t.Log(crash)
	t.Log(crash.Panic.Stack)
	_, err = child.Once(t.Context(), child.Config{}, deny, "bumm")
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%T %v", err, err)
	}
}
