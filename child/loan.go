package child

import (
	"bytes"
	"sync"
)

// loan is memory of a caller's that is written to a worker from where it lies: a
// large byte slice is not copied before it leaves. The caller, who has been promised
// that nobody looks at it when its call has returned, ends the loan by then. What has
// not left by that time is copied; so nobody has to wait for the worker to read.
//
// Who writes holds the lock only while it does what does not wait.
type loan struct {
	mu   sync.Mutex
	rest []byte // what has not left
}

// lend makes a loan of b; nil, which all methods but write take, if that is empty.
func lend(b []byte) *loan {
	if len(b) == 0 {
		return nil
	}
	return &loan{rest: b}
}

// write writes what goes at once and returns how much is left.
func (l *loan) write(to sink) (left int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := to.TryWrite(l.rest)
	l.rest = l.rest[n:]
	return len(l.rest), err
}

// take moves the next bytes to b and returns how many; for a write that waits.
func (l *loan) take(b []byte) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := copy(b, l.rest)
	l.rest = l.rest[n:]
	return n
}

// end gives the memory back.
func (l *loan) end() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = bytes.Clone(l.rest)
}

// leadIn moves the first bytes of a tail behind its frame, so that the reader, whom
// they wake, finds enough of it to go on with.
func leadIn(frame, tail []byte) (longer, rest []byte) {
	n := min(len(tail), smallFrame/4)
	return append(frame, tail[:n]...), tail[n:]
}
