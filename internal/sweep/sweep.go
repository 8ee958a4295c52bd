package sweep

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// Var is the environment variable that has the mark.
const Var = "VERDIGRIS_RUN"

// Inherited is the mark that this process itself was started with, or "". What
// it starts has to keep it.
var Inherited = os.Getenv(Var)

// NewMark makes a mark that nobody has yet. It begins with the mark that this
// process has inherited, so that a sweep for that one finds its bearers too.
func NewMark() string {
	if Inherited == "" {
		return rand.Text()
	}
	return Inherited + "." + rand.Text()
}

// LeftError says that processes with a mark were still alive when the time was up.
type LeftError struct {
	PIDs []int // as this process's /proc numbers them; empty when not even a look could be finished
	Err  error // what was in the way, or nil
}

func (e *LeftError) Error() string {
	s := "processes that the worker has started could not be searched for in time"
	if len(e.PIDs) > 0 {
		s = fmt.Sprintf("processes %v, which the worker has started, did not end in time", e.PIDs)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives what was in the way.
func (e *LeftError) Unwrap() error { return e.Err }

// Kill kills every process that has the mark, or one that begins with it, and
// returns when there is none any more. After the limit it gives up and returns
// a *LeftError. The process that calls it is spared.
func Kill(mark string, limit time.Duration) error {
	s := &search{mark: mark, deadline: time.Now().Add(limit), done: make(chan error, 1)}
	all.add(s)
	late := time.NewTimer(limit + time.Second)
	defer late.Stop()
	select {
	case err := <-s.done:
		return err
	case <-late.C: // a look hangs: the kernel can make a reader of /proc wait for a process that does not run
		return &LeftError{Err: errors.New("/proc does not answer")}
	}
}

// search is one call of Kill.
type search struct {
	mark     string
	deadline time.Time
	done     chan error // its result, once
	found    []int      // by the last look
	failed   error      // the last signal that could not be sent
	clear    int        // looks on end that have found nothing
}

// sweeper does the looks for all searches of this process.
type sweeper struct {
	mu      sync.Mutex
	waiting []*search
	running bool // a goroutine looks
}

var all sweeper

func (w *sweeper) add(s *search) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, s)
	if !w.running {
		w.running = true
		go w.sweep()
	}
}

// sweep looks until no search is left. A search that comes meanwhile takes part
// from the next look on: one that has begun before it counts for nothing.
func (w *sweeper) sweep() {
	var searches []*search
	eyes := newEyes()
	const shortest, longest = 200 * time.Microsecond, 20 * time.Millisecond
	for pause := shortest; ; pause = min(2*pause, longest) {
		came := w.take()
		if len(came) > 0 {
			pause, eyes.strangers = shortest, map[entry]bool{} // strangers to the others only
		}
		if searches = append(searches, came...); len(searches) == 0 && w.leave() {
			return
		}
		saw, err := eyes.look(searches)
		if searches = settle(searches, saw, err); len(searches) > 0 {
			time.Sleep(pause) // the killed need a moment to die
		}
	}
}

// take returns what has been asked for since the last time.
func (w *sweeper) take() []*search {
	w.mu.Lock()
	defer w.mu.Unlock()
	came := w.waiting
	w.waiting = nil
	return came
}

// leave ends the sweeping, unless there is something to do again.
func (w *sweeper) leave() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = len(w.waiting) > 0
	return !w.running
}

// sight is what one look is worth when it has found nothing.
type sight uint8

const (
	sure    sight = iota // there is nobody
	unsure               // somebody may have come or gone too fast to be seen
	pending              // somebody was there who could not be recognised yet
)

// enough is how many looks on end that have found nothing are taken for an
// answer on a busy machine, where strangers come and go so fast that no look
// sees them all.
const enough = 10

// settle answers the searches that are over, and returns the others.
func settle(searches []*search, saw sight, err error) (open []*search) {
	for _, s := range searches {
		switch {
		case err != nil || len(s.found) > 0:
			s.clear = 0
		case saw != pending:
			s.clear++
		}
		switch {
		case s.clear > 0 && (saw == sure || saw == unsure && s.clear >= enough):
			s.done <- nil
		case errors.Is(err, errors.ErrUnsupported):
			s.done <- err
		case time.Now().Before(s.deadline):
			open = append(open, s)
		default:
			s.done <- &LeftError{PIDs: s.found, Err: errors.Join(err, s.failed)}
		}
	}
	return open
}

// match finds the searches whose mark an environment has.
func match(environ string, searches []*search) (matches []*search) {
	for entry := range strings.SplitSeq(environ, "\x00") {
		mark, ok := strings.CutPrefix(entry, Var+"=")
		if !ok {
			continue
		}
		for _, s := range searches {
			if mark == s.mark || strings.HasPrefix(mark, s.mark+".") {
				matches = append(matches, s)
			}
		}
	}
	return matches
}
