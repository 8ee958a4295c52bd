package ring

import (
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Ring is the parent's side: two ways over one piece of memory.
type Ring struct {
	Calls   *Sink   // to the worker
	Answers *Source // from the worker

	memory *os.File // for the worker; nil once it has been passed
}

// New makes rings that are empty.
func New(o Options) (*Ring, error) {
	if off.Load() {
		return nil, &Error{"create", errOff}
	}
	file, err := create()
	if err != nil {
		return nil, &Error{"create", err}
	}
	r := &Ring{memory: file}
	if err := r.open(o); err != nil {
		_ = file.Close()
		return nil, &Error{"open", err}
	}
	return r, nil
}

func (r *Ring) open(o Options) error {
	m, err := mapped(int(r.memory.Fd()))
	if err != nil {
		return err
	}
	*m.header() = header{magic: magic, version: version, size: Size, spin: int64(o.Spin)}
	if r.Answers, err = newSource(m.share(), o); err != nil {
		m.release()
		return err
	}
	if r.Calls, err = newSink(m.share()); err != nil {
		m.release()
		_ = r.Answers.Close()
	}
	return err
}

// Files are to be passed to the worker, in this order, see [Open]. They belong to
// the Ring.
func (r *Ring) Files() []*os.File {
	return []*os.File{r.memory, r.Answers.bell.file, r.Calls.bell.file}
}

// Passed closes what only the worker has a use for.
func (r *Ring) Passed() { _ = r.memory.Close() }

// Close closes everything.
func (r *Ring) Close() {
	r.Passed()
	_ = r.Calls.Close()
	_ = r.Answers.Close()
}

// Source is where the parent reads what its worker has written. Reading is for one
// goroutine at a time; the other methods may be called from any.
type Source struct {
	bell   *listener
	closed atomic.Bool
	last   atomic.Bool  // the worker writes no more
	end    atomic.Int64 // the deadline, since epoch; 0: none

	mu     sync.Mutex // held by who reads: the memory stays
	from   consumer
	swept  int // bytes since last
	memory *memory
}

func newSource(m *memory, o Options) (*Source, error) {
	s := &Source{memory: m}
	s.from.lane, s.from.bytes = m.answers()
	s.from.rouse = waker{-1}
	var err error
	s.bell, err = newListener("bell for answers", &s.from.lane.sleeps, s.from.ready)
	if err != nil {
		return nil, err
	}
	s.bell.spin = &spinner{budget: o.Spin}
	return s, nil
}

// Read returns what has come, at least one byte of it. It waits for as long as
// that takes, or until the deadline, when it returns os.ErrDeadlineExceeded, or
// Close, or Last.
func (s *Source) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if n, err := s.look(p); n > 0 || err != nil {
			return n, err
		}
		if err := s.bell.await(); err != nil && !s.last.Load() {
			return 0, s.gone(err)
		}
	}
}

// Poll returns what is there, or comes within a moment: 0 if nothing does. It
// waits with its thread, without the runtime's poller and whatever the deadline is.
func (s *Source) Poll(p []byte, moment time.Duration) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.take(p)
	if n > 0 || err != nil || moment <= 0 || !s.bell.briefly(moment) {
		return n, err
	}
	if err := s.bell.again(); err != nil {
		return 0, err
	}
	return s.take(p)
}

// Last tells that the worker is dead. What it has written is there; then comes
// io.EOF.
func (s *Source) Last() {
	s.last.Store(true)
	_ = s.bell.setDeadline(epoch)
}

func (s *Source) look(p []byte) (int, error) {
	if s.late() && !s.last.Load() {
		return 0, os.ErrDeadlineExceeded
	}
	return s.take(p)
}

func (s *Source) take(p []byte) (int, error) {
	if s.closed.Load() {
		return 0, os.ErrClosed
	}
	last := s.last.Load()
	if last && s.swept >= Size {
		return 0, io.EOF // somebody writes on, but not the worker
	}
	n, err := s.from.take(p)
	switch {
	case n > 0:
		s.bell.found()
	case last && err == nil:
		return 0, io.EOF
	}
	if last {
		s.swept += n
	}
	return n, err
}

// gone is the error of a wait, in which the end may have been closed.
func (s *Source) gone(err error) error {
	if s.closed.Load() {
		return os.ErrClosed
	}
	return err
}

// epoch is what deadlines are counted from.
var epoch = time.Now()

// SetReadDeadline bounds every Read from now on, also the one that waits; the
// zero time does not.
func (s *Source) SetReadDeadline(t time.Time) error {
	end := int64(0)
	if !t.IsZero() {
		end = max(int64(t.Sub(epoch)), 1)
	}
	s.end.Store(end)
	return s.gone(s.bell.setDeadline(t))
}

func (s *Source) late() bool {
	end := s.end.Load()
	return end != 0 && int64(time.Since(epoch)) >= end
}

// Close ends reading. It may be called more than once.
func (s *Source) Close() error {
	if s.closed.Swap(true) {
		return os.ErrClosed
	}
	s.bell.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory.release()
	return nil
}

// Sink is where the parent writes what its worker reads. All methods may be
// called from any goroutine.
type Sink struct {
	bell   *listener
	closed atomic.Bool

	mu     sync.Mutex // held by who writes: the memory stays
	to     producer
	memory *memory
}

func newSink(m *memory) (*Sink, error) {
	s := &Sink{memory: m}
	s.to.lane, s.to.bytes = m.calls()
	s.to.rouse = waker{-1}
	var err error
	s.bell, err = newListener("bell for room", &s.to.lane.waits, s.to.ready)
	return s, err
}

// TryWrite writes what there is room for, which may be nothing. It waits for
// nobody but another writer.
func (s *Sink) TryWrite(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(p)
}

// Write writes all, waiting for the worker to make room, or until Close.
func (s *Sink) Write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		m, err := s.put(p[n:])
		n += m
		if err != nil || n == len(p) {
			return n, err
		}
		if err := s.bell.await(); err != nil {
			return n, s.gone(err)
		}
	}
}

func (s *Sink) put(p []byte) (int, error) {
	if s.closed.Load() {
		return 0, os.ErrClosed
	}
	n, err := s.to.put(p)
	if n > 0 {
		s.bell.found()
	}
	return n, err
}

func (s *Sink) gone(err error) error {
	if s.closed.Load() {
		return os.ErrClosed
	}
	return err
}

// Close ends writing. What has been written stays for the worker to read.
func (s *Sink) Close() error {
	if s.closed.Swap(true) {
		return os.ErrClosed
	}
	s.bell.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory.release()
	return nil
}
