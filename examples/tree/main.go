// Tree is the tour of verdigris: an image service whose decoder is brittle C code.
//
//	go run ./examples/tree                      make thumbnails of the shipped images
//	go run ./examples/tree -dir D -out T        make thumbnails of your own QOI images
//	go run ./examples/tree -serve :8080         and stay up as an HTTP server
//
// Two of the shipped images are malformed: the decoder dies of them by SIGSEGV. Towards the end, the tour itself kills
// the first stage. Every good image comes out all the same, and the exit status is 0 only then.
//
// Read next: stages.go for the tree, decoder.go for what runs in the workers, batch.go and serve.go for who calls them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/verdigris-go/verdigris/child"
)

func main() {
	child.Init() // first of all: in a worker process it never returns
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout))
}

// options are what the command line says.
type options struct {
	dir, out string
	serve    string
	workers  int
	queue    int
	size     int
	chaos    bool
	verbose  bool
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("tree", flag.ContinueOnError)
	f.StringVar(&o.dir, "dir", "", "directory of the QOI `images` (default: the shipped ones)")
	f.StringVar(&o.out, "out", "", "`directory` for the thumbnails (default: a new one)")
	f.StringVar(&o.serve, "serve", "", "stay up as an HTTP server on this `address`, for example localhost:8080")
	f.IntVar(&o.workers, "workers", max(2, runtime.NumCPU()), "decoder processes")
	f.IntVar(&o.queue, "queue", 64, "how many `images` may wait for a decoder; -serve refuses further ones")
	f.IntVar(&o.size, "size", 128, "longer side of a thumbnail in `pixels`")
	f.BoolVar(&o.chaos, "chaos", true, "kill the index when most images are done (default false with -serve)")
	f.BoolVar(&o.verbose, "v", false, "show everything, what dying workers print included")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	chosen := false
	f.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "chaos" })
	if o.serve != "" && !chosen {
		o.chaos = false
	}
	return o, o.check(f.Args())
}

func (o options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("what is %q? images are given by -dir", rest[0])
	case o.workers < 1 || o.workers > 256:
		return fmt.Errorf("-workers has to be from 1 to 256")
	case o.queue < 1:
		return fmt.Errorf("-queue has to be 1 or more")
	case o.size < 1 || o.size > maxSize:
		return fmt.Errorf("-size has to be from 1 to %d pixels", maxSize)
	}
	return nil
}
