package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
	"github.com/verdigris-go/verdigris/tree"
)

// batch is one run of the program.
type batch struct {
	options
	journal *journal
	tally   *tally
	screen  *screen
}

// thumbnails does everything, and returns the exit status. An error is why it could not.
func thumbnails(ctx context.Context, o options, stdout *os.File) (int, error) {
	if err := os.MkdirAll(o.out, 0o777); err != nil {
		return 0, err
	}
	journal, err := openJournal(filepath.Join(o.out, "journal"))
	if err != nil {
		return 0, err
	}
	defer journal.close()
	t := &tally{counts: counts{began: time.Now()}}
	b := &batch{o, journal, t, newScreen(stdout, func() progress { return t.now().progress(time.Now()) })}
	todo, err := b.todo()
	if err != nil {
		return 0, err
	}
	if len(todo) > 0 {
		err = b.run(ctx, todo)
	}
	_, _ = b.screen.Write([]byte(b.tally.now().summary(o.dir, time.Now())))
	return b.status(err)
}

func (b *batch) status(err error) (int, error) {
	if _, ok := errors.AsType[*pool.CutOffError](err); ok {
		return interrupted, nil
	}
	if c := b.tally.now(); c.failed()+c.failedBefore > 0 {
		return someFailed, err
	}
	return allDone, err
}

// todo lists what this run has to do.
func (b *batch) todo() (todo []File, err error) {
	files, err := scan(b.dir, b.out, func(path string, err error) {
		b.screen.say("%s: cannot be read: %v", path, err)
		b.tally.change(func(c *counts) { c.files++ })
		b.tally.fail("cannot be read")
	})
	for _, f := range files {
		r, known := b.journal.of(f, b.side)
		switch {
		case !known, r.Failed == "" && !b.hasThumb(f), r.Failed != "" && b.again:
			todo = append(todo, f)
		case r.Failed != "":
			b.tally.change(func(c *counts) { c.failedBefore++ })
		default:
			b.tally.change(func(c *counts) { c.before++ })
		}
	}
	b.tally.change(func(c *counts) { c.files += len(files) })
	return todo, err
}

// decoders is how the fragile part runs.
func (b *batch) decoders() *pool.Pool {
	log := slog.New(slog.DiscardHandler) // a dying worker prints much, and its CrashError has it too
	if b.verbose {
		log = slog.New(slog.NewTextHandler(b.screen, nil))
	}
	return pool.New(pool.Config{
		Name: "decoders",
		Size: b.workers,
		// One that is killed by somebody else is tried again; one that kills by itself is not tried for ever.
		Retry:      pool.Retry{Attempts: 3},
		Quarantine: pool.Quarantine{Deaths: 2, By: pool.ByUserKey},
		Events:     b.event,
		Worker: child.Config{
			Name:        "decoder",
			CallTimeout: b.deadline,
			Grace:       200 * time.Millisecond,
			Memory:      int64(b.memory) << 20,
			Stop:        child.Stop{Drain: time.Second}, // for Ctrl-C: what is not done by then is done by the next run
			Logger:      log,
		},
	})
}

func (b *batch) event(e pool.Event) {
	if died, ok := e.(pool.EventDied); ok && !errors.Is(died.Crash, child.StopTimeout) { // that is our own end
		b.tally.change(func(c *counts) { c.deaths++ })
	}
	if b.verbose {
		b.screen.say("%v", e)
	}
}

// run makes the thumbnails. When ctx ends it stops in order, with a *pool.CutOffError.
func (b *batch) run(ctx context.Context, todo []File) (err error) {
	decoders := b.decoders()
	root, err := tree.New(tree.Spec{Name: "thumbnails", Children: []tree.Child{{ID: "decoders", Service: decoders}}})
	if err != nil {
		return err
	}
	// The tree is stopped after the loop, and not by ctx while calls are on their way.
	if err := errors.Join(root.Start(context.WithoutCancel(ctx)), root.WaitReady(ctx)); err != nil {
		return errors.Join(err, root.Stop(context.WithoutCancel(ctx)))
	}
	defer func() { err = errors.Join(err, root.Stop(context.WithoutCancel(ctx))) }()
	defer b.screen.watch()()
	how := pool.MapConfig{AsCompleted: true, Key: func(job any) string { return job.(Job).File.Path }}
	for thumb, err := range pool.Map(ctx, decoders, Thumbnail, b.jobs(todo), how) {
		if err == nil {
			err = b.done(thumb)
		} else if failed, ok := errors.AsType[*pool.MapError](err); ok {
			err = b.failed(failed.Input.(Job).File, judge(failed, b.options))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) jobs(files []File) iter.Seq[Job] {
	return func(yield func(Job) bool) {
		for _, f := range files {
			if !yield(Job{b.dir, f, b.side}) {
				return
			}
		}
	}
}

// done stores a thumbnail and notes it, in this order: what the journal says is so.
func (b *batch) done(t Thumb) error {
	if err := store(b.thumb(t.File), t.PNG); err != nil {
		return err
	}
	b.tally.change(func(c *counts) { c.done++; c.bytes += t.File.Size })
	return b.journal.add(record{File: t.File, Side: b.side, Hash: t.Hash, Width: t.Width, Height: t.Height})
}

// failed notes a failure, for good if it is the file's own.
func (b *batch) failed(f File, o outcome) error {
	switch o.fate {
	case cut:
		return nil
	case noWorkers:
		return errors.New(o.words)
	}
	b.tally.fail(o.class)
	b.screen.say("%s: %s", f.Path, o.words)
	if o.fate == unlucky {
		return nil
	}
	return b.journal.add(record{File: f, Side: b.side, Failed: o.words})
}

// thumb is where the thumbnail of a file belongs.
func (b *batch) thumb(f File) string {
	return filepath.Join(b.out, filepath.FromSlash(fmt.Sprintf("%s.png", f.Path)))
}

func (b *batch) hasThumb(f File) bool {
	info, err := os.Stat(b.thumb(f))
	return err == nil && info.Mode().IsRegular()
}
