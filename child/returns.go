package child

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/verdigris-go/verdigris/internal/sealed"
	"github.com/verdigris-go/verdigris/wire"
)

// freight is what travels beside a call and its answer. A nil freight is that of
// functions without Blobs.
type freight struct {
	cargo *cargo     // of the input
	files []*os.File // of the cargo, until they are sent
	send  func(id uint64, p wire.Parcel, files []*os.File) error
	back  *delivery // of the output; nil if there can be none
}

// load makes ready what goes with a call, and what may come back.
func (r *run) load(req *Request) (f *freight, err error) {
	if !req.fn.takes && !req.fn.gives {
		return nil, nil
	}
	f = &freight{send: func(id uint64, p wire.Parcel, files []*os.File) error {
		return r.control.ship(wire.KindParcel, id, p, files)
	}}
	if req.load != nil {
		if f.cargo, err = req.load(r.cfg.MaxBlob); err == nil {
			f.files, err = f.cargo.files()
		}
	}
	if err != nil {
		f.cargo.close()
		return nil, &encodeError{req.fn.name, &codecError{req.fn.name, "input", err}}
	}
	if req.fn.gives {
		f.back = newDelivery(r.cfg.tune.patience, func() {
			r.ended(&protocolError{fmt.Sprintf("an answer with blobs and then, for %v, not the blobs", r.cfg.tune.patience)})
		})
	}
	return f, nil
}

// post sends the parcel of a call that has just got its id.
func (f *freight) post(id uint64) error {
	if f == nil || len(f.files) == 0 {
		return nil
	}
	files := f.files
	f.files = nil
	return f.send(id, f.cargo.parcel, files)
}

// unload gives back what belongs to the call: it is settled, or was not sent.
func (f *freight) unload() {
	if f != nil {
		closeAll(f.files...)
		f.cargo.close()
	}
}

// leave is for a caller that goes, or will take nothing any more.
func (f *freight) leave() {
	if f != nil {
		f.back.drop()
	}
}

// returns are the deliveries of answers that have come before their Blobs, by
// the ids of their calls. Those of calls on their way are with the calls.
type returns struct {
	mu   sync.Mutex
	late map[uint64]*delivery
}

// maxLate bounds them. A worker that keeps to the protocol has few: it sends
// what belongs to an answer first.
const maxLate = 1024

// expects notes that Blobs belong to an answer.
func (r *run) expects(f wire.Frame) error {
	r.returns.mu.Lock()
	defer r.returns.mu.Unlock()
	of := r.calls.peek(f.ID)
	if !of.open {
		return r.unknownTo(f)
	}
	if err := r.faulty(of.feed, f); err != nil {
		return err
	}
	if of.freight == nil || of.freight.back == nil {
		return &protocolError{fmt.Sprintf("blobs with an answer to call %d, which has none", f.ID)}
	}
	if of.freight.back.here() {
		return nil
	}
	if r.returns.late == nil {
		r.returns.late = map[uint64]*delivery{}
	}
	r.returns.late[f.ID] = of.freight.back
	if len(r.returns.late) > maxLate {
		return &protocolError{fmt.Sprintf("more than %d answers with blobs and not the blobs", maxLate)}
	}
	return nil
}

// returned takes the Blobs of an answer, which may have come already, or come soon.
func (r *run) returned(id uint64, body []byte, fds []int) error {
	p, err := wire.ParseParcel(body)
	if err != nil {
		sealed.Discard(fds...)
		return err
	}
	c, lost, err := unpack(p, fds, r.cfg.MaxBlob)
	if err != nil && !lost {
		return &protocolError{err.Error()}
	}
	r.returns.mu.Lock()
	defer r.returns.mu.Unlock()
	if d := r.waiting(id); d == nil || !d.put(c, err) {
		c.close()
		return &protocolError{fmt.Sprintf("descriptors for call %d, which waits for none", id)}
	}
	return nil
}

// waiting finds the delivery of a call, or nil; returns.mu is held.
func (r *run) waiting(id uint64) *delivery {
	if d := r.returns.late[id]; d != nil {
		delete(r.returns.late, id)
		return d
	}
	if of := r.calls.peek(id); of.freight != nil && id <= r.started() {
		return of.freight.back
	}
	return nil
}

var errCargoOfTheDead = errors.New("the worker ended before the blobs of its answer came")

// close tells those who still wait that nothing will come any more.
func (t *returns) close(crash *CrashError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range t.late {
		d.put(nil, fmt.Errorf("%w: %w", errCargoOfTheDead, crash))
	}
	clear(t.late)
}
