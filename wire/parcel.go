package wire

import (
	"fmt"
	"math"
)

// MaxBlobs is how many different Blobs one input, or one output, may have.
const MaxBlobs = 32

// CapBlobs is the capability of a worker that takes and gives Blobs.
const CapBlobs = "blobs"

// BlobRef is how a frame names a Blob.
type BlobRef struct {
	_      struct{} `cbor:",toarray"`
	Number uint64   // that its sender has given it
	Size   int64    // bytes
}

// append appends what stands in a value for the Blob.
func (r BlobRef) append(dst []byte) []byte {
	return appendUint(appendUint(appendHead(dst, majorArray, 2), r.Number), uint64(r.Size))
}

// blobRef takes what append writes.
func (c *cursor) blobRef() BlobRef {
	const what = "a blob: an array of 2, or a byte string"
	c.array(2, what)
	r := BlobRef{Number: c.expect(majorUint, what)}
	n := c.expect(majorUint, "the size of a blob")
	if n > math.MaxInt64 {
		c.fail(&tooLong{"a blob", n, math.MaxInt64})
	}
	r.Size = int64(n)
	return r
}

// Parcel is the body of a parcel or return frame, with which the descriptors of a call's Blobs travel, in this order;
// the frame's id names the call.
type Parcel struct {
	Blobs []BlobRef `cbor:"1,keyasint"` // each once
}

// Append appends the body. k is [KindParcel] or [KindReturn].
func (p Parcel) Append(dst []byte) ([]byte, error) {
	return appendControl(dst, KindParcel, &p, p.check())
}

// ParseParcel takes the body of a parcel or return frame apart. The error is a [*DecodeError].
func ParseParcel(body []byte) (Parcel, error) {
	return parseControl(body, KindParcel, Parcel.check)
}

// Size is how many bytes the Blobs have together.
func (p Parcel) Size() (sum int64) {
	for _, b := range p.Blobs {
		sum += b.Size
	}
	return sum
}

func (p Parcel) check() error {
	if len(p.Blobs) > MaxBlobs {
		return &tooLong{"a parcel", uint64(len(p.Blobs)), MaxBlobs}
	}
	seen := make(map[uint64]bool, len(p.Blobs))
	sum := int64(0)
	for _, b := range p.Blobs {
		if b.Size < 0 || b.Size > math.MaxInt64-sum {
			return fmt.Errorf("a blob of %d bytes", b.Size)
		}
		if seen[b.Number] {
			return fmt.Errorf("the blob %d twice", b.Number)
		}
		seen[b.Number], sum = true, sum+b.Size
	}
	return nil
}
