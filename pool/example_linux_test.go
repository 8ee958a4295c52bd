package pool_test

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
	"github.com/verdigris-go/verdigris/tree"
)

// quotient is fragile code: with zero it takes its process with it.
var quotient = child.Define("quotient", func(_ context.Context, n int) (int, error) { return 60 / n, nil })

func ExampleMap() {
	// The first line of main is child.Init(); of tests, that of TestMain.
	ctx := context.Background()
	workers := pool.New(pool.Config{Size: 2})
	root, err := tree.New(tree.Spec{Children: []tree.Child{{ID: "workers", Service: workers}}})
	if err == nil {
		err = errors.Join(root.Start(ctx), root.WaitReady(ctx))
	}
	if err != nil {
		fmt.Println(err)
		return
	}

	inputs := slices.Values([]int{1, 2, 0, 3})
	for out, err := range pool.Map(ctx, workers, quotient, inputs, pool.MapConfig{}) {
		if failed, ok := errors.AsType[*pool.MapError](err); ok {
			fmt.Println(failed.Input, "killed its worker:", errors.Is(err, child.Panicked))
			continue
		}
		fmt.Println(out)
	}
	fmt.Println(root.Stop(ctx))
	// Output:
	// 60
	// 30
	// 0 killed its worker: true
	// 20
	// <nil>
}
