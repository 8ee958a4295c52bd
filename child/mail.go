package child

import (
	"context"
	"os"
	"sync"

	"github.com/verdigris-go/verdigris/internal/sealed"
	"github.com/verdigris-go/verdigris/wire"
)

// mail is what travels beside the input and the output of one call, seen from
// where its function runs: in a worker, or inline. The goroutine of the function
// uses it. A nil mail is that of functions without Blobs.
type mail struct {
	in    *delivery
	done  func() // the call is over; may be nil
	limit int64  // of the output, in bytes

	held []wire.Blob // that belong to the call
	out  *cargo      // of the output
}

type mailContext struct{}

// mailFor is the mail of a call of f, or nil.
func mailFor(ctx context.Context, f *function) *mail {
	if !f.takes && !f.gives {
		return nil
	}
	m, _ := ctx.Value(mailContext{}).(*mail)
	return m
}

// hold notes Blobs that end with the call.
func (m *mail) hold(blobs []wire.Blob) {
	if m != nil {
		m.held = append(m.held, blobs...)
	}
}

// load makes ready what goes with the output.
func (m *mail) load(blobs []wire.Blob) (err error) {
	if m != nil && len(blobs) > 0 {
		m.out, err = load(blobs, m.limit)
	}
	return err
}

// close ends the function's part: what is in out goes on.
func (m *mail) close() {
	if m == nil {
		return
	}
	for _, b := range m.held {
		b.Close()
	}
	m.in.drop()
	if m.done != nil {
		m.done()
	}
}

// ship sends what goes with an answer, whose frame gets the kind that says so.
func (m *mail) ship(id uint64, frame []byte, send func(k wire.Kind, id uint64, p wire.Parcel, files []*os.File) error) error {
	if m == nil || m.out == nil {
		return nil
	}
	defer m.out.close()
	files, err := m.out.files()
	if err == nil {
		err = send(wire.KindReturn, id, m.out.parcel, files)
	}
	if err == nil {
		wire.SetKind(frame, wire.KindBlobAnswer)
	}
	return err
}

// parcels are the deliveries to a worker, by the ids of their calls: a parcel may
// come before its call or after it.
type parcels struct {
	mu sync.Mutex
	m  map[uint64]*delivery
}

// of returns the delivery of a call.
func (p *parcels) of(id uint64) *delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.m[id]
	if d == nil {
		if p.m == nil {
			p.m = map[uint64]*delivery{}
		}
		d = newDelivery(standard.patience, nil)
		p.m[id] = d
	}
	return d
}

// drop is for a call that is over, or will not be run. The parcel of one that was
// cancelled has come before the cancel.
func (p *parcels) drop(id uint64) {
	p.mu.Lock()
	d := p.m[id]
	delete(p.m, id)
	p.mu.Unlock()
	d.drop()
}

// came takes a parcel.
func (p *parcels) came(id uint64, body []byte, fds []int, limit int64) {
	parcel, err := wire.ParseParcel(body)
	var c *cargo
	if err == nil {
		c, _, err = unpack(parcel, fds, limit)
	} else {
		sealed.Discard(fds...)
	}
	p.of(id).put(c, err)
}

// mail is that of a call that is about to run.
func (w *worker) mail(id uint64) *mail {
	return &mail{in: w.parcels.of(id), done: func() { w.parcels.drop(id) }, limit: w.setup.Blobs}
}
