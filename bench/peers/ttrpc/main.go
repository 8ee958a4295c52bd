//go:build linux

// Command ttrpc has workers that are called through containerd's ttrpc, over a
// pair of sockets that the worker inherits. It refuses messages of more than
// 4 MiB.
package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"sync"

	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/bench/peer"
	"github.com/verdigris-go/verdigris/bench/peers/message"
)

func main() {
	peer.PlayRole(serve)
	peer.Main(start)
}

const service = "bench.Worker"

func serve() error {
	s, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	s.RegisterService(service, &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"Echo": func(_ context.Context, read func(any) error) (any, error) {
			m := new(message.Payload)
			return m, read(m)
		},
		"Mirror": func(_ context.Context, read func(any) error) (any, error) { m := new(message.Order); return m, read(m) },
	}})
	conn, err := inherited(3)
	if err != nil {
		return err
	}
	over := make(chan struct{})
	err = s.Serve(context.Background(), &listener{conn: &closing{Conn: conn, over: over}, over: over})
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func inherited(fd uintptr) (net.Conn, error) {
	f := os.NewFile(fd, "socket")
	defer f.Close()
	return net.FileConn(f)
}

// listener accepts one connection, and ends with it.
type listener struct {
	conn net.Conn
	over chan struct{}
}

func (l *listener) Accept() (c net.Conn, err error) {
	if c, l.conn = l.conn, nil; c != nil {
		return c, nil
	}
	<-l.over
	return nil, net.ErrClosed
}

func (*listener) Close() error   { return nil }
func (*listener) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// closing tells that it was closed.
type closing struct {
	net.Conn
	once sync.Once
	over chan struct{}
}

func (c *closing) Close() error {
	c.once.Do(func() { close(c.over) })
	return c.Conn.Close()
}

type worker struct {
	cmd    *exec.Cmd
	client *ttrpc.Client
}

func start(context.Context) (peer.Worker, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	theirs := os.NewFile(uintptr(pair[1]), "socket")
	defer theirs.Close()
	conn, err := inherited(uintptr(pair[0]))
	if err != nil {
		return nil, err
	}
	cmd := peer.Self()
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &worker{cmd, ttrpc.NewClient(conn)}, nil
}

func (w *worker) Echo(ctx context.Context, b []byte) ([]byte, error) {
	var answer message.Payload
	err := w.client.Call(ctx, service, "Echo", &message.Payload{Data: b}, &answer)
	return answer.Data, err
}

func (w *worker) Mirror(ctx context.Context, o peer.Order) (peer.Order, error) {
	var answer message.Order
	err := w.client.Call(ctx, service, "Mirror", message.FromOrder(o), &answer)
	return message.ToOrder(&answer), err
}

func (w *worker) PID() int { return w.cmd.Process.Pid }

func (w *worker) Close() error { return errors.Join(w.client.Close(), peer.End(w.cmd)) }
