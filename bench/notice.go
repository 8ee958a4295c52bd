//go:build linux

package main

import (
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/bench/measure"
)

// The baseline "notice": from kill(2) until the kernel tells the parent, by a
// pidfd, that a child is dead which sends back what it reads. A small one is cat(1).
func notices(n int, echoing func() *exec.Cmd) (s measure.Sample, err error) {
	return measure.Repeat(n, func() (time.Duration, error) { return notice(echoing()) })
}

func cat() *exec.Cmd { return exec.Command("cat") }

// large is this program, without the library: what the kernel has to take away
// when a worker dies is no less.
func large() *exec.Cmd { return self("echo") }

func notice(cmd *exec.Cmd) (took time.Duration, err error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	p, err := startPartner(cmd)
	if err != nil {
		return 0, err
	}
	defer p.end()
	hello := []byte("x")
	if _, err = p.in.Write(hello); err == nil {
		_, err = io.ReadFull(out, hello) // it is up
	}
	if err != nil {
		return 0, err
	}
	fd, err := unix.PidfdOpen(p.pid(), 0)
	if err != nil {
		return 0, fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(fd)
	time.Sleep(time.Millisecond) // until it sleeps again

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := measure.Monotonic()
	if err := unix.Kill(p.pid(), unix.SIGKILL); err != nil {
		return 0, err
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if n == 1 {
			return measure.Monotonic() - begin, nil
		}
		if err != nil && err != unix.EINTR {
			return 0, err
		}
	}
}
