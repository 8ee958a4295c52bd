//go:build linux

package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
)

// A role is what this program does when it is started again as something that is
// not a worker of the library: the other end of a baseline, or a burner. All
// roles end when their standard input does.
const roleVariable = "VERDIGRIS_BENCH_ROLE"

var roles = map[string]func(args []string){
	"pipe":   rawPartner,
	"gopipe": goPartner,
	"burn":   burn,
	"idle":   idle,
	"echo":   func([]string) { _, _ = io.Copy(os.Stdout, os.Stdin) },
	"floor":  func([]string) { _, _ = os.Stdout.WriteString("x") },
}

func playRole() {
	words := strings.Fields(os.Getenv(roleVariable))
	if len(words) == 0 {
		return
	}
	if role := roles[words[0]]; role != nil {
		role(words[1:])
	}
	os.Exit(0)
}

// self is a command that starts this program in a role.
func self(role ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{roleVariable + "=" + strings.Join(role, " "), "GORACE=atexit_sleep_ms=0"}
	cmd.Stderr = os.Stderr
	return cmd
}

// idle waits for the end of its input.
func idle([]string) { _, _ = os.Stdin.Read(make([]byte, 1)) }

// partner is a process in a role.
type partner struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

func startPartner(cmd *exec.Cmd) (*partner, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &partner{cmd, in}, nil
}

func (p *partner) pid() int { return p.cmd.Process.Pid }

// end ends it and waits for it.
func (p *partner) end() {
	_ = p.in.Close()
	_ = p.cmd.Process.Kill() // also if it has ended already
	_ = p.cmd.Wait()         // killed, as it should be
}

// partners are several that end together.
type partners []*partner

func startPartners(n int, role ...string) (partners, error) {
	var all partners
	for range n {
		p, err := startPartner(self(role...))
		if err != nil {
			all.end()
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func (all partners) end() {
	for _, p := range all {
		p.end()
	}
}

func (all partners) pids() (pids []int) {
	for _, p := range all {
		pids = append(pids, p.pid())
	}
	return pids
}

// endAll closes what has been opened, in reverse order.
func endAll(ends []func() error) (err error) {
	for i := len(ends) - 1; i >= 0; i-- {
		err = errors.Join(err, ends[i]())
	}
	return err
}
