// A program that has forgotten child.Init. Started again, it leaves a mark.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/verdigris-go/verdigris/child"
)

var double = child.Define("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })

func main() {
	mark := os.Getenv("MARK")
	if os.Getenv("AGAIN") != "" {
		_ = os.WriteFile(mark, nil, 0o600)
		return
	}
	_, err := child.Once(context.Background(), child.Config{Env: []string{"MARK", "AGAIN=1"}}, double, 21)
	fmt.Println(err)
}
