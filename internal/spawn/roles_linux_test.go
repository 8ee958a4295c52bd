package spawn

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// report is what a worker sees of itself.
type report struct {
	Argv  []string
	Env   []string
	Dir   string
	Group int
	PID   int
	Comm  string
	FDs   map[int]string // those inherited
}

// playReport writes a report to descriptor 3, closes it, and stays until the
// end of descriptor 4.
func playReport() {
	if err := SetName("a name that is longer"); err != nil {
		panic(err)
	}
	out, in := os.NewFile(3, "out"), os.NewFile(4, "in")
	dir, _ := os.Getwd()
	comm, _ := os.ReadFile("/proc/self/comm")
	err := json.NewEncoder(out).Encode(report{
		Argv: os.Args, Env: os.Environ(), Dir: dir, Group: syscall.Getpgrp(), PID: os.Getpid(),
		Comm: strings.TrimSpace(string(comm)), FDs: inheritable(nil),
	})
	if err != nil {
		panic(err)
	}
	out.Close()
	io.Copy(io.Discard, in)
}

// playParent starts a worker that holds descriptor 3, says so there, and waits
// to be killed.
func playParent() {
	out := os.NewFile(3, "out")
	p, err := Start(shell("echo ready >&3; exec sleep 1000", out))
	if err != nil {
		panic(err)
	}
	<-p.Done()
}

// playStorm starts workers that hold descriptor 3 until it is killed.
func playStorm() {
	out := os.NewFile(3, "out")
	fmt.Fprintln(out, "ready")
	for {
		if _, err := Start(shell("exec sleep 1000", out)); err != nil {
			panic(err)
		}
	}
}

// playReplace starts this very program after its file has been deleted, and
// after another one has taken its place.
func playReplace() {
	out := os.NewFile(3, "out")
	path := os.Args[1]
	try := func() {
		p, err := Start(Command{Argv: []string{"w"}, Env: roleEnv("seven")})
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(out, p.State())
	}
	if err := os.Remove(path); err != nil {
		panic(err)
	}
	try()
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexit 99\n"), 0o755); err != nil {
		panic(err)
	}
	try()
	id, err := BuildID()
	fmt.Fprintln(out, id, err)
}

// playIgnore lets the kernel reap: every exit status is lost.
func playIgnore() {
	out := os.NewFile(3, "out")
	signal.Ignore(syscall.SIGCHLD)
	p, err := Start(shell("sleep 1000 & exit 3", out))
	if err != nil {
		panic(err)
	}
	<-p.Done()
	fmt.Fprintln(out, p.State(), p.Signal(0), p.SignalGroup(0))
}

// playSteal starts workers while another part of the program reaps them all.
func playSteal() {
	out := os.NewFile(3, "out")
	quit := make(chan struct{})
	var stealer sync.WaitGroup
	stealer.Go(func() {
		for {
			select {
			case <-quit:
				return
			default:
				syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
				runtime.Gosched()
			}
		}
	})
	kinds := map[Kind]int{}
	for range 100 {
		p, err := Start(shell("exit 3"))
		if err != nil {
			panic(err)
		}
		kinds[p.State().Kind]++
	}
	close(quit)
	stealer.Wait()
	fmt.Fprintln(out, kinds[Unknown]+kinds[Exited], kinds[Signaled])
}

// playSqueeze starts workers with fewer and fewer free descriptors, and tells
// how many are enough.
func playSqueeze() {
	out := os.NewFile(3, "out")
	exe, err := os.Open("/bin/true")
	if err != nil {
		panic(err)
	}
	if err := Hold(); err != nil {
		panic(err)
	}
	fds(nil) // the runtime's own descriptors are open from here on
	for free := range 16 {
		err := squeezed(free, func() error {
			p, err := Start(Command{Exe: exe, Argv: []string{"true"}})
			if err == nil {
				<-p.Done()
			}
			return err
		})
		var e *Error
		switch {
		case err == nil:
			fmt.Fprintln(out, free, "ok")
		case errors.As(err, &e) && e.Shortage():
			fmt.Fprintln(out, free, "shortage")
		default:
			fmt.Fprintln(out, free, err)
		}
	}
}

// squeezed runs f with so many free descriptors, and adds a complaint to its
// error if it leaves more or fewer behind.
func squeezed(free int, f func() error) error {
	top := 0
	before := fds(nil)
	for fd := range before {
		top = max(top, fd)
	}
	var old syscall.Rlimit
	syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old)
	fill, _ := os.Open("/dev/null")
	var filled []int
	for next := 0; next < top; {
		next, _ = syscall.Dup(int(fill.Fd()))
		filled = append(filled, next)
	}
	last := filled[len(filled)-1]
	syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(last + 1 + free), Max: old.Max})
	err := f()
	syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old)
	for _, fd := range filled {
		syscall.Close(fd)
	}
	fill.Close()
	if after := fds(nil); len(after) != len(before) {
		err = fmt.Errorf("descriptors %v -> %v after %v", before, after, err)
	}
	return err
}

// shell is sh for a program that plays a part; its file stays open.
func shell(script string, files ...*os.File) Command {
	exe, err := os.Open("/bin/sh")
	if err != nil {
		panic(err)
	}
	return Command{Exe: exe, Argv: []string{"sh", "-c", script}, Files: files}
}

// playDesert joins the group of the tests.
func playDesert() {
	out := os.NewFile(3, "out")
	group, err := syscall.Getpgid(os.Getppid())
	if err != nil {
		panic(err)
	}
	if err := syscall.Setpgid(0, group); err != nil {
		panic(err)
	}
	fmt.Fprintln(out, "in group", syscall.Getpgrp())
	out.Close()
	time.Sleep(limit) // a signal comes first
}
