package main

// static int square(long n) { static int table[] = {0, 1, 4, 9}; return table[n]; } // no bounds check
import "C"

import (
	"context"
	"fmt"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/tree"
)

var Square = child.Define("square", func(_ context.Context, n int) (int, error) {
	return int(C.square(C.long(n))), nil
})

func main() {
	child.Init() // in a worker process, this never returns
	ctx := context.Background()
	worker := child.New(child.Config{Name: "squarer"})
	root, _ := tree.New(tree.Spec{Children: []tree.Child{{ID: "squarer", Service: worker}}})
	_, _ = root.Start(ctx), root.WaitReady(ctx)
	for _, n := range []int{2, 1 << 40, 3} { // the second one crashes the worker
		fmt.Println(Square.Call(ctx, worker, n))
	}
	_ = root.Stop(ctx)
}
