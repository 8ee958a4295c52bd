//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/verdigris-go/verdigris/internal/soak/check"
)

const (
	progressEvery = 10 * time.Second
	stuckAfter    = 60 * time.Second // without an outcome, a strike or a step of the end
	tooLong       = 2 * worthwhile   // for one call, with all its attempts
)

// watch tells how far the soak is, and ends the program when nothing moves.
func (s *soak) watch(done <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last, since, told := s.moved.Load(), time.Now(), time.Now()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		if n := s.moved.Load(); n != last {
			last, since = n, time.Now()
		} else if time.Since(since) > stuckAfter {
			s.stuck(fmt.Sprintf("nothing has moved for %v", stuckAfter))
		}
		if oldest := s.oldest(); oldest > tooLong {
			s.stuck(fmt.Sprintf("a call has been going on for %v", oldest))
		}
		if time.Since(told) >= progressEvery {
			told = time.Now()
			fmt.Fprintf(s.stderr, "soak: %v: %d of %d calls, %d attempts and strikes, %d strikes to do, %d log records\n",
				time.Since(s.began).Round(time.Second), min(s.next.Load(), int64(s.opts.calls)), s.opts.calls, last, len(s.strikes), s.lanes.logs.records.Load())
		}
	}
}

// oldest is for how long the oldest call has been going on.
func (s *soak) oldest() (age time.Duration) {
	for n := range s.open {
		if began := s.open[n].Load(); began > 0 {
			age = max(age, time.Since(s.began)-time.Duration(began))
		}
	}
	return age
}

// stuck prints where everything stands, ends the workers and the program.
func (s *soak) stuck(why string) {
	buf := make([]byte, 16<<20)
	fmt.Fprintf(s.stderr, "soak: %s\n\n%s\n", why, buf[:runtime.Stack(buf, true)])
	for _, pid := range check.Bearers(s.nonce) {
		for _, name := range []string{"status", "stack", "wchan"} {
			text, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), name))
			fmt.Fprintf(s.stderr, "--- process %d, %s (%v)\n%s\n", pid, name, err, text)
		}
	}
	if v, err := check.Ledgers(s.dir, s.opts.calls); err == nil { // as far as it has come
		for _, text := range v.Faulty {
			fmt.Fprintln(s.stderr, "soak:", text)
		}
		fmt.Fprintln(s.stderr, v.Line(0))
	}
	s.sweep()
	fmt.Fprintln(s.stderr, "soak: the ledgers are in", s.dir)
	os.Exit(1)
}

// sweep kills whatever the library has left alive.
func (s *soak) sweep() {
	for _, pid := range check.Bearers(s.nonce) {
		_ = s.signal(pid, syscall.SIGKILL) // a process that has ended meanwhile is as good
	}
}
