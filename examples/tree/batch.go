package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// batch is the last stage of a plain run: it takes every image of the index through the stages before it. When it is
// started again it goes on with what has no verdict yet; when nothing is left it ends, and is not started again.
type batch struct {
	index    child.Caller
	decoders child.Caller
	writer   *writer
	ledger   *ledger
	size     int
	parallel int
	chaos    func(ctx context.Context, settled, of int) // called after each verdict
	console  *console
	once     sync.Once
	finished chan struct{} // closed when every image has its verdict
}

// String is the name suture and the log know the batch by.
func (b *batch) String() string { return "batch" }

// errUnsettled ends a batch that has tried everything and must try some of it again.
var errUnsettled = errors.New("some images have no verdict yet")

// Serve returns nil when every image has a verdict, or when it was asked to stop.
func (b *batch) Serve(ctx context.Context) error {
	names, err := list.Call(ctx, b.index, struct{}{})
	if err != nil {
		return err
	}
	b.ledger.expect(names)
	var calls sync.WaitGroup
	places := make(chan struct{}, b.parallel)
	for number, name := range names {
		if !b.ledger.todo(name) || ctx.Err() != nil {
			continue
		}
		places <- struct{}{}
		calls.Go(func() {
			defer func() { <-places }()
			b.image(ctx, number, name)
		})
	}
	calls.Wait()
	switch {
	case ctx.Err() != nil:
		return nil
	case !b.ledger.complete():
		return errUnsettled
	}
	b.once.Do(func() { close(b.finished) })
	return nil
}

// image takes one image through. What a call's end does not tell about the image is tried again by the next Serve.
func (b *batch) image(ctx context.Context, number int, name string) {
	thumb, err := b.decode(ctx, number, name)
	if err == nil {
		err = b.writer.put(ctx, name, thumb.PNG)
	}
	v := judge(err)
	b.console.report(name, thumb, v, err)
	if v.final() {
		settled, of := b.ledger.note(name, v)
		b.chaos(ctx, settled, of)
	}
}

// decode calls a decoder, and another one when the first was killed by somebody else or had no time.
func (b *batch) decode(ctx context.Context, number int, name string) (thumb Thumb, err error) {
	for attempt := range 5 {
		thumb, err = thumbnailOf.Call(child.WithKey(ctx, name), b.decoders, Job{number, b.size})
		if judge(err) != innocent {
			break
		}
		b.console.Info("no verdict, trying again", "image", name, "error", err.Error())
		select {
		case <-time.After(time.Duration(attempt+1) * 100 * time.Millisecond):
		case <-ctx.Done():
			return thumb, ctx.Err()
		}
	}
	return thumb, err
}
