//go:build linux

package peer

import "context"

// Order is the small typed struct that all pass to and fro.
type Order struct {
	ID            uint64
	Customer      string
	Width, Height int
	Ratio         float64
	Urgent        bool
}

// Example is the order that is sent.
var Example = Order{123456, "customer-0042", 640, 480, 1.3333, true}

// Worker is a worker process as its parent has it. Its calls may be made by many
// goroutines at once.
type Worker interface {
	Echo(context.Context, []byte) ([]byte, error)
	Mirror(context.Context, Order) (Order, error)
	PID() int
	// Close ends it, dead or alive, and waits until it is gone.
	Close() error
}

// Starter starts a worker, as somebody would who needs one.
type Starter func(context.Context) (Worker, error)
