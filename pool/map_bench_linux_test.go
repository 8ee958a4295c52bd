package pool_test

import (
	"context"
	"sync"
	"testing"

	"github.com/verdigris-go/verdigris/pool"
)

// 10,000 small calls: through Map, and by the loop that one would write by hand.
func BenchmarkMap(b *testing.B) {
	const n = 10_000
	p := pool.New(pool.Config{Size: 2, MinReady: 2})
	ctx, stop := context.WithCancel(context.Background())
	ready, served := make(chan struct{}), make(chan error, 1)
	go func() { served <- p.ServeReady(ctx, func() { close(ready) }) }()
	<-ready
	defer func() { stop(); <-served }()
	for _, completed := range []bool{false, true} {
		b.Run(map[bool]string{false: "ordered", true: "completed"}[completed], func(b *testing.B) {
			for b.Loop() {
				for _, err := range pool.Map(ctx, p, double, (&upTo{n: n}).all(), pool.MapConfig{AsCompleted: completed}) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
	b.Run("by hand", func(b *testing.B) {
		for b.Loop() {
			results := make([]int, n)
			places := make(chan struct{}, p.Width())
			var calls sync.WaitGroup
			for i := range n {
				places <- struct{}{}
				calls.Go(func() {
					defer func() { <-places }()
					out, err := double.Call(ctx, p, i)
					if err != nil {
						b.Error(err)
					}
					results[i] = out
				})
			}
			calls.Wait()
		}
	})
}
