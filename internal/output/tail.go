package output

import (
	"bytes"
	"sync"
)

// tail keeps the last bytes of a stream, in a ring that grows to its size only
// when there is something to keep.
type tail struct {
	max int

	mu   sync.Mutex
	buf  []byte
	next int  // where the oldest byte is, and the next goes, once buf is full
	lost bool // whether a byte has been overwritten
	last byte // the last one that was
}

func newTail(max int) *tail { return &tail{max: max} }

func (t *tail) write(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(p), t.max-len(t.buf))
	t.buf = append(t.buf, p[:n]...)
	for p = p[n:]; len(p) > 0; p = p[n:] {
		n = min(len(p), t.max-t.next)
		t.overwrite(p[:n])
	}
}

// overwrite replaces the oldest bytes, which must be contiguous.
func (t *tail) overwrite(p []byte) {
	t.lost = true
	t.last = t.buf[t.next+len(p)-1]
	copy(t.buf[t.next:], p)
	t.next = (t.next + len(p)) % t.max
}

// String returns whole lines, unless there is only one and its beginning is
// lost.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]byte, 0, len(t.buf))
	all = append(append(all, t.buf[t.next:]...), t.buf[:t.next]...)
	if !t.lost || t.last == '\n' {
		return string(all)
	}
	if i := bytes.IndexByte(all, '\n'); i >= 0 && i+1 < len(all) {
		all = all[i+1:]
	}
	return string(all)
}
