package tree_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/strategy"
	"github.com/verdigris-go/verdigris/tree"
)

// brief is a logger that prints the message and these attributes, for examples whose output is known beforehand.
func brief(keys ...string) *slog.Logger {
	keys = append(keys, slog.LevelKey, slog.MessageKey)
	return slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && slices.Contains(keys, a.Key) {
			return a
		}
		return slog.Attr{}
	}}))
}

// In a long-running server the host of a tree is a suture.Supervisor: when the tree has given up, it starts the whole
// tree again. Timeout is longer than the tree may need to stop, and the events go to slog.
func ExampleEventHook() {
	ctx, stop := context.WithCancel(context.Background())
	lives := 0
	index := func(ctx context.Context) error {
		if lives++; lives == 1 {
			return errors.New("page 7 is torn")
		}
		stop()
		return untilCancelled(ctx)
	}
	shop := must(tree.New(tree.Spec{
		Name:      "shop",
		Intensity: strategy.Intensity{Restarts: strategy.NoRestarts},
		Children:  []tree.Child{{ID: "index", Service: tree.ServiceFunc(index)}},
		OnEvent:   tree.LogEvents(brief("path")),
	}))

	host := suture.New("server", suture.Spec{
		EventHook: tree.EventHook(brief("service", "restarting")),
		Timeout:   shop.StopLimit() + time.Second,
	})
	host.Add(shop)
	fmt.Println(host.Serve(ctx))
	// Unordered output:
	// level=INFO msg="child started" path=shop/index
	// level=INFO msg="supervisor up" path=shop
	// level=WARN msg="child failed" path=shop/index
	// level=ERROR msg="supervisor gave up: it had to restart too often" path=shop
	// level=INFO msg="supervisor ended" path=shop
	// level=WARN msg="service failed" service=shop restarting=true
	// level=INFO msg="child started" path=shop/index
	// level=INFO msg="supervisor up" path=shop
	// level=INFO msg="supervisor is ending" path=shop
	// level=INFO msg="child stopped" path=shop/index
	// level=INFO msg="supervisor ended" path=shop
	// context canceled
}

// A suture.Supervisor can be served only once, so a tree gets a new one for each run.
func ExamplePerRun() {
	ctx, stop := context.WithCancel(context.Background())
	mailer := tree.ServiceFunc(func(ctx context.Context) error {
		fmt.Println("a mailer at", tree.Path(ctx))
		stop()
		return untilCancelled(ctx)
	})
	newOffice := func(context.Context) (suture.Service, error) {
		office := suture.New("office", suture.Spec{EventHook: tree.EventHook(slog.Default())})
		office.Add(mailer)
		return office, nil
	}

	root := must(tree.New(tree.Spec{Name: "shop", Children: []tree.Child{
		{ID: "office", Service: tree.PerRun(newOffice), Type: tree.TypeSupervisor, Shutdown: tree.After(11 * time.Second)},
	}}))
	fmt.Println(root.Serve(ctx))
	// Output:
	// a mailer at shop/office
	// <nil>
}
