package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
	"github.com/verdigris-go/verdigris/tree"
)

// tour is one run of the program: the stages, and what lives beside the tree and survives it.
type tour struct {
	options options
	console *console
	scratch string // for the index's table
	ledger  *ledger
	counts  counts
	up      atomic.Bool // the tree has been up

	index  *child.Process
	pool   *pool.Pool
	writer *writer
	batch  *batch
	server *server // nil without -serve
}

// run is the program but for its process: it returns the exit status.
func run(ctx context.Context, args []string, out *os.File) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tree:", err)
		return 2
	}
	ok, err := walk(ctx, o, out)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tree:", err)
	}
	if !ok || err != nil {
		return 1
	}
	return 0
}

// walk makes the tour and reports whether every good image came out.
func walk(ctx context.Context, o options, out *os.File) (ok bool, err error) {
	t := &tour{options: o, console: newConsole(out, o.verbose), ledger: newLedger()}
	if t.scratch, err = os.MkdirTemp("", "verdigris-tour-"); err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(t.scratch) }()
	if err := t.makeOut(); err != nil {
		return false, err
	}
	t.fill()
	root, err := t.grow()
	if err != nil {
		return false, err
	}
	if t.server != nil {
		t.server.tree = tree.Handler(root)
	}
	begin := time.Now()
	err = t.host(ctx, root)
	complete := t.summary(time.Since(begin))
	return complete || t.server != nil, err // a server may be stopped at any time
}

// makeOut makes the directory for the thumbnails, a new one if none was asked for.
func (t *tour) makeOut() (err error) {
	if t.options.out == "" {
		t.options.out, err = os.MkdirTemp("", "verdigris-thumbnails-")
		return err
	}
	return os.MkdirAll(t.options.out, 0o755)
}

// fill makes the stages.
func (t *tour) fill() {
	t.index, t.pool, t.writer = t.newIndex(), t.newPool(), newWriter(t.options.out)
	if o := t.options; o.serve != "" {
		t.server = &server{addr: o.serve, decoders: t.pool, size: o.size, log: t.console.Logger}
	}
	t.batch = &batch{
		index: t.index, decoders: t.pool, writer: t.writer, ledger: t.ledger,
		size: t.options.size, parallel: t.options.workers, chaos: t.chaos(), console: t.console,
		finished: make(chan struct{}),
	}
}

func (t *tour) catalog() catalogConfig {
	return catalogConfig{Dir: t.options.dir, Table: filepath.Join(t.scratch, "table.json")}
}

// host runs the tree under a suture.Supervisor, as a part of a larger server would: if the tree gives up, its host
// starts it again. It returns when the images are done, with -serve when ctx ends.
func (t *tour) host(ctx context.Context, root *tree.Supervisor) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	host := suture.New("tour", suture.Spec{EventHook: t.hostEvent(cancel), Timeout: root.StopLimit() + time.Second})
	host.Add(root)
	ended := host.ServeBackground(ctx)

	if root.WaitReady(ctx) == nil {
		t.up.Store(true)
		t.console.block("The tree. The index and the children of the pool are processes, the other leaves are goroutines.", root.Snapshot().String())
	}
	select {
	case <-t.batch.finished:
		t.console.block("The tree after the last image:", root.Snapshot().String())
	case <-ctx.Done():
	}
	if t.server == nil {
		cancel(nil)
	}
	err := <-ended
	switch {
	case errors.Is(context.Cause(ctx), errGaveUp):
		return errGaveUp
	case ctx.Err() != nil:
		return nil // it was asked to stop
	}
	return err
}

// hostEvent logs what the host sees. When the host has to pause between restarts of the whole tree, something is wrong
// that restarting does not help: then a plain run ends, and a server that has never been up. One that has goes on: it
// may be its disk that is full, and somebody may come and make room.
func (t *tour) hostEvent(cancel context.CancelCauseFunc) suture.EventHook {
	log := tree.EventHook(t.console.Logger)
	return func(e suture.Event) {
		log(e)
		if e.Type() == suture.EventTypeBackoff && (t.server == nil || !t.up.Load()) {
			cancel(errGaveUp)
		}
	}
}

var errGaveUp = errors.New("the tree gave up again and again; the log above says why")
