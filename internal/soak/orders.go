//go:build linux

package main

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/soak/ledger"
	"github.com/verdigris-go/verdigris/pool"
)

// byPoolOwner are the faults that come from what is ordered of a pool while calls run.
func byPoolOwner() []*kind {
	order := func(name string, f func(s *soak, k *strike) error) *kind {
		return &kind{name: name, gentle: true, lanes: func(l *lane) bool { return l.pool != nil }, strike: f}
	}
	rarely := func(k *kind) *kind { k.rare = true; return k }
	harsh := func(k *kind) *kind { k.gentle = false; return k }
	ordered := func(k *kind) *kind { k.gentle, k.ordered = false, true; return k }
	return []*kind{
		order("pool-resized", resize),
		order("pool-replaced", func(_ *soak, k *strike) error {
			return patiently(k.lane.pool.Replace)
		}),
		order("pool-replaced-with", replaceWith),
		rarely(order("pool-replaced-badly", replaceBadly)),
		order("pool-paused", func(_ *soak, k *strike) error {
			k.lane.pool.Pause()
			defer k.lane.pool.Resume()
			time.Sleep(time.Duration(k.rnd.Int64N(int64(5 * time.Millisecond))))
			return nil
		}),
		order("pool-drained", func(_ *soak, k *strike) error {
			defer k.lane.pool.Resume()
			return patiently(k.lane.pool.Drain)
		}),
		rarely(ordered(order("pool-stopped", restartBranch))),
		harsh(order("pool-all-killed", killAll)),
	}
}

// patiently gives an order, and waits for it no longer than a moment. What another
// order stands in the way of is ordered again.
func patiently(order func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	err := order(ctx)
	_, unable := errors.AsType[*child.StartError](err)        // there are other faults
	_, stopped := errors.AsType[*child.UnavailableError](err) // at the moment
	switch {
	case errors.Is(err, context.DeadlineExceeded), unable:
		return nil
	case errors.Is(err, pool.ErrReplacing), stopped:
		return errAgain
	}
	return err
}

// resize changes the size, and back.
func resize(_ *soak, k *strike) error {
	p := k.lane.pool
	err := patiently(func(ctx context.Context) error { return p.Resize(ctx, 1+k.rnd.IntN(k.lane.most)) })
	if err := patiently(func(ctx context.Context) error { return p.Resize(ctx, k.lane.size) }); err != nil && !errors.Is(err, errAgain) {
		return err
	}
	return err
}

// replaceWith replaces all workers by another edition, and writes down when that is done.
func replaceWith(s *soak, k *strike) error {
	h := k.lane.home
	h.Edition = int(k.lane.edition.Add(1))
	done := false
	err := patiently(func(ctx context.Context) error {
		err := k.lane.pool.ReplaceWith(ctx, workers.With(h))
		done = err == nil
		return err
	})
	if done {
		s.write(ledger.Line{Event: ledger.Replaced, Lane: k.lane.name, Edition: h.Edition, At: int(time.Now().UnixNano())})
	}
	return err
}

// replaceBadly replaces workers by such as cannot start.
func replaceBadly(s *soak, k *strike) error {
	s.ordering.Lock()
	defer s.ordering.Unlock()
	if err := giveOrder(s.dir, k.lane.name, k.fault.index, "error"); err != nil {
		return err
	}
	for since := time.Now(); time.Since(since) < worthwhile; {
		if err := patiently(k.lane.pool.Replace); err != nil && !errors.Is(err, errAgain) {
			return err
		}
		if s.awaits(k.fault.index, 5*time.Millisecond) {
			return nil
		}
	}
	return errors.New("no worker was started")
}

// killAll kills all workers of a pool at once.
func killAll(s *soak, k *strike) error {
	err := errAgain
	for _, w := range k.lane.stats() {
		if s.signal(w.PID, syscall.SIGKILL) == nil {
			err = nil
		}
	}
	return err
}
