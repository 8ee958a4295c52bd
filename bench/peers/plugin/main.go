//go:build linux

// Command plugin has workers that are hashicorp/go-plugin's plugins, in one of
// its two modes: "plugin rpc" (net/rpc) or "plugin grpc".
package main

import (
	"context"
	"errors"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/verdigris-go/verdigris/bench/peer"
)

func main() {
	peer.PlayRole(serve)
	peer.Main(start)
}

var handshake = plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "VERDIGRIS_BENCH", MagicCookieValue: "plugin"}

// kind is the plugin of the mode that the program was started for.
func kind() (plugin.PluginSet, []plugin.Protocol) {
	if len(os.Args) > 1 && os.Args[1] == "grpc" {
		return plugin.PluginSet{"worker": &grpcPlugin{}}, []plugin.Protocol{plugin.ProtocolGRPC}
	}
	return plugin.PluginSet{"worker": &rpcPlugin{}}, []plugin.Protocol{plugin.ProtocolNetRPC}
}

func serve() error {
	set, protocols := kind()
	cfg := &plugin.ServeConfig{HandshakeConfig: handshake, Plugins: set, Logger: hclog.NewNullLogger()}
	if protocols[0] == plugin.ProtocolGRPC {
		cfg.GRPCServer = newServer
	}
	plugin.Serve(cfg)
	return nil
}

// caller is what both modes give the host.
type caller interface {
	Echo(context.Context, []byte) ([]byte, error)
	Mirror(context.Context, peer.Order) (peer.Order, error)
}

type worker struct {
	caller
	client *plugin.Client
	pid    int
}

func start(context.Context) (peer.Worker, error) {
	set, protocols := kind()
	cmd := peer.Self()
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: handshake, Plugins: set, AllowedProtocols: protocols, Cmd: cmd, Logger: hclog.NewNullLogger(),
		GRPCDialOptions: dialOptions,
	})
	connection, err := client.Client()
	if err != nil {
		client.Kill()
		return nil, err
	}
	raw, err := connection.Dispense("worker")
	if err != nil {
		client.Kill()
		return nil, err
	}
	c, ok := raw.(caller)
	if !ok {
		client.Kill()
		return nil, errors.New("the plugin is no caller")
	}
	return &worker{c, client, cmd.Process.Pid}, nil
}

func (w *worker) PID() int { return w.pid }

func (w *worker) Close() error {
	kill(w.pid) // so that it need not be asked; also if it is gone already
	w.client.Kill()
	return nil
}
