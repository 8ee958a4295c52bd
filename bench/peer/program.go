//go:build linux

package peer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"
)

// Program is a program that does tasks, as the one that asks for them sees it.
type Program struct {
	Name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *json.Decoder
	said *tail // on standard error
}

// Open starts one. It has to be closed.
func Open(name, path string, args ...string) (*Program, error) {
	cmd := exec.Command(path, args...)
	said := &tail{}
	cmd.Stderr = said
	cmd.WaitDelay = time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Program{name, cmd, in, json.NewDecoder(bufio.NewReader(out)), said}, nil
}

// Do asks it to do something, and waits for the result.
func (p *Program) Do(t Task) (r Result, err error) {
	late := time.AfterFunc(patience+patience/2, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	err = json.NewEncoder(p.in).Encode(t)
	if err == nil {
		err = p.out.Decode(&r)
	}
	if err != nil {
		return r, fmt.Errorf("%s: no result of %s: %w %s", p.Name, t.Do, err, p.said)
	}
	if r.Error != "" {
		err = errors.New(r.Error)
	}
	return r, err
}

// Close ends it and its workers.
func (p *Program) Close() error {
	_ = p.in.Close() // it ends with its input
	late := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w %s", p.Name, err, p.said)
	}
	return nil
}

// tail keeps the end of what is written to it.
type tail struct {
	lock sync.Mutex
	text []byte
}

const tailSize = 2 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-tailSize):]
	return len(b), nil
}

func (t *tail) String() string {
	t.lock.Lock()
	defer t.lock.Unlock()
	return string(t.text)
}
