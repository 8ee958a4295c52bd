//go:build linux

// Command tiny is the smallest program with a worker: child.Init and two
// functions. It shows what the library itself costs when nothing else is linked.
package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/verdigris-go/verdigris/bench/peer"
	"github.com/verdigris-go/verdigris/child"
)

var (
	echo   = child.Define("tiny.echo", func(_ context.Context, b []byte) ([]byte, error) { return b, nil })
	mirror = child.Define("tiny.mirror", func(_ context.Context, o peer.Order) (peer.Order, error) { return o, nil })
)

func main() {
	peer.PlayRole(nil) // before Init: the floor is this program without the library
	child.Init()
	peer.Main(start)
}

type worker struct {
	*child.Process
	stop context.CancelFunc
	end  chan error
}

func start(ctx context.Context) (peer.Worker, error) {
	serving, stop := context.WithCancel(context.Background())
	w := &worker{child.New(child.Config{Name: "tiny", Logger: slog.New(slog.DiscardHandler)}), stop, make(chan error, 1)}
	up := make(chan struct{})
	go func() { w.end <- w.ServeReady(serving, func() { close(up) }) }()
	select {
	case <-up:
		return w, nil
	case err := <-w.end:
		stop()
		return nil, errors.Join(errors.New("it ended before it was ready"), err)
	case <-ctx.Done():
		stop()
		return nil, errors.Join(ctx.Err(), <-w.end)
	}
}

func (w *worker) Echo(ctx context.Context, b []byte) ([]byte, error) { return echo.Call(ctx, w, b) }

func (w *worker) Mirror(ctx context.Context, o peer.Order) (peer.Order, error) {
	return mirror.Call(ctx, w, o)
}

func (w *worker) PID() int { return w.Stats().PID }

func (w *worker) Close() error { w.stop(); return <-w.end }
