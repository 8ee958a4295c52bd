//go:build linux

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is the tour in a process of its own.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	out   *transcript
	ended chan struct{}
}

// start runs the tour with these arguments. It is killed when the test ends, if it still runs.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(os.Args[0], args...), out: newTranscript(), ended: make(chan struct{})}
	temp := t.TempDir()
	p.cmd.Env = append(os.Environ(), tourVariable+"=1", "TMPDIR="+temp)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }() // Wait returns when all output is there
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if left, _ := filepath.Glob(filepath.Join(temp, "verdigris-tour-*")); p.cmd.ProcessState.Exited() && left != nil {
			t.Errorf("it has left %q", left)
		}
		if t.Failed() {
			t.Logf("the tour's output:\n%s", p.out)
		}
	})
	return p
}

// status waits for the end of the program.
func (p *program) status() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // prints its goroutines
		p.t.Fatal("the tour did not end within a minute")
	}
	return p.cmd.ProcessState.ExitCode()
}

// transcript collects output and wakes those who wait for something in it.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed, and replaced, when there is more
}

func newTranscript() *transcript { return &transcript{more: make(chan struct{})} }

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.text.Write(p)
}

func (o *transcript) String() string {
	text, _ := o.read()
	return text
}

func (o *transcript) read() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.more
}

// await waits until the output matches the pattern n times, and returns the last match and its groups.
func (p *program) await(pattern string, n int) []string {
	p.t.Helper()
	re, patience := regexp.MustCompile(pattern), time.After(30*time.Second)
	for over := false; ; {
		text, more := p.out.read()
		if all := re.FindAllStringSubmatch(text, n); len(all) == n {
			return all[n-1]
		}
		if over {
			p.t.Fatalf("no %q in the tour's output", pattern)
		}
		select {
		case <-more:
		case <-p.ended:
			over = true // one more look
		case <-patience:
			over = true
		}
	}
}

// inOrder reports the first of the lines that does not follow those before it.
func inOrder(text string, lines ...string) (missing string) {
	for _, line := range lines {
		_, after, ok := strings.Cut(text, line)
		if !ok {
			return line
		}
		text = after
	}
	return ""
}
