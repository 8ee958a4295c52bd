package peer

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/bench/measure"
)

// This test program is a peer too, whose workers send back every byte.
func TestMain(m *testing.M) {
	PlayRole(func() error { _, err := io.Copy(os.Stdout, os.Stdin); return err })
	switch os.Getenv("VERDIGRIS_BENCH_TEST") {
	case "peer":
		Main(start)
		os.Exit(0)
	case "broken":
		_, _ = os.Stderr.WriteString("it is out of order")
		os.Exit(3)
	}
	os.Exit(m.Run())
}

type echoer struct {
	cmd  *exec.Cmd
	lie  bool
	lock sync.Mutex
	in   io.WriteCloser
	out  io.Reader
}

func start(context.Context) (Worker, error) {
	cmd := Self()
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &echoer{cmd: cmd, in: in, out: out}, cmd.Start()
}

func (w *echoer) Echo(_ context.Context, b []byte) ([]byte, error) {
	if w.lie {
		return make([]byte, len(b)), nil
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	if _, err := w.in.Write(b); err != nil {
		return nil, err
	}
	answer := make([]byte, len(b))
	_, err := io.ReadFull(w.out, answer)
	return answer, err
}

func (w *echoer) Mirror(_ context.Context, o Order) (Order, error) {
	if w.lie {
		return Order{}, nil
	}
	return o, nil
}

func (w *echoer) PID() int     { return w.cmd.Process.Pid }
func (w *echoer) Close() error { return errors.Join(w.in.Close(), End(w.cmd)) }

func open(t *testing.T, kind string) *Program {
	t.Setenv("VERDIGRIS_BENCH_TEST", kind)
	p, err := Open(kind, "/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTasks(t *testing.T) {
	p := open(t, "peer")
	pace := measure.Pace{Time: 1, Least: 3}
	for _, x := range []struct {
		task Task
		good func(Result) bool
	}{
		{Task{Do: Calls, Size: 100, Pace: pace}, func(r Result) bool { return len(r.Took) >= 3 && r.Done == len(r.Took) && r.CPU > 0 }},
		{Task{Do: Calls, Pace: pace}, func(r Result) bool { return len(r.Took) >= 3 }},
		{Task{Do: Crowd, Size: 16, Callers: 4, Pace: pace}, func(r Result) bool { return r.Done >= 4 && r.Wall > 0 && len(r.Took) == 0 }},
		{Task{Do: Crowd, Callers: 4, Pace: pace}, func(r Result) bool { return r.Done >= 4 }},
		{Task{Do: Starts, Times: 2}, func(r Result) bool { return len(r.Took) == 2 && slices.Min(r.Took) > 0 }},
		{Task{Do: Floor, Times: 2}, func(r Result) bool { return len(r.Took) == 2 && slices.Min(r.Took) > 0 }},
		{Task{Do: Kills, Times: 2}, func(r Result) bool { return len(r.Took) == 2 && slices.Min(r.Took) > 0 }},
		{Task{Do: Idle, Times: 2}, func(r Result) bool { return len(r.PIDs) == 2 && exist(r.PIDs) == 2 }},
		{Task{Do: Bare, Times: 3}, func(r Result) bool { return len(r.PIDs) == 3 && exist(r.PIDs) == 3 }},
	} {
		if r, err := p.Do(x.task); err != nil || !x.good(r) {
			t.Errorf("%+v: %+v, %v", x.task, r, err)
		}
	}
	if r, err := p.Do(Task{Do: "nonsense"}); err == nil || !strings.Contains(err.Error(), `"nonsense"`) {
		t.Error(r, err)
	}
	r, err := p.Do(Task{Do: Idle, Times: 1})
	if err != nil || p.Close() != nil || exist(r.PIDs) != 0 {
		t.Error("it does not end with its workers:", r, err)
	}
}

func exist(pids []int) (n int) {
	for _, pid := range pids {
		if unix.Kill(pid, 0) == nil {
			n++
		}
	}
	return n
}

// Idle workers of one task end with the next one.
func TestIdleWorkersEnd(t *testing.T) {
	p := open(t, "peer")
	defer p.Close()
	r, err := p.Do(Task{Do: Idle, Times: 2})
	if err != nil || exist(r.PIDs) != 2 {
		t.Fatal(r, err)
	}
	if _, err := p.Do(Task{Do: Idle}); err != nil || exist(r.PIDs) != 0 {
		t.Error(r, err)
	}
}

// What a peer says is looked at: a wrong answer is no reading.
func TestWrongAnswers(t *testing.T) {
	w := &echoer{lie: true}
	for _, size := range []int{0, 16, 1000} {
		if err := operation(t.Context(), w, size)(); !errors.Is(err, errAnswer) {
			t.Error(size, err)
		}
	}
}

// A program that ends says why.
func TestBrokenProgram(t *testing.T) {
	p := open(t, "broken")
	if r, err := p.Do(Task{Do: Floor, Times: 1}); err == nil || !strings.Contains(err.Error(), "out of order") && !strings.Contains(err.Error(), "broken") {
		t.Error(r, err)
	}
	if err := p.Close(); err == nil || !strings.Contains(err.Error(), "exit status 3 it is out of order") {
		t.Error(err)
	}
}
