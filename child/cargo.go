package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/internal/sealed"
	"github.com/verdigris-go/verdigris/wire"
)

// cargo is what travels beside an input or an output: Blobs, and how the frame
// calls them.
type cargo struct {
	parcel wire.Parcel
	blobs  []wire.Blob // our own, to be closed
}

// load makes the cargo of what is to be sent. The Blobs stay their owners': their
// data is there as long as the cargo, whatever the owners do.
func load(blobs []wire.Blob, limit int64) (*cargo, error) {
	c := &cargo{}
	for _, b := range blobs {
		clone, err := b.Clone()
		if err != nil {
			c.close()
			return nil, err
		}
		c.parcel.Blobs = append(c.parcel.Blobs, b.Ref())
		c.blobs = append(c.blobs, clone)
	}
	switch {
	case len(blobs) > wire.MaxBlobs:
		c.close()
		return nil, fmt.Errorf("it has %d blobs, the limit is %d", len(blobs), wire.MaxBlobs)
	case c.parcel.Size() > limit:
		c.close()
		return nil, fmt.Errorf("its blobs have %d bytes, the limit is %d (Config.MaxBlob)", c.parcel.Size(), limit)
	}
	return c, nil
}

// unpack makes the cargo of what has been received, and believes nothing of it.
// lost says that the other side is not to blame.
func unpack(p wire.Parcel, fds []int, limit int64) (c *cargo, lost bool, err error) {
	c = &cargo{parcel: p}
	switch {
	case len(fds) > len(p.Blobs):
		err = fmt.Errorf("%d descriptors for %d blobs", len(fds), len(p.Blobs))
	case p.Size() > limit:
		err = fmt.Errorf("blobs of %d bytes, beyond the limit of %d", p.Size(), limit)
	case len(fds) < len(p.Blobs):
		lost, err = true, fmt.Errorf("%d of %d descriptors of its blobs were lost: one of the two programs has too many open", len(p.Blobs)-len(fds), len(p.Blobs))
	}
	taken := 0
	for ; err == nil && taken < len(fds); taken++ {
		err = c.take(fds[taken], p.Blobs[taken].Size)
	}
	if err != nil {
		sealed.Discard(fds[taken:]...)
		c.close()
		return nil, lost, err
	}
	return c, false, nil
}

// take takes one descriptor in.
func (c *cargo) take(fd int, size int64) error {
	file, err := sealed.Take(fd, "blob")
	if err != nil {
		return fmt.Errorf("what is no blob: %w", err)
	}
	b, err := wire.OpenBlob(file)
	if err != nil {
		file.Close()
		return fmt.Errorf("what is no blob: %w", err)
	}
	c.blobs = append(c.blobs, b)
	if b.Size() != size {
		return fmt.Errorf("a blob of %d bytes for one of %d", b.Size(), size)
	}
	return nil
}

// files are descriptors to be sent. They belong to the caller.
func (c *cargo) files() (files []*os.File, err error) {
	for _, b := range c.blobs {
		f, err := b.File()
		if err != nil {
			closeAll(files...)
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func (c *cargo) close() {
	if c == nil {
		return
	}
	for _, b := range c.blobs {
		b.Close()
	}
}

// delivery is a cargo on its way to the one who waits for it. It is put once, and
// taken or dropped once, in any order. What nobody takes is closed. All methods
// may be called from any goroutine; a nil delivery brings nothing.
type delivery struct {
	patience time.Duration
	blame    func() // told when patience is at an end; may be nil
	came     chan struct{}

	mu   sync.Mutex
	been bool // put has been called
	over bool // it was taken or dropped
	c    *cargo
	err  error
}

var (
	errNoCargo   = errors.New("no blobs have come along")
	errLateCargo = errors.New("its blobs have not come in time")
)

func newDelivery(patience time.Duration, blame func()) *delivery {
	return &delivery{patience: patience, blame: blame, came: make(chan struct{})}
}

// put reports false if that was not the first time; the cargo is then closed.
func (d *delivery) put(c *cargo, err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.been {
		c.close()
		return false
	}
	if d.been = true; d.over {
		c.close()
		return true
	}
	d.c, d.err = c, err
	close(d.came)
	return true
}

// here reports whether there is nothing more to come.
func (d *delivery) here() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.been
}

// take waits for the cargo, which belongs to the caller then.
func (d *delivery) take(ctx context.Context) (wire.Parcel, []wire.Blob, error) {
	if d == nil {
		return wire.Parcel{}, nil, errNoCargo
	}
	if err := d.await(ctx); err != nil {
		return wire.Parcel{}, nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.err != nil:
		return wire.Parcel{}, nil, d.err
	case d.over, d.c == nil:
		return wire.Parcel{}, nil, errNoCargo
	}
	d.over = true
	return d.c.parcel, d.c.blobs, nil
}

func (d *delivery) await(ctx context.Context) error {
	if isClosed(d.came) {
		return nil
	}
	timer := time.NewTimer(d.patience)
	defer timer.Stop()
	select {
	case <-d.came:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		if d.blame != nil {
			d.blame()
		}
		return errLateCargo
	}
}

// drop closes what has come and what will.
func (d *delivery) drop() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return
	}
	if d.over = true; d.been {
		d.c.close()
	} else {
		close(d.came) // there is nothing to wait for
	}
}
