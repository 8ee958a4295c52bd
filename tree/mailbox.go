package tree

import "sync"

// message is anything a supervisor has to handle in the order of arrival: a request, the end of a run (the *run
// itself), a retry that is due, an order to stop.
type message interface{ handle(*loop) }

// mailbox is the queue of one loop. It never blocks those who post.
type mailbox struct {
	mu     sync.Mutex
	queue  []message
	head   int
	closed bool
	wake   chan struct{} // holds a token when something has changed
}

// post appends a message and reports whether there is still somebody to handle it.
func (b *mailbox) post(m message) bool {
	b.mu.Lock()
	ok := !b.closed
	if ok {
		b.queue = append(b.queue, m)
	}
	b.mu.Unlock()
	b.signal()
	return ok
}

// update changes what the loop may be waiting for, under the lock. It may return a message to post.
func (b *mailbox) update(change func() message) {
	b.mu.Lock()
	if m := change(); m != nil && !b.closed {
		b.queue = append(b.queue, m)
	}
	b.mu.Unlock()
	b.signal()
}

func (b *mailbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// look evaluates a condition under the lock.
func (b *mailbox) look(cond func() bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return cond()
}

// take removes the oldest message, or returns nil.
func (b *mailbox) take() message {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.head == len(b.queue) {
		return nil
	}
	m := b.queue[b.head]
	b.queue[b.head] = nil
	b.head++
	if b.head == len(b.queue) {
		b.queue, b.head = b.reuse(), 0
	}
	return m
}

// reuse keeps the memory of an empty queue, unless a burst has made it large.
func (b *mailbox) reuse() []message {
	if cap(b.queue) > 1024 {
		return nil
	}
	return b.queue[:0]
}

// close drops what is waiting; those who wait for an answer notice by the end of the supervisor.
func (b *mailbox) close() {
	b.mu.Lock()
	b.closed, b.queue, b.head = true, nil, 0
	b.mu.Unlock()
}
