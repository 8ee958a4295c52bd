package tree_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"github.com/verdigris-go/verdigris/strategy"
	"github.com/verdigris-go/verdigris/tree"
)

// shopTree is a tree for the examples.
func shopTree(hook func(tree.Event)) *tree.Supervisor {
	idle := tree.ServiceFunc(untilCancelled)
	resizers := must(tree.New(tree.Spec{Children: []tree.Child{{ID: "1", Service: idle}, {ID: "2", Service: idle}}}))
	return must(tree.New(tree.Spec{
		Name:     "shop",
		Strategy: strategy.RestForOne,
		Children: []tree.Child{{ID: "decoder", Service: idle}, {ID: "resizers", Service: resizers}},
		OnEvent:  hook,
	}))
}

// A hook that counts, and logs.
func ExampleLogEvents() {
	log := tree.LogEvents(brief("path", "run")) // brief is a *slog.Logger
	var started atomic.Int64                    // each supervisor calls the hook from its own goroutine
	shop := shopTree(func(e tree.Event) {
		log(e)
		if e.Kind == tree.EventStarted {
			started.Add(1)
		}
	})
	ctx := context.Background()
	fmt.Println(shop.Start(ctx), shop.WaitReady(ctx), started.Load(), shop.Stop(ctx))
	// Output:
	// level=INFO msg="child started" path=shop/decoder run=1
	// level=INFO msg="child started" path=shop/resizers/1 run=1
	// level=INFO msg="child started" path=shop/resizers/2 run=1
	// level=INFO msg="child started" path=shop/resizers run=1
	// level=INFO msg="supervisor up" path=shop run=1
	// level=INFO msg="supervisor is ending" path=shop run=1
	// level=INFO msg="child stopped" path=shop/resizers/2 run=1
	// level=INFO msg="child stopped" path=shop/resizers/1 run=1
	// level=INFO msg="child stopped" path=shop/resizers run=1
	// level=INFO msg="child stopped" path=shop/decoder run=1
	// level=INFO msg="supervisor ended" path=shop run=1
	// <nil> <nil> 4 <nil>
}

// fmt.Println(shop.Snapshot()) draws the tree as it is now. Here the time is fixed, so that the output is known.
func ExamplePicture() {
	shop := shopTree(nil)
	ctx := context.Background()
	fmt.Println(shop.Start(ctx), shop.WaitReady(ctx))
	s := shop.Snapshot()
	fmt.Println(tree.Picture{Now: s.Since}.Of(s))
	fmt.Println(shop.Stop(ctx))
	// Output:
	// <nil> <nil>
	// shop         running  run 1  0 ms  rest_for_one, 0 of 1 in 5 s
	// ├─ decoder   running  run 1  0 ms
	// └─ resizers  running  run 1  0 ms  one_for_one, 0 of 1 in 5 s
	//    ├─ 1      running  run 1  0 ms
	//    └─ 2      running  run 1  0 ms
	// <nil>
}

// The tree at an address for those who operate the program.
func ExampleHandler() {
	shop := shopTree(nil)
	mux := http.NewServeMux()
	mux.Handle("/tree", tree.Handler(shop))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/tree?format=ascii", nil)) // curl localhost:8080/tree?format=ascii
	fmt.Print(w.Body)
	// Output:
	// shop         down      rest_for_one, 0 of 1 in 5 s
	// |- decoder   down
	// `- resizers  down
}
