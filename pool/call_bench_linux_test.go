package pool_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/pool"
)

// served runs a pool for a benchmark.
func served(b *testing.B, cfg pool.Config) *pool.Pool {
	b.Helper()
	p := pool.New(cfg)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(ctx) }()
	b.Cleanup(func() { stop(); <-ended })
	for p.Stats().Up < cfg.Size {
		time.Sleep(time.Millisecond)
	}
	return p
}

// One call after the other, through a pool: what choosing, counting and measuring
// cost is part of it.
func BenchmarkCall(b *testing.B) {
	p := served(b, pool.Config{Size: 1})
	for b.Loop() {
		if _, err := double.Call(b.Context(), p, 1); err != nil {
			b.Fatal(err)
		}
	}
}

// A look at a pool, most of which is reading the sizes of its workers from /proc.
func BenchmarkStats(b *testing.B) {
	for _, size := range []int{8, 64} {
		b.Run(fmt.Sprintf("look/%d", size), func(b *testing.B) {
			p := served(b, pool.Config{Size: size})
			for b.Loop() {
				_ = p.Stats()
			}
		})
	}
}
