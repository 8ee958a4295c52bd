package child

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/wire"
)

// controlOut is the worker's end of the control channel's way to the parent. A
// frame is written at once, so that a last log record before an os.Exit is not
// lost; what the kernel does not take is queued and written by a goroutine. Log
// records are dropped, and counted, when the parent does not keep up; nothing
// else is, and nothing waits.
type controlOut struct {
	sock     *socket
	orphaned func() // told when nobody reads any more; does not return

	mu      sync.Mutex
	changed *sync.Cond
	buf     []byte
	writing bool   // there is a goroutine that does
	dropped uint64 // log records since the last one that was queued

	shipping sync.Mutex // held from the descriptors of a frame to the frame
}

const maxLogBacklog = 1 << 20 // bytes

func newControlOut(f *os.File, orphaned func()) (*controlOut, error) {
	sock, err := newSocket(f)
	if err != nil {
		return nil, err
	}
	c := &controlOut{sock: sock, orphaned: orphaned}
	c.changed = sync.NewCond(&c.mu)
	return c, nil
}

// write is the goroutine that writes what is queued, as long as something is.
func (c *controlOut) write() {
	for batch := c.take(nil); len(batch) > 0; batch = c.take(batch) {
		if _, err := c.sock.Write(batch); err != nil {
			c.orphaned()
		}
	}
}

// take gives the memory of the last batch back and takes the next one.
func (c *controlOut) take(last []byte) (batch []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	batch, c.buf = c.buf, last[:0]
	c.writing = len(batch) > 0
	c.changed.Broadcast()
	return batch
}

// frame writes or queues a whole frame.
func (c *controlOut) frame(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.writing && len(c.buf) == 0 {
		frame = frame[c.try(frame):]
	}
	if len(frame) > 0 {
		c.buf = append(c.buf, frame...)
	}
	if len(c.buf) > 0 && !c.writing {
		c.writing = true
		go c.write()
	}
}

// try writes what the kernel takes at once. An error is left to write to find.
func (c *controlOut) try(b []byte) (n int) {
	n, _ = c.sock.TryWrite(b)
	return n
}

// ship sends a frame that has descriptors, which belong to it then.
func (c *controlOut) ship(k wire.Kind, id uint64, p wire.Parcel, files []*os.File) error {
	frame, err := controlFrame(k, id, p)
	if err != nil {
		closeAll(files...)
		return err
	}
	c.shipping.Lock()
	defer c.shipping.Unlock()
	c.sock.put(files)
	c.frame(frame)
	return nil
}

// send queues a frame with a body.
func (c *controlOut) send(k wire.Kind, id uint64, body controlBody) error {
	frame, err := controlFrame(k, id, body)
	if err == nil {
		c.frame(frame)
	}
	return err
}

// log queues a log record, unless too much is queued already.
func (c *controlOut) log(l wire.Log) {
	c.mu.Lock()
	l.Dropped = c.dropped
	full := len(c.buf) > maxLogBacklog
	c.mu.Unlock()
	if !full {
		frame := l.Append(wire.Begin(nil, wire.KindLog, 0))
		if wire.End(frame, 0, wire.ControlLimit) == nil {
			c.frame(frame)
			c.forget(l.Dropped)
			return
		}
	}
	c.mu.Lock()
	c.dropped++
	c.mu.Unlock()
}

func (c *controlOut) forget(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped -= min(n, c.dropped)
}

// flush waits until everything queued is written, at most the given time.
func (c *controlOut) flush(limit time.Duration) {
	over := false
	timer := time.AfterFunc(limit, func() {
		c.mu.Lock()
		over = true
		c.changed.Broadcast()
		c.mu.Unlock()
	})
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !over && (c.writing || len(c.buf) > 0) {
		c.changed.Wait()
	}
}

// logHandler is the worker's default slog handler: its records become records
// of the parent's logger.
type logHandler struct {
	out    *controlOut
	level  slog.Level
	scopes []scope // what WithGroup and WithAttrs have added, outermost first
}

// scope is the name of a group, or attributes.
type scope struct {
	group string
	attrs []slog.Attr
}

func newLogHandler(out *controlOut, level slog.Level) *logHandler {
	return &logHandler{out: out, level: level}
}

func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler { return h.with(scope{attrs: attrs}) }

func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.with(scope{group: name})
}

func (h *logHandler) with(s scope) *logHandler {
	return &logHandler{h.out, h.level, append(slices.Clip(h.scopes), s)}
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	var attrs []slog.Attr
	r.Attrs(func(a slog.Attr) bool { attrs = append(attrs, a); return true })
	for _, s := range slices.Backward(h.scopes) {
		switch {
		case s.group == "":
			attrs = append(slices.Clone(s.attrs), attrs...)
		case len(attrs) > 0:
			attrs = []slog.Attr{{Key: s.group, Value: slog.GroupValue(attrs...)}}
		}
	}
	if key := Key(ctx); key != "" {
		attrs = append(attrs, slog.String("key", key))
	}
	if trace := Meta(ctx, TraceParent); trace != "" {
		attrs = append(attrs, slog.String("trace", trace))
	}
	h.out.log(wire.Log{Time: r.Time, Level: r.Level, Message: r.Message, Attrs: attrs})
	return nil
}
