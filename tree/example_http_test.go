//go:build unix

package tree_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/tree"
)

// Server makes a service of an http.Server. It is ready when it listens, and when it is asked to stop, it takes no
// new requests and waits for those that run. It cannot be served again, see PerRun.
type Server struct{ *http.Server }

func (s Server) ServeReady(ctx context.Context, ready func()) error {
	listener, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return err // a failed start
	}
	ready()
	drained := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		drained <- s.Shutdown(context.WithoutCancel(ctx)) // it has as long as Child.Shutdown says
	})
	if err := s.Server.Serve(listener); stop() {
		return err // it has ended by itself
	}
	return <-drained
}

func (s Server) Serve(ctx context.Context) error { return s.ServeReady(ctx, func() {}) }

// Kill is called when the time is over.
func (s Server) Kill() { s.Close() }

// A program that is a tree: it runs until SIGINT or SIGTERM. The HTTP server is the last child, so it stops first, and
// requests that still run have everything they need.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	questions := make(chan chan string)
	worker := func(ctx context.Context) error {
		for {
			select {
			case answer := <-questions:
				answer <- "42"
			case <-ctx.Done():
				fmt.Println("the worker stops")
				return nil
			}
		}
	}

	draining := make(chan struct{})
	handler := func(w http.ResponseWriter, r *http.Request) {
		syscall.Kill(syscall.Getpid(), syscall.SIGTERM) // somebody stops the program in the middle of a request
		<-draining
		answer := make(chan string)
		questions <- answer
		fmt.Fprint(w, <-answer)
	}

	address := make(chan string, 1)
	newServer := func(context.Context) (suture.Service, error) {
		s := Server{&http.Server{Addr: "127.0.0.1:0", Handler: http.HandlerFunc(handler)}}
		s.BaseContext = func(l net.Listener) context.Context {
			address <- l.Addr().String()
			return context.Background()
		}
		s.RegisterOnShutdown(func() { close(draining) })
		return s, nil
	}

	root, err := tree.New(tree.Spec{Children: []tree.Child{
		{ID: "worker", Service: tree.ServiceFunc(worker)},
		{ID: "http", Service: tree.PerRun(newServer), Shutdown: tree.After(20 * time.Second)},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := make(chan string)
	go func() { client <- fetch("http://" + <-address) }()
	err = root.Serve(ctx)
	fmt.Println("the tree has stopped:", err)
	fmt.Println("the client has got", <-client)

	// Output:
	// the worker stops
	// the tree has stopped: <nil>
	// the client has got 42
}

func fetch(url string) string {
	response, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}
