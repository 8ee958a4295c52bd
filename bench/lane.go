//go:build linux

package main

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"time"

	"github.com/verdigris-go/verdigris/bench/measure"
	"github.com/verdigris-go/verdigris/bench/peer"
	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
	"github.com/verdigris-go/verdigris/strategy"
)

// patience bounds every wait for something that should come at once.
const patience = time.Minute

// lane is somebody who takes calls, as a user of the library has one: served,
// ready, with all that watches over it at its defaults.
type lane struct {
	child.Caller
	pids  func() []int
	close func() error
}

type service interface {
	child.Caller
	ServeReady(context.Context, func()) error
}

// serveLane serves s until the lane is closed.
func serveLane(s service, pids func() []int) (*lane, error) {
	ctx, stop := context.WithCancel(context.Background())
	up, end := make(chan struct{}), make(chan error, 1)
	go func() { end <- s.ServeReady(ctx, func() { close(up) }) }()
	l := &lane{s, pids, func() error { stop(); return <-end }}
	select {
	case <-up:
		return l, nil
	case err := <-end:
		stop()
		return nil, errors.Join(errors.New("it ended before it was ready"), err)
	}
}

// quiet is a worker's configuration: the default, without a word on the terminal.
func quiet() child.Config {
	return child.Config{Name: "bench", Logger: slog.New(slog.DiscardHandler), StartTimeout: patience}
}

func oneChild(cfg child.Config) (*lane, error) {
	p := child.New(cfg)
	return serveLane(p, func() []int { return []int{p.Stats().PID} })
}

// plenty is an intensity that no row exceeds.
var plenty = strategy.Intensity{Restarts: 1 << 30, Period: time.Second}

func poolLane(cfg pool.Config) (*lane, *pool.Pool, error) {
	cfg.Intensity, cfg.MinReady = plenty, cfg.Size
	p := pool.New(cfg)
	l, err := serveLane(p, func() (pids []int) {
		for _, w := range p.Stats().Workers {
			pids = append(pids, w.PID)
		}
		return pids
	})
	return l, p, err
}

// onePool is a pool of so many workers that get calls sent ahead.
func onePool(size, ahead int, worker child.Config) (*lane, error) {
	l, _, err := poolLane(pool.Config{Size: size, Ahead: ahead, Worker: worker})
	return l, err
}

// pair are the two ways to a worker that most rows compare: a child, and a pool of
// one.
type pair struct{ proc, pool *lane }

func newPair(worker child.Config) (p pair, err error) {
	if p.proc, err = oneChild(worker); err != nil {
		return pair{}, err
	}
	if p.pool, err = onePool(1, 0, worker); err != nil {
		return pair{}, errors.Join(err, p.proc.close())
	}
	return p, nil
}

// sides are both, each with one caller.
func (p pair) sides(e effort, size int) []side {
	echo := echoes(size)
	return []side{
		{"child", func() (measure.Sample, error) { return p.proc.calls(e.turn, echo) }},
		{"pool", func() (measure.Sample, error) { return p.pool.calls(e.turn, echo) }},
	}
}

func (p pair) close() error { return errors.Join(p.pool.close(), p.proc.close()) }

// sparePool is a pool of one worker that has a spare.
func sparePool(cfg child.Config) (*lane, *pool.Pool, error) {
	l, p, err := poolLane(pool.Config{Size: 1, Spares: 1, Worker: cfg})
	if err != nil {
		return nil, nil, err
	}
	if err := awaitSpare(p); err != nil {
		return nil, nil, errors.Join(err, l.close())
	}
	return l, p, nil
}

// awaitSpare waits until a pool of one and its spare are complete.
func awaitSpare(p *pool.Pool) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if s := p.Stats(); s.Up == 1 && s.Spares == 1 && s.Leaving == 0 && s.Busy == 0 {
			return nil
		}
	}
	return errors.New("the pool's spare has not come up")
}

// callContext is what a request handler has: a context with a deadline.
func callContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// switchOn sets a field of a configuration that this version need not have, and
// reports whether it does.
func switchOn(cfg any, field string) bool {
	f := reflect.ValueOf(cfg).Elem().FieldByName(field)
	if !f.IsValid() || f.Kind() != reflect.Bool {
		return false
	}
	f.SetBool(true)
	return true
}

// call is one call of a kind, checked.
type call func(ctx context.Context, c child.Caller) error

func echoes(size int) call {
	in := make([]byte, size)
	for i := range in {
		in[i] = byte(i)
	}
	return func(ctx context.Context, c child.Caller) error {
		out, err := echo.Call(ctx, c, in)
		if err == nil && (len(out) != size || out[size-1] != in[size-1]) {
			err = errors.New("the answer is not what was sent")
		}
		return err
	}
}

func mirrors(ctx context.Context, c child.Caller) error {
	out, err := mirror.Call(ctx, c, peer.Example)
	if err == nil && out != peer.Example {
		err = errors.New("the answer is not what was sent")
	}
	return err
}

// calls makes calls one after the other.
func (l *lane) calls(long measure.Pace, c call) (measure.Sample, error) {
	ctx, cancel := callContext()
	defer cancel()
	return measure.Timed(long, l.pids(), func() error { return c(ctx, l) })
}

// pausing makes n calls with a pause before each.
func pausing(n int, pause time.Duration, operation func() error) (s measure.Sample, err error) {
	for range n {
		time.Sleep(pause)
		begin := time.Now()
		if err := operation(); err != nil {
			return s, err
		}
		s.Took = append(s.Took, time.Since(begin))
	}
	return s, nil
}
