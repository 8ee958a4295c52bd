package tree

import "sync"

// message is anything a supervisor has to handle in the order of arrival: a request, the end of a run (the *run
// itself), a retry that is due, an order to stop.
type message interface{ handle(*loop) }

// mailbox is the queue of one loop. It never blocks those who post.
type mailbox struct {
	mu      sync.Mutex
	queue   []message
	closed  bool
	waiting bool // the loop waits for a token
	idle    bool // it does so because there is nothing to do
	lent    bool // somebody else does what otherwise the loop does
	wake    chan struct{}

	// of the loop alone
	batch []message // taken out of the queue at once, handled one by one
	next  int
}

// post appends a message and reports whether there is still somebody to handle it.
func (b *mailbox) post(m message) bool {
	b.mu.Lock()
	ok := !b.closed
	if ok {
		b.queue = append(b.queue, m)
	}
	b.unlock()
	return ok
}

// update changes what the loop may be waiting for, under the lock. It may return a message to post.
func (b *mailbox) update(change func() message) {
	b.mu.Lock()
	if m := change(); m != nil && !b.closed {
		b.queue = append(b.queue, m)
	}
	b.unlock()
}

// unlock unlocks and wakes the loop if it waits.
func (b *mailbox) unlock() {
	wake := b.waiting
	b.waiting, b.idle = false, false
	b.mu.Unlock()
	if wake {
		select {
		case b.wake <- struct{}{}:
		default: // one that came too late for a time limit is still there
		}
	}
}

// look evaluates a condition under the lock.
func (b *mailbox) look(cond func() bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return cond()
}

// wait evaluates a condition under the lock. If it is false, the next change sends a token.
func (b *mailbox) wait(cond func() bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	ok := cond()
	b.waiting = !ok
	return ok
}

// take removes the oldest message. If there is none, the next change sends a token.
func (b *mailbox) take() message {
	if b.next == len(b.batch) && !b.refill() {
		return nil
	}
	m := b.batch[b.next]
	b.batch[b.next] = nil
	b.next++
	return m
}

// refill takes the whole queue, and leaves the memory of the last batch for the next one, unless a burst has made it
// large.
func (b *mailbox) refill() bool {
	if cap(b.batch) > 1024 {
		b.batch = nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lent {
		return false
	}
	b.batch, b.queue, b.next = b.queue, b.batch[:0], 0
	b.waiting = len(b.batch) == 0
	b.idle = b.waiting
	return !b.idle
}

// close drops what is waiting; those who wait for an answer notice by the end of the supervisor.
func (b *mailbox) close() {
	b.mu.Lock()
	b.closed, b.queue, b.batch, b.next = true, nil, nil, 0
	b.mu.Unlock()
}

// borrow lends the work of a loop that has nothing to do: until giveBack, whoever has it may do what otherwise only the
// loop does. It must not wait for anything meanwhile.
func (b *mailbox) borrow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.idle || b.closed {
		return false
	}
	b.waiting, b.idle, b.lent = false, false, true
	return true
}

// giveBack ends a borrow, and wakes the loop if there is something to do by now.
func (b *mailbox) giveBack() {
	b.mu.Lock()
	b.waiting, b.idle, b.lent = true, true, false
	if len(b.queue) > 0 {
		b.unlock()
	} else {
		b.mu.Unlock()
	}
}
