//go:build linux

package main

import (
	"context"
	"math"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/verdigris-go/verdigris/bench/peer"
	"github.com/verdigris-go/verdigris/bench/peers/message"
)

// Messages may be as large as they are: gRPC's own limit is 4 MiB.
var dialOptions = []grpc.DialOption{
	grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)),
}

func newServer(options []grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(options, grpc.MaxRecvMsgSize(math.MaxInt32), grpc.MaxSendMsgSize(math.MaxInt32))...)
}

type grpcPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (*grpcPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	s.RegisterService(&description, nil)
	return nil
}

func (*grpcPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return &grpcCaller{c}, nil
}

const service = "bench.Worker"

var description = grpc.ServiceDesc{ServiceName: service, Methods: []grpc.MethodDesc{
	{MethodName: "Echo", Handler: func(_ any, _ context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		m := new(message.Payload)
		return m, read(m)
	}},
	{MethodName: "Mirror", Handler: func(_ any, _ context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		m := new(message.Order)
		return m, read(m)
	}},
}}

type grpcCaller struct{ conn *grpc.ClientConn }

func (c *grpcCaller) Echo(ctx context.Context, in []byte) ([]byte, error) {
	var answer message.Payload
	err := c.conn.Invoke(ctx, "/"+service+"/Echo", &message.Payload{Data: in}, &answer)
	return answer.Data, err
}

func (c *grpcCaller) Mirror(ctx context.Context, in peer.Order) (peer.Order, error) {
	var answer message.Order
	err := c.conn.Invoke(ctx, "/"+service+"/Mirror", message.FromOrder(in), &answer)
	return message.ToOrder(&answer), err
}
