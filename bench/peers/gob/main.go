//go:build linux

// Command gob is what one writes by hand who needs another process for one
// thing: os/exec, and gob over standard input and standard output. Callers take
// turns; a death is an error of the call that meets it.
package main

import (
	"bufio"
	"context"
	"encoding/gob"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"

	"github.com/verdigris-go/verdigris/bench/peer"
)

func main() {
	peer.PlayRole(serve)
	peer.Main(start)
}

// message is a question, and its answer.
type message struct {
	Data  []byte
	Order *peer.Order
}

func serve() error {
	out := bufio.NewWriter(os.Stdout)
	d, e := gob.NewDecoder(bufio.NewReader(os.Stdin)), gob.NewEncoder(out)
	for {
		var m message
		if err := d.Decode(&m); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := errors.Join(e.Encode(m), out.Flush()); err != nil {
			return err
		}
	}
}

type worker struct {
	cmd  *exec.Cmd
	lock sync.Mutex
	out  *bufio.Writer
	e    *gob.Encoder
	d    *gob.Decoder
}

func start(context.Context) (peer.Worker, error) {
	cmd := peer.Self()
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
	w := &worker{cmd: cmd, out: bufio.NewWriter(in), d: gob.NewDecoder(bufio.NewReader(out))}
	w.e = gob.NewEncoder(w.out)
	return w, nil
}

func (w *worker) call(m message) (answer message, err error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if err := errors.Join(w.e.Encode(m), w.out.Flush()); err != nil {
		return answer, err
	}
	err = w.d.Decode(&answer)
	return answer, err
}

func (w *worker) Echo(_ context.Context, b []byte) ([]byte, error) {
	answer, err := w.call(message{Data: b})
	return answer.Data, err
}

func (w *worker) Mirror(_ context.Context, o peer.Order) (peer.Order, error) {
	answer, err := w.call(message{Order: &o})
	if err != nil || answer.Order == nil {
		return peer.Order{}, errors.Join(errors.New("no order"), err)
	}
	return *answer.Order, nil
}

func (w *worker) PID() int     { return w.cmd.Process.Pid }
func (w *worker) Close() error { return peer.End(w.cmd) }
