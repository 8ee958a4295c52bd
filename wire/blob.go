package wire

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/verdigris-go/verdigris/internal/sealed"
)

// Blob is data that is handed over to another process and not copied: a file in memory that is sealed, so that nobody
// can change it any more, whoever has made it. It may stand wherever a value of a function's input or output may: as a
// field, in a slice, in a map; not as an item of a stream, nor in the configuration of a state.
//
// [NewBlob], [ReadBlob], [FillBlob], a [BlobWriter] and [OpenBlob] make one. A copy of a Blob is the same Blob. The zero
// Blob is none: it has no bytes, and comes out as the zero Blob.
//
// # Who closes it
//
// A Blob belongs to who has made it, or has been given it: to a caller its inputs, which must stay open until the call
// has returned, and the outputs that it gets; to the library, in a worker, both the inputs and the outputs of a
// function. It closes them when the call is over; a function that wants to keep one takes a [Blob.Clone].
//
// The memory is given back when all Blobs of the same data are closed, in all processes. A Blob that is forgotten gives
// its descriptor back when it is collected, but not what Bytes has returned, since nobody can know whether that is
// still read.
//
// # Concurrency
//
// All methods may be called from any goroutine. Close waits for reads that are going on, but knows nothing of who uses
// the slice that Bytes has returned.
type Blob struct{ ref *blobRef }

// blobRef is what a Blob and its copies share. All but content is set once.
type blobRef struct {
	number uint64 // what it is called in a frame: our own, or the sender's until it has been found
	size   int64  // bytes
	form   blobForm
	*blobContent
}

// blobForm is how a Blob is written.
type blobForm uint8

const (
	byReference blobForm = iota // [number, size]: the descriptor goes another way
	byValue                     // its bytes
	byDigest                    // [SHA-256, size]: what it is recognised by; never read
)

// blobContent is the data, and what has to be given back. nil: it has not come, or not been found.
type blobContent struct {
	mu     sync.RWMutex
	closed bool
	file   *os.File // sealed; nil while it is in mem only
	mem    []byte   // the bytes: mapped when there is a file, else of the heap; nil while nobody has asked
	heap   bool     // mem is of the heap
	digest []byte   // nil while nobody has asked
}

// BlobError says why a Blob could not be made or read. After Close it matches os.ErrClosed.
type BlobError struct {
	Op  string // such as "read"
	Err error
}

// Error names what was tried and wraps the cause.
func (e *BlobError) Error() string { return fmt.Sprintf("wire: %s blob: %v", e.Op, e.Err) }

// Unwrap returns the cause.
func (e *BlobError) Unwrap() error { return e.Err }

var errLost = errors.New("its data has not come along; a type that encodes itself cannot have a Blob inside")

var blobNumbers atomic.Uint64

func newBlob(size int64, c *blobContent) Blob {
	return Blob{&blobRef{number: blobNumbers.Add(1), size: size, blobContent: c}}
}

// IsZero reports whether b is none.
func (b Blob) IsZero() bool { return b.ref == nil }

// Size is how many bytes b has, also when it is closed.
func (b Blob) Size() int64 {
	if b.ref == nil {
		return 0
	}
	return b.ref.size
}

// String says what it is and how large, not what is in it.
func (b Blob) String() string {
	if b.ref == nil {
		return "no blob"
	}
	return fmt.Sprintf("blob of %d bytes", b.ref.size)
}

// Bytes returns the data. It is mapped into memory at the first call and stays there until Close: to read the slice
// after that ends the program, and so does to write to it. It counts neither for the Go heap nor for its collector.
func (b Blob) Bytes() (data []byte, err error) {
	err = b.use("map", true, func(c *blobContent) error {
		if c.mem == nil && b.ref.size > 0 {
			c.mem, err = sealed.Map(c.file, b.ref.size, false)
		}
		data = c.mem
		return err
	})
	return data, err
}

// ReadAt reads as io.ReaderAt does.
func (b Blob) ReadAt(p []byte, off int64) (n int, err error) {
	failed := b.use("read", false, func(c *blobContent) error {
		switch {
		case off < 0:
			return errors.New("a negative offset")
		case c.file == nil:
			n, err = bytes.NewReader(c.mem).ReadAt(p, off)
		default:
			n, err = c.file.ReadAt(p, off)
		}
		if err == io.EOF {
			return nil
		}
		return err
	})
	if failed == nil && n < len(p) {
		failed = io.EOF
	}
	return n, failed
}

// Reader returns a reader of all the data.
func (b Blob) Reader() *io.SectionReader { return io.NewSectionReader(b, 0, b.Size()) }

// Clone returns another Blob of the same data, which is closed by itself. The data is not copied.
func (b Blob) Clone() (clone Blob, err error) {
	if b.ref == nil {
		return b, nil
	}
	err = b.use("clone", false, func(c *blobContent) error {
		other := &blobContent{digest: c.digest}
		if c.heap {
			other.mem, other.heap = c.mem, true
		}
		if c.file != nil {
			if other.file, err = sealed.Duplicate(c.file); err != nil {
				return err
			}
		}
		clone = newBlob(b.ref.size, other)
		return nil
	})
	return clone, err
}

// File returns a new descriptor of the sealed file, for another process; the caller closes it. It shares its offset with
// other descriptors of the data, so it should be read by ReadAt or be mapped. Only Linux has such files.
func (b Blob) File() (file *os.File, err error) {
	if b.ref == nil {
		return nil, &BlobError{"pass on", errors.New("there is none")}
	}
	err = b.use("pass on", true, func(c *blobContent) error {
		if c.file == nil {
			if c.file, err = sealedCopy(c.mem); err != nil {
				return err
			}
		}
		file, err = sealed.Duplicate(c.file)
		return err
	})
	return file, err
}

// Close gives the data back, as far as this Blob is concerned. It may be called more than once.
func (b Blob) Close() error {
	if b.ref == nil || b.ref.blobContent == nil {
		return nil
	}
	c := b.ref.blobContent
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	if c.mem != nil && !c.heap {
		_ = sealed.Unmap(c.mem) // fails only for what is no mapping
	}
	c.mem = nil
	if c.file != nil {
		c.file.Close()
	}
	return nil
}

// use runs f with the content, which is not closed meanwhile; alone says that nobody else may look at it either. The
// zero Blob has none, and that is no error.
func (b Blob) use(op string, alone bool, f func(*blobContent) error) error {
	if b.ref == nil {
		return nil
	}
	c := b.ref.blobContent
	if c == nil {
		return &BlobError{op, errLost}
	}
	if alone {
		c.mu.Lock()
		defer c.mu.Unlock()
	} else {
		c.mu.RLock()
		defer c.mu.RUnlock()
	}
	if c.closed {
		return &BlobError{op, os.ErrClosed}
	}
	if err := f(c); err != nil {
		return &BlobError{op, err}
	}
	return nil
}

// sum is the SHA-256 of the data, found out once.
func (b Blob) sum() (digest []byte, err error) {
	err = b.use("hash", false, func(c *blobContent) error { digest = c.digest; return nil })
	if err != nil || digest != nil {
		return digest, err
	}
	h := sha256.New()
	if _, err := io.Copy(h, b.Reader()); err != nil {
		return nil, err
	}
	digest = h.Sum(nil)
	return digest, b.use("hash", true, func(c *blobContent) error { c.digest = digest; return nil })
}

// MarshalCBOR writes b as this package does within a frame. It is of use to nobody else: where the data is, the frame
// does not say.
func (b Blob) MarshalCBOR() ([]byte, error) {
	if b.ref == nil {
		return []byte{itemNull}, nil
	}
	switch b.ref.form {
	case byValue:
		data := make([]byte, b.ref.size)
		if _, err := io.ReadFull(b.Reader(), data); err != nil {
			return nil, err
		}
		return appendBytes(nil, data), nil
	case byDigest:
		digest, err := b.sum()
		return appendUint(appendBytes(appendHead(nil, majorArray, 2), digest), uint64(b.ref.size)), err
	}
	open := func(*blobContent) error { return nil }
	return b.Ref().append(nil), b.use("send", false, open)
}

// UnmarshalCBOR reads what MarshalCBOR has written. What is not by value has to be found after that.
func (b *Blob) UnmarshalCBOR(item []byte) error {
	c := newCursor(item)
	if c.null() {
		*b = Blob{}
		return c.done()
	}
	if len(item) > 0 && item[0]&0xe0 == majorBytes {
		data, err := decodeBytes(item, false)
		*b = newBlob(int64(len(data)), &blobContent{mem: data, heap: true})
		return err
	}
	ref := c.blobRef()
	*b = Blob{&blobRef{number: ref.Number, size: ref.Size}}
	return c.done()
}

// Ref is how a frame names b.
func (b Blob) Ref() BlobRef {
	if b.ref == nil {
		return BlobRef{}
	}
	return BlobRef{Number: b.ref.number, Size: b.ref.size}
}
