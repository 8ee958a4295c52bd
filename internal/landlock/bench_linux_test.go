package landlock

import (
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// worker does f on a thread of its own, free or restricted, each time it is
// asked, and says how long that took.
func worker(b *testing.B, p *Policy, f func() error) func() time.Duration {
	ask, took, ready := make(chan struct{}), make(chan time.Duration), make(chan error)
	go func() {
		runtime.LockOSThread()
		var err error
		if p != nil {
			err = restrict(*p)
		}
		ready <- err
		for range ask {
			start := time.Now()
			if err := f(); err != nil {
				b.Error(err)
			}
			took <- time.Since(start)
		}
	}()
	must(b, <-ready)
	b.Cleanup(func() { close(ask) })
	return func() time.Duration {
		ask <- struct{}{}
		return <-took
	}
}

func compare(b *testing.B, p Policy, f func() error) {
	kernel(b)
	free, restricted := worker(b, nil, f), worker(b, &p, f)
	var without, with time.Duration
	for b.Loop() {
		without += free()
		with += restricted()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(without.Nanoseconds())/float64(b.N), "ns/free")
	b.ReportMetric(float64(with.Nanoseconds())/float64(b.N), "ns/restricted")
	b.ReportMetric(float64(with)/float64(without), "ratio")
}

// Opening and closing a file, 100 times.
func BenchmarkOpen(b *testing.B) {
	p := closed()
	p.Paths = append(p.Paths, Path{Name: "/etc", Allow: ReadFile})
	compare(b, p, func() error {
		for range 100 {
			fd, err := unix.Open(secret, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			unix.Close(fd)
		}
		return nil
	})
}

// The life of a process that does nothing.
func BenchmarkStart(b *testing.B) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	must(b, err)
	defer null.Close()
	compare(b, closed(), func() error {
		cmd := self(bg, os.Getuid(), "nothing")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = null, null, null
		return cmd.Run()
	})
}

// Opening a ruleset and restricting a thread by it, which then ends.
func BenchmarkRestrict(b *testing.B) {
	kernel(b)
	for b.Loop() {
		done := make(chan error)
		go func() { done <- restrict(closed()) }()
		must(b, <-done)
	}
}
