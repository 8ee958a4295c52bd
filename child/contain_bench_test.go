//go:build linux

package child_test

import (
	"context"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// From Serve to ready, and from SIGKILL to the end of Serve, in each way to hold
// what a worker starts. The medians are reported.
func BenchmarkContain(b *testing.B) {
	for _, c := range containments(b) {
		b.Run(c.String(), func(b *testing.B) {
			var starts, ends []time.Duration
			for b.Loop() {
				p, up, done := child.New(child.Config{Contain: c}), make(chan struct{}), make(chan struct{})
				began := time.Now()
				go func() {
					defer close(done)
					_ = p.ServeReady(context.Background(), func() { close(up) })
				}()
				<-up
				starts = append(starts, time.Since(began))
				began = time.Now()
				must(b, syscall.Kill(p.Stats().PID, syscall.SIGKILL))
				<-done
				ends = append(ends, time.Since(began))
			}
			b.ReportMetric(float64(median(starts).Microseconds()), "µs-to-ready")
			b.ReportMetric(float64(median(ends).Microseconds()), "µs-to-end")
		})
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
