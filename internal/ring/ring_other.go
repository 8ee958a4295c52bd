//go:build !linux

package ring

import (
	"os"
	"time"
)

// Ring is the parent's side: two ways over one piece of memory.
type Ring struct {
	Calls   *Sink
	Answers *Source
}

// New returns [ErrUnsupported].
func New(Options) (*Ring, error) { return nil, ErrUnsupported }

// Files are to be passed to the worker.
func (r *Ring) Files() []*os.File { return nil }

// Passed closes what only the worker has a use for.
func (r *Ring) Passed() {}

// Close closes everything.
func (r *Ring) Close() {}

// Source is where the parent reads what its worker has written.
type Source struct{}

// Read returns [ErrUnsupported], as everything does.
func (s *Source) Read([]byte) (int, error) { return 0, ErrUnsupported }

// Poll returns [ErrUnsupported].
func (s *Source) Poll([]byte, time.Duration) (int, error) { return 0, ErrUnsupported }

// Last tells that the worker is dead.
func (s *Source) Last() {}

// SetReadDeadline returns [ErrUnsupported].
func (s *Source) SetReadDeadline(time.Time) error { return ErrUnsupported }

// Close returns [ErrUnsupported].
func (s *Source) Close() error { return ErrUnsupported }

// Sink is where the parent writes what its worker reads.
type Sink struct{}

// TryWrite returns [ErrUnsupported].
func (s *Sink) TryWrite([]byte) (int, error) { return 0, ErrUnsupported }

// Write returns [ErrUnsupported].
func (s *Sink) Write([]byte) (int, error) { return 0, ErrUnsupported }

// Close returns [ErrUnsupported].
func (s *Sink) Close() error { return ErrUnsupported }

// Worker is the worker's side.
type Worker struct {
	Calls   *Inlet
	Answers *Outlet
}

// Close ends who waits.
func (w *Worker) Close() {}

// Open returns [ErrUnsupported].
func Open([Files]int) (*Worker, error) { return nil, ErrUnsupported }

// Inlet is where the worker reads what its parent has written.
type Inlet struct{}

// Read returns [ErrUnsupported].
func (i *Inlet) Read([]byte) (int, error) { return 0, ErrUnsupported }

// Outlet is where the worker writes what its parent reads.
type Outlet struct{}

// Write returns [ErrUnsupported].
func (o *Outlet) Write([]byte) (int, error) { return 0, ErrUnsupported }
