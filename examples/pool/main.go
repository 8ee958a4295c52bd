// Pool makes thumbnails, and content hashes, of all images in a directory tree, whoever they come from.
//
//	go run ./examples/pool -make 400 pictures    make a tree of test images, some of them hostile
//	go run ./examples/pool pictures              thumbnails of them, into pictures-thumbnails
//
// Decoders are where files of strangers do harm: they crash, hang, or take all memory. Here they run in worker
// processes with a deadline and a bound of memory, so a file costs at most its own decoder. Ctrl-C, or even kill -9, and
// the same command again goes on where it was.
//
// Read next: batch.go for the pool and the loop over pool.Map, thumbnail.go for what runs in the workers, outcome.go
// for what an error tells about a file, journal.go for what survives a kill.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

func main() {
	child.Init() // first of all: in a worker process it never returns
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Exit statuses.
const (
	allDone     = 0   // every image has its thumbnail
	someFailed  = 1   // all others have
	notPossible = 2   // the arguments are wrong, or something is that all images need
	interrupted = 130 // as shells count it: 128 and SIGINT
)

func run(ctx context.Context, args []string, stdout *os.File, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return allDone
	case err == nil && o.make > 0:
		err = makeImages(o.dir, o.make)
	case err == nil:
		var status int
		status, err = thumbnails(ctx, o, stdout)
		if err == nil {
			return status
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "pool:", err)
		return notPossible
	}
	return allDone
}

// options are what the command line says.
type options struct {
	dir, out string
	side     int
	workers  int
	deadline time.Duration
	memory   int // MiB
	again    bool
	verbose  bool
	make     int
}

const usage = `Usage: pool [flags] DIRECTORY

Makes a thumbnail of each PNG, JPEG, GIF and QOI file in the tree of DIRECTORY. Decoders run in worker processes: a
file that crashes its decoder, takes too long or needs too much memory costs nobody else anything. Run it again to go
on after Ctrl-C, or to do what is new or has changed.

`

func parse(args []string, help io.Writer) (o options, err error) {
	f := flag.NewFlagSet("pool", flag.ContinueOnError)
	f.SetOutput(help)
	f.Usage = func() { fmt.Fprint(help, usage); f.PrintDefaults() }
	f.StringVar(&o.out, "out", "", "`directory` for the thumbnails and the journal (default DIRECTORY-thumbnails)")
	f.IntVar(&o.side, "size", 256, "longer side of a thumbnail in `pixels`")
	f.IntVar(&o.workers, "workers", runtime.NumCPU(), "decoder `processes`")
	f.DurationVar(&o.deadline, "deadline", 10*time.Second, "`time` a file may take")
	f.IntVar(&o.memory, "memory", 1024, "memory a decoder may use, in `MiB`")
	f.BoolVar(&o.again, "again", false, "try those again that have failed before")
	f.BoolVar(&o.verbose, "v", false, "show what happens to the decoders too")
	f.IntVar(&o.make, "make", 0, "do nothing but fill DIRECTORY with `n` images to try this with, some of them hostile")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() != 1 {
		return o, errors.New("one directory is needed; -h helps")
	}
	o.dir = filepath.Clean(f.Arg(0))
	if o.out == "" {
		if o.dir == "." || o.dir == ".." {
			return o, fmt.Errorf("-out is needed with the directory %s", o.dir)
		}
		o.out = o.dir + "-thumbnails"
	}
	return o, o.check()
}

func (o options) check() error {
	switch {
	case o.side < 1 || o.side > 4096:
		return errors.New("-size has to be from 1 to 4096 pixels")
	case o.workers < 1 || o.workers > 256:
		return errors.New("-workers has to be from 1 to 256")
	case o.deadline < time.Millisecond:
		return errors.New("-deadline has to be 1ms or more")
	case o.memory < 64:
		return errors.New("-memory has to be 64 MiB or more: a decoder needs some for itself")
	case o.make < 0 || o.make > 1_000_000:
		return errors.New("-make has to be from 1 to 1000000")
	}
	return nil
}
