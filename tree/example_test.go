package tree_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/strategy"
	"github.com/verdigris-go/verdigris/tree"
)

// untilCancelled is a service without a task.
func untilCancelled(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// must is for examples; a program looks at the error.
func must[T any](v T, err error) T {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	return v
}

// A main that has something else to do starts the tree and comes back to it.
func ExampleSupervisor_Start() {
	root := must(tree.New(tree.Spec{Children: []tree.Child{
		{ID: "database", Service: tree.ServiceFunc(untilCancelled)},
		{ID: "cache", Service: tree.ServiceFunc(untilCancelled)},
	}}))
	ctx := context.Background()
	if err := root.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	if err := root.WaitReady(ctx); err != nil {
		fmt.Println(err) // a child did not start; everything has been stopped again
		return
	}
	fmt.Println("everything is up")

	stopping, cancel := context.WithTimeout(ctx, root.StopLimit())
	defer cancel()
	fmt.Println("stopped:", root.Stop(stopping))
	// Output:
	// everything is up
	// stopped: <nil>
}

// Beside goroutines of another kind: the tree ends when one of them fails, and they end when the tree gives up. With
// errgroup it is g.Go(func() error { return root.Serve(ctx) }).
func ExampleSupervisor_Serve() {
	root := must(tree.New(tree.Spec{Name: "workers", Children: []tree.Child{
		{ID: "worker", Service: tree.ServiceFunc(untilCancelled)},
	}}))
	consume := func(ctx context.Context) error {
		if err := root.WaitReady(ctx); err != nil {
			return err
		}
		return errors.New("the queue is closed")
	}

	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var group sync.WaitGroup
	for _, member := range []func(context.Context) error{root.Serve, consume} {
		group.Go(func() {
			if err := member(ctx); err != nil {
				cancel(err) // the first error is the one that counts
			}
		})
	}
	group.Wait()
	fmt.Println(context.Cause(ctx))
	// Output:
	// the queue is closed
}

// With a backoff a child is not restarted at once: the n-th restart in a row waits a random time below Initial*2^(n-1),
// at most Max. Siblings and requests do not wait for it.
func ExampleChild_backoff() {
	ctx, stop := context.WithCancel(context.Background())
	dials := 0
	connection := func(ctx context.Context) error {
		if dials++; dials <= 3 {
			return errors.New("connection refused")
		}
		stop()
		return untilCancelled(ctx)
	}

	root := must(tree.New(tree.Spec{
		Name:      "client",
		Intensity: strategy.Intensity{Restarts: 10, Period: time.Minute},
		Children: []tree.Child{{
			ID:      "connection",
			Service: tree.ServiceFunc(connection),
			Backoff: strategy.Backoff{Initial: time.Millisecond, Max: 10 * time.Millisecond},
		}},
		OnEvent: func(e tree.Event) {
			switch e.Kind {
			case tree.EventExited:
				fmt.Println(e.Path, "run", e.Run, "has ended:", e.Err)
			case tree.EventRestarting:
				fmt.Println(e.Path, "waits for restart", e.Attempt)
			}
		},
	}))
	fmt.Println(root.Serve(ctx))
	// Output:
	// client/connection run 1 has ended: connection refused
	// client/connection waits for restart 1
	// client/connection run 2 has ended: connection refused
	// client/connection waits for restart 2
	// client/connection run 3 has ended: connection refused
	// client/connection waits for restart 3
	// <nil>
}

// A dynamic supervisor has many children of one kind, started one by one.
func ExampleDynamic() {
	sessions := must(tree.New(tree.Spec{
		Name: "sessions",
		Dynamic: &tree.Dynamic{
			Template:    tree.Child{ID: "session", Restart: strategy.Temporary, Shutdown: tree.After(time.Second)},
			MaxChildren: 2,
		},
	}))
	ctx := context.Background()
	if err := sessions.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	session := tree.ServiceFunc(untilCancelled)

	first := must(sessions.StartService(ctx, session))
	second := must(sessions.StartService(ctx, session))
	fmt.Println(first.ID, second.ID)

	_, err := sessions.StartService(ctx, session)
	fmt.Println(errors.Is(err, tree.ErrMaxChildren))

	fmt.Println(sessions.TerminateRun(ctx, first), first.Alive(), second.Alive())
	fmt.Println(must(sessions.Count(ctx)).Active, "left")
	fmt.Println(sessions.Stop(ctx))
	// Output:
	// 1 2
	// true
	// <nil> false true
	// 1 left
	// <nil>
}
