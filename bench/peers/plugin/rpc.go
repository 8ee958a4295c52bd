//go:build linux

package main

import (
	"context"
	"net/rpc"

	"github.com/hashicorp/go-plugin"
	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/bench/peer"
)

type rpcPlugin struct{}

func (*rpcPlugin) Server(*plugin.MuxBroker) (any, error) { return &rpcServer{}, nil }

func (*rpcPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) { return &rpcCaller{c}, nil }

// rpcServer is the worker's end. net/rpc calls its methods by their names.
type rpcServer struct{}

// Echo answers with what it gets.
func (*rpcServer) Echo(in []byte, out *[]byte) error { *out = in; return nil }

// Mirror answers with what it gets.
func (*rpcServer) Mirror(in peer.Order, out *peer.Order) error { *out = in; return nil }

// rpcCaller is the host's end. net/rpc knows no contexts.
type rpcCaller struct{ client *rpc.Client }

func (c *rpcCaller) Echo(_ context.Context, in []byte) (out []byte, err error) {
	err = c.client.Call("Plugin.Echo", in, &out)
	return out, err
}

func (c *rpcCaller) Mirror(_ context.Context, in peer.Order) (out peer.Order, err error) {
	err = c.client.Call("Plugin.Mirror", in, &out)
	return out, err
}

func kill(pid int) { _ = unix.Kill(pid, unix.SIGKILL) }
