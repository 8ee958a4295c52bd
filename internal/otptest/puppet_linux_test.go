package otptest

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/verdigris-go/verdigris/child"
)

// The errors with which a worker refuses to start are registered, so that they are the same on both sides.
var (
	_            = child.RegisterError("otptest.start_error", errStart)
	errNotNeeded = child.RegisterError("otptest.not_needed", errors.New("not needed"))
)

// puppetConfig says where a puppet hangs, and which one it is.
type puppetConfig struct {
	Socket string
	Key    string
}

// puppet is the state of a worker process that does what it is told over a line.
type puppet struct {
	line   *line
	comply chan struct{}
}

var puppets = child.DefineState("otptest.puppet", openPuppet, (*puppet).close)

// openPuppet is the start function, in the worker.
func openPuppet(_ context.Context, c puppetConfig) (*puppet, error) {
	conn, err := net.Dial("unix", c.Socket)
	if err != nil {
		return nil, err
	}
	p := &puppet{line: newLine(conn), comply: make(chan struct{})}
	p.line.say(c.Key)
	switch word := p.line.hear(); word {
	case "ok":
		go p.obey()
		return p, nil
	case "ignore":
		return nil, errNotNeeded
	case "panic":
		panic("start_crash")
	case "die":
		os.Exit(2)
	}
	return nil, errStart
}

// obey does what it is told, until it is to exit. Without a line it is an orphan.
func (p *puppet) obey() {
	for {
		word := p.line.hear()
		if status, ok := strings.CutPrefix(word, "exit "); ok {
			n, _ := strconv.Atoi(status)
			os.Exit(n)
		}
		if word != "comply" {
			os.Exit(orphaned)
		}
		close(p.comply)
	}
}

// close is the stop function: it tells that it has been asked to stop, and waits.
func (p *puppet) close() error {
	p.line.say("asked")
	<-p.comply
	return nil
}

// Exit statuses of a puppet for the reasons of a scenario. An orderly stop is the worker's own business.
const (
	exitNormal      = 0
	exitShutdown    = 10
	exitShutdownX   = 11 // shutdown:<x>
	exitFailure     = 12
	exitNormalAsked = 13 // status 0 after having been asked is an orderly stop
	orphaned        = 99
)
