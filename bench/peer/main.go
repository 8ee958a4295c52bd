//go:build linux

package peer

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/bench/measure"
)

// roleVariable tells a program that has started itself what it is.
const roleVariable = "VERDIGRIS_BENCH_PEER"

const (
	roleFloor  = "floor"
	roleBare   = "bare"
	roleWorker = "worker"
)

// PlayRole does what a program has to do that its own parent's end has started,
// and then ends it: nothing but come to its main, or serve. It returns if the
// program was started by somebody else.
func PlayRole(serve func() error) {
	switch os.Getenv(roleVariable) {
	case roleFloor:
		_, _ = os.Stdout.WriteString("x")
	case roleBare:
		_, _ = os.Stdin.Read(make([]byte, 1))
	case roleWorker:
		go endWithParent()
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, os.Args, err)
			os.Exit(1)
		}
	default:
		return
	}
	os.Exit(0)
}

// endWithParent is for those peers that do not see to it themselves.
func endWithParent() {
	for parent := os.Getppid(); os.Getppid() == parent; time.Sleep(time.Second) {
	}
	os.Exit(0)
}

// Self is a command that starts this program as a worker.
func Self() *exec.Cmd { return self(roleWorker) }

func self(role string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	return cmd
}

// End ends a worker that was started by hand, and waits for it.
func End(cmd *exec.Cmd) error {
	_ = cmd.Process.Kill() // also if it has ended already
	_ = cmd.Wait()         // killed, as it should be
	return nil
}

// patience bounds a task.
const patience = 30 * time.Second

// Main does tasks until there are no more.
func Main(start Starter) {
	p := &player{start: start}
	defer p.end()
	in, out := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	for {
		var t Task
		if in.Decode(&t) != nil {
			return // nobody asks any more
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := out.Encode(p.do(ctx, t))
		cancel()
		if err != nil {
			return
		}
	}
}

// bare is this program, without a worker in it.
type bare struct {
	Worker // that it is not
	cmd    *exec.Cmd
}

func startBare() (Worker, error) {
	cmd := self(roleBare)
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return bare{cmd: cmd}, cmd.Start()
}

func (b bare) PID() int     { return b.cmd.Process.Pid }
func (b bare) Close() error { return End(b.cmd) }

// floor is the time until this very program, started again, has come to its main
// and has written one byte.
func floor() (took time.Duration, err error) {
	cmd := self(roleFloor)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	begin := measure.Monotonic()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	_, err = io.ReadFull(out, make([]byte, 1))
	took = measure.Monotonic() - begin
	_ = unix.Kill(cmd.Process.Pid, unix.SIGKILL) // it has ended already, or is about to
	_ = cmd.Wait()
	return took, err
}
