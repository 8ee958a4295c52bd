//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/soak/ledger"
)

// board is where workers ask the parent to make calls for them.
type board struct {
	soak *soak
	at   net.Listener
	live sync.WaitGroup
}

// plea is what a worker asks for: an attempt of the call that it runs.
type plea struct {
	Meta map[string]string
	Call int
}

func boardIn(dir string) string { return filepath.Join(dir, "board") }

func openBoard(s *soak) (*board, error) {
	l, err := net.Listen("unix", boardIn(s.dir))
	if err != nil {
		return nil, err
	}
	b := &board{soak: s, at: l}
	b.live.Go(b.serve)
	return b, nil
}

func (b *board) close() {
	_ = b.at.Close()
	b.live.Wait()
}

func (b *board) serve() {
	for {
		conn, err := b.at.Accept()
		if err == nil {
			b.live.Go(func() { b.hear(conn) })
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		time.Sleep(time.Millisecond) // no descriptors, see useUpParent
	}
}

// patienceInside is how long a call from inside may take: it must not wait for a worker.
const patienceInside = 8 * time.Second

func (b *board) hear(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(worthwhile))
	var p plea
	if json.NewDecoder(conn).Decode(&p) != nil {
		return // the worker has died
	}
	got := ledger.Outcome("over")
	if c, ok := b.soak.callers.Load(p.Call); ok {
		c := c.(*call)
		c.visit(func() {
			a := c.try()
			a.inside = true
			a.ctx, a.cancel = context.WithTimeout(child.WithAllMeta(a.ctx, p.Meta), patienceInside)
			got = a.make()
		})
	}
	_ = json.NewEncoder(conn).Encode(got)
}

// callBack has the parent make a call, in the worker.
func (x *execution) callBack() error {
	conn, err := net.Dial("unix", boardIn(x.home.Dir))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := json.NewEncoder(conn).Encode(plea{child.AllMeta(x.ctx), x.job.Call}); err != nil {
		return err
	}
	var got ledger.Outcome
	if err := json.NewDecoder(conn).Decode(&got); err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	return nil
}
