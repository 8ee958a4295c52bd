//go:build linux

package message

import "github.com/verdigris-go/verdigris/bench/peer"

//go:generate protoc --go_out=paths=source_relative:. message.proto

// FromOrder makes a message of an order.
func FromOrder(o peer.Order) *Order {
	return &Order{
		Id: o.ID, Customer: o.Customer, Width: int64(o.Width), Height: int64(o.Height), Ratio: o.Ratio, Urgent: o.Urgent,
	}
}

// ToOrder makes an order of a message.
func ToOrder(m *Order) peer.Order {
	return peer.Order{
		ID: m.Id, Customer: m.Customer, Width: int(m.Width), Height: int(m.Height), Ratio: m.Ratio, Urgent: m.Urgent,
	}
}
