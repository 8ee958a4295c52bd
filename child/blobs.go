package child

import (
	"context"

	"github.com/verdigris-go/verdigris/wire"
)

// What functions and their callers do for Blobs. Those without any pass by it.

// noBlob is why a Blob cannot stand where it does.
const noBlob = "a Blob can be in the input of a function or a stream and in the output of a function, nowhere else"

// decodeInput is in.Decode where the function runs.
func decodeInput[In any](ctx context.Context, m *mail, in wire.Codec[In], from input) (In, error) {
	if m == nil || in.BlobPath() == "" {
		return decode(in, from.item, from.owned)
	}
	v, err := in.DecodeBlobs(from.item, func() (wire.Parcel, []wire.Blob, error) { return m.in.take(ctx) })
	if err == nil {
		m.hold(in.Blobs(v))
	}
	return v, err
}

// takesBlobs gives a request what it needs for the Blobs of its input.
func takesBlobs[In any](req *Request, codec wire.Codec[In], in In) {
	req.load = func(limit int64) (*cargo, error) { return load(codec.Blobs(in), limit) }
	req.whole = func(dst []byte) ([]byte, error) { return codec.AppendWhole(dst, in) }
	req.identity = func(dst []byte) ([]byte, error) { return codec.AppendIdentity(dst, in) }
}

// givesBlobs gives a request what it needs for the Blobs of its output.
func givesBlobs[Out any](ctx context.Context, req *Request, codec wire.Codec[Out], out *Out) {
	var back *delivery
	req.back = &back
	req.decode = func(body []byte, _ bool) (err error) {
		*out, err = codec.DecodeBlobs(body, func() (wire.Parcel, []wire.Blob, error) { return back.take(ctx) })
		return err
	}
}

// from says where the Blobs of the output are. All copies of the request get to know.
func (r *Request) from(back *delivery) {
	if r.back != nil {
		*r.back = back
	}
}

// wholeInputs makes f able to keep inputs for later, see ReplayFiles.
func wholeInputs[In any](f *function, codec wire.Codec[In]) {
	if !f.takes {
		return
	}
	f.whole = func(input []byte, c *cargo) ([]byte, error) {
		v, err := codec.DecodeBlobs(input, func() (wire.Parcel, []wire.Blob, error) {
			copied, err := load(c.blobs, c.parcel.Size())
			if err != nil {
				return wire.Parcel{}, nil, err
			}
			return c.parcel, copied.blobs, nil
		})
		if err != nil {
			return nil, err
		}
		defer func() {
			for _, b := range codec.Blobs(v) {
				b.Close()
			}
		}()
		return codec.AppendWhole(nil, v)
	}
}
