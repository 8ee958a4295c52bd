// The shortest program: one call in a process of its own.
package main

import (
	"context"
	"fmt"

	"github.com/verdigris-go/verdigris/child"
)

var double = child.Define("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })

func main() {
	child.Init()
	fmt.Println(child.Once(context.Background(), child.Config{}, double, 21))
}
