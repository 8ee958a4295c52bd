// A worker program of its own: some functions are those of the tests, some differ.
package main

import (
	"context"

	"github.com/verdigris-go/verdigris/child"
)

type lens struct{}

var (
	_ = child.Define("double", func(_ context.Context, n int) (int, error) { return 2*n + 1000, nil })
	_ = child.Define("mirror", func(_ context.Context, s string) (string, error) { return s, nil })
	_ = child.Define("inflate", func(_ context.Context, n int) (string, error) { return "", nil })

	theLens = child.DefineState("lens", func(context.Context, bool) (*lens, error) { return &lens{}, nil }, nil)
	_       = child.DefineOn(theLens, "look", func(*lens, context.Context, []string) (seen, error) { return seen{}, nil })
)

type seen struct {
	Left int64
	Key  string
	Meta map[string]string
}

func main() {
	child.Init()
	panic("not started as a worker")
}
