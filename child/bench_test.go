package child_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// The baseline: a process of this binary that echoes 16 bytes from stdin to
// stdout, as somebody would write it by hand. It has no frames, no types, no
// deadlines and nobody notices its death.
const echoMarker = "VERDIGRIS_TEST_ECHO"

func init() {
	if os.Getenv(echoMarker) == "" {
		return
	}
	buf := make([]byte, 16)
	for {
		if _, err := io.ReadFull(os.Stdin, buf); err != nil {
			os.Exit(0)
		}
		os.Stdout.Write(buf)
	}
}

type point struct {
	X, Y int
	Name string
}

var (
	echo  = child.Define("bench.echo", func(_ context.Context, b []byte) ([]byte, error) { return b, nil })
	mirro = child.Define("bench.point", func(_ context.Context, p point) (point, error) { return p, nil })
	die   = child.Define("bench.die", func(context.Context, bool) (bool, error) { os.Exit(1); return false, nil })
)

func served(b *testing.B, cfg child.Config) *child.Process {
	b.Helper()
	p := child.New(cfg)
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	up := make(chan struct{})
	var once sync.Once
	done.Go(func() {
		for ctx.Err() == nil {
			_ = p.ServeReady(ctx, func() { once.Do(func() { close(up) }) })
		}
	})
	b.Cleanup(func() { stop(); done.Wait() })
	<-up
	return p
}

func BenchmarkBaselinePipe16B(b *testing.B) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), echoMarker+"=1")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	buf := make([]byte, 16)
	for b.Loop() {
		in.Write(buf)
		if _, err := io.ReadFull(out, buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	p := served(b, child.Config{})
	for _, size := range []struct {
		name  string
		bytes int
	}{{"16B", 16}, {"1KiB", 1 << 10}, {"64KiB", 64 << 10}, {"1MiB", 1 << 20}, {"16MiB", 16 << 20}} {
		b.Run(size.name, func(b *testing.B) {
			in := make([]byte, size.bytes)
			b.SetBytes(int64(2 * size.bytes))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := echo.Call(b.Context(), p, in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("struct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := mirro.Call(b.Context(), p, point{1, 2, "three"}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkStream is what an item costs, and how many of them come in the time of
// one call that brings as much.
func BenchmarkStream(b *testing.B) {
	p := served(b, child.Config{})
	for _, size := range []struct {
		name  string
		bytes int
	}{{"16B", 16}, {"1KiB", 1 << 10}, {"64KiB", 64 << 10}} {
		b.Run(size.name, func(b *testing.B) {
			b.SetBytes(int64(size.bytes))
			b.ReportAllocs()
			n := 0
			for item, err := range flows.Call(b.Context(), p, flow{N: b.N, Size: size.bytes}) {
				if n++; err != nil || len(item) != size.bytes {
					b.Fatal(err)
				}
			}
			streaming := b.Elapsed()
			b.StopTimer()
			calls, began := max(b.N/10, 1), time.Now()
			for range calls {
				if _, err := echo.Call(b.Context(), p, make([]byte, size.bytes)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(time.Since(began))/float64(calls)*float64(b.N)/float64(streaming), "items/call")
		})
	}
}

// BenchmarkCallKept shows what it costs to keep inputs for Config.Replay: a copy of each.
func BenchmarkCallKept(b *testing.B) {
	p := served(b, child.Config{Replay: child.ReplayFiles{Dir: filepath.Join(b.TempDir(), "kept")}})
	for _, size := range []struct {
		name  string
		bytes int
	}{{"16B", 16}, {"64KiB", 64 << 10}, {"1MiB", 1 << 20}} {
		b.Run(size.name, func(b *testing.B) {
			in := make([]byte, size.bytes)
			b.SetBytes(int64(2 * size.bytes))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := echo.Call(b.Context(), p, in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCallers is many callers on one worker that runs one call at a time.
func BenchmarkCallers(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(map[int]string{1: "1", 64: "64"}[callers], func(b *testing.B) {
			p := served(b, child.Config{})
			b.SetParallelism(callers) // times GOMAXPROCS
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := mirro.Call(context.Background(), p, point{1, 2, "three"}); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

// BenchmarkOnce is start, one call and orderly end; BenchmarkBaselineExec is
// what the kernel and the Go runtime need for a process that does nothing.
func BenchmarkOnce(b *testing.B) {
	for b.Loop() {
		if _, err := child.Once(b.Context(), child.Config{}, echo, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBaselineExec(b *testing.B) {
	for b.Loop() {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), echoMarker+"=1") // stdin is /dev/null: it ends at once
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCrashToAnswer is a call that kills the worker, until the next call is answered by its successor.
func BenchmarkCrashToAnswer(b *testing.B) {
	p := served(b, child.Config{})
	for b.Loop() {
		if _, err := die.Call(b.Context(), p, true); err == nil {
			b.Fatal("the worker lives")
		}
		if _, err := echo.Call(b.Context(), p, nil); err != nil {
			b.Fatal(err)
		}
	}
}
