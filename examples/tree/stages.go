package main

import (
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
	"github.com/verdigris-go/verdigris/strategy"
	"github.com/verdigris-go/verdigris/tree"
)

// grow builds the tree. Nothing runs yet.
//
// The root is rest-for-one: every stage holds something that came from the index, so when the index dies, the stages
// after it are stopped in reverse order, and it and they are started again in order. When a decoder dies, that is the
// pool's affair, which replaces it; nobody else notices.
func (t *tour) grow() (*tree.Supervisor, error) {
	decoding, err := tree.New(tree.Spec{
		Name:     "decoding",
		Strategy: strategy.OneForOne,
		Children: []tree.Child{
			{ID: "pool", Service: t.pool, Shutdown: tree.Infinity}, // it bounds its own stop
		},
	})
	if err != nil {
		return nil, err
	}
	stages := []tree.Child{
		{ID: "index", Service: t.index},
		{ID: "decoding", Service: decoding},
		{ID: "writer", Service: t.writer},
		{ID: "batch", Service: t.batch, Restart: strategy.Transient}, // it ends when its work is done
	}
	if t.server != nil {
		stages = append(stages, tree.Child{ID: "http", Service: t.server, Shutdown: tree.After(drainTime + time.Second)})
	}
	return tree.New(tree.Spec{
		Name:      "images",
		Strategy:  strategy.RestForOne,
		Intensity: strategy.Intensity{Restarts: 3, Period: 10 * time.Second},
		Children:  stages,
		OnEvent:   t.hook(),
	})
}

// worker is what both kinds of worker processes have in common.
func (t *tour) worker(name string, setup child.Setup) child.Config {
	return child.Config{Name: name, Setup: setup, Logger: t.console.workers}
}

func (t *tour) newIndex() *child.Process {
	return child.New(t.worker("index", index.With(t.catalog())))
}

func (t *tour) newPool() *pool.Pool {
	worker := t.worker("decoder", decoders.With(t.catalog()))
	worker.CallTimeout = 10 * time.Second // for an image that makes the decoder loop
	return pool.New(pool.Config{
		Name:   "decoders",
		Size:   t.options.workers,
		Queue:  t.options.queue,
		Worker: worker,
	})
}
