package output

import (
	"errors"
	"os"
	"sync"
	"time"
)

// Options say what to do with the output. The zero value keeps the tail and
// logs nothing.
type Options struct {
	// Line is called for each line, one after the other, on one goroutine
	// that does nothing else. The line is valid UTF-8 without control
	// characters, and only valid during the call. truncated says that its end
	// is missing, because it was longer than MaxLine.
	Line func(line []byte, truncated bool)
	// Dropped is called, like Line and never at the same time, with the
	// number of lines that Line did not get to see since the last such
	// report: within a second of the first loss, and once more at the end if
	// need be.
	Dropped func(lines uint64)
	// Tail is how many of the last bytes are kept; zero means 64 KiB.
	Tail int
	// Dying, if set, is asked at each read until it says true: from then on only
	// some more bytes are kept, so that a long report about a death does not push
	// out what was printed before it. Line still gets everything.
	Dying func() bool
	// MaxLine is how many bytes of a line are given to Line; zero means 8 KiB.
	MaxLine int
	// LinesPerSecond is how many lines Line gets at most over a longer time.
	// Zero means 100, a negative number no limit.
	LinesPerSecond int
	// Burst is how many lines it gets at once after a quiet time. Zero means
	// ten seconds' worth.
	Burst int
}

const (
	defaultTail    = 64 << 10
	dyingTail      = 16 << 10 // bytes kept once it is dying, of a Tail of four times as much or more
	defaultMaxLine = 8 << 10
	defaultRate    = 100 // lines per second
	defaultBurst   = 10  // seconds
)

func (o Options) withDefaults() Options {
	o.Tail = orDefault(o.Tail, defaultTail)
	o.MaxLine = orDefault(o.MaxLine, defaultMaxLine)
	if o.LinesPerSecond == 0 {
		o.LinesPerSecond = defaultRate
	}
	o.Burst = orDefault(o.Burst, defaultBurst*max(o.LinesPerSecond, 1))
	return o
}

func orDefault(n, def int) int {
	if n <= 0 {
		return def
	}
	return n
}

// The reading buffer begins small, because most workers are silent, and grows
// under load.
const (
	minBuffer = 4 << 10
	maxBuffer = 64 << 10
)

// Drain reads one pipe until its end.
type Drain struct {
	file  *os.File
	dying func() bool // Options.Dying, until it has said true; the reading goroutine's own, as is room
	room  *int        // bytes that are still kept; nil while it is not dying
	tail  *tail
	lines *splitter // nil without Options.Line; used by the reading goroutine only
	ended chan struct{}
	idle  chan struct{} // closed when the last line has been given to Line

	mu    sync.Mutex
	until time.Time     // the deadline that Close has set; zero before
	sync  chan struct{} // closed by the reading goroutine when it has caught up; nil if nobody waits for that
}

// New starts to drain the reading end of a pipe. The file belongs to the Drain
// from then on, and is closed at the end. It must support deadlines, as those
// from os.Pipe do on Unix.
func New(r *os.File, o Options) *Drain {
	o = o.withDefaults()
	d := &Drain{
		file:  r,
		dying: o.Dying,
		tail:  newTail(o.Tail),
		ended: make(chan struct{}),
		idle:  make(chan struct{}),
	}
	if o.Line == nil {
		close(d.idle)
		go d.run(func() {})
		return d
	}
	q := newQueue(newLimiter(o.LinesPerSecond, o.Burst))
	d.lines = newSplitter(o.MaxLine, q.put)
	go func() {
		defer close(d.idle)
		q.deliver(o)
	}()
	go d.run(q.close)
	return d
}

// run is the reading goroutine.
func (d *Drain) run(finish func()) {
	defer close(d.ended)
	defer d.file.Close()
	defer finish()
	err := d.read()
	for errors.Is(err, os.ErrDeadlineExceeded) {
		sweep(d.file, d.accept)
		if !d.caughtUp() {
			break
		}
		err = d.read()
	}
	if d.lines != nil {
		d.lines.flush()
	}
}

func (d *Drain) read() error {
	buf := make([]byte, minBuffer)
	for {
		n, err := d.file.Read(buf)
		d.accept(buf[:n])
		if err != nil {
			return err
		}
		if n == len(buf) && n < maxBuffer {
			buf = make([]byte, 2*n)
		}
	}
}

func (d *Drain) accept(p []byte) {
	d.tail.write(d.wanted(p))
	if d.lines != nil {
		d.lines.write(p)
	}
}

// wanted is what of p belongs into the tail.
func (d *Drain) wanted(p []byte) []byte {
	if d.dying != nil && d.dying() {
		d.dying, d.room = nil, new(min(dyingTail, d.tail.max/4))
	}
	if d.room == nil {
		return p
	}
	p = p[:min(len(p), *d.room)]
	*d.room -= len(p)
	return p
}

// Tail is the last part of what has been read so far: whole lines, unless a
// single line is longer than what is kept, and the bytes exactly as they came.
func (d *Drain) Tail() string { return d.tail.String() }

// CatchUp returns when all that was in the pipe has been read and Tail has it, or
// after the limit. It does nothing on a file without deadlines.
func (d *Drain) CatchUp(limit time.Duration) {
	d.mu.Lock()
	if d.sync == nil {
		d.sync = make(chan struct{})
	}
	reached := d.sync
	err := d.file.SetReadDeadline(time.Now())
	d.mu.Unlock()
	if err != nil {
		return // it has ended, or has no deadlines
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-reached:
	case <-d.ended:
	case <-timer.C:
	}
}

// caughtUp reports whether the reading goes on: it was interrupted for CatchUp only.
func (d *Drain) caughtUp() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sync == nil {
		return false
	}
	close(d.sync)
	d.sync = nil
	_ = d.file.SetReadDeadline(d.until)
	return true
}

// Close ends the reading: at the end of the pipe if that comes within grace,
// else then. It returns when Tail is final, and does not wait for Line. It may
// be called more than once; the last call says how long.
func (d *Drain) Close(grace time.Duration) {
	err := d.deadline(time.Now().Add(grace))
	if errors.Is(err, os.ErrNoDeadline) {
		d.await(grace)
		return
	}
	<-d.ended
}

func (d *Drain) deadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.until = t
	if d.sync != nil {
		return nil // it is set when that is over
	}
	return d.file.SetReadDeadline(t)
}

// await waits for the end of a file that cannot be interrupted.
func (d *Drain) await(grace time.Duration) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-d.ended:
	case <-timer.C:
	}
}

// Wait waits until the reading has ended and Line and Dropped have returned
// for the last time. It takes as long as they take.
func (d *Drain) Wait() {
	<-d.ended
	<-d.idle
}
