package wire

import "io"

const (
	baseBuffer  = 16 << 10 // the buffer a reader starts with and returns to
	roomyBuffer = 2 << 20  // a larger buffer is given back before the next frame
	calmFrames  = 16       // any other after so many frames in a row that fill less than a quarter of it
)

// Reader takes frames off a byte stream. It never believes a length: memory grows only as bytes arrive, to at most
// twice what has arrived plus 16 KiB, and shrinks again after large frames.
//
// A Reader is not safe for concurrent use.
type Reader struct {
	src   io.Reader
	limit int
	buf   []byte // buf[r:w] has been read and not yet returned
	r, w  int
	last  int   // size of the latest frame
	calm  int   // small frames in a row while the buffer is larger than baseBuffer
	err   error // a broken protocol: nothing after it can be trusted
}

// NewReader returns a Reader that refuses bodies longer than limit bytes; for errors, panics and progress the limit is
// [ReportLimit] if that is higher.
func NewReader(src io.Reader, limit int) *Reader {
	return &Reader{src: src, limit: limit}
}

// Next returns the next frame. Its Body is valid until the following call of Next. Frames of an unknown kind that are
// marked optional are skipped.
//
// At the end of the stream Next returns [io.EOF] between two frames and [io.ErrUnexpectedEOF] inside one. A
// [*ProtocolError] or [*SizeError] is final. Any other error is the source's own and nothing is lost by it: after a
// passed read deadline, for example, Next may be called again and goes on where it was.
func (r *Reader) Next() (Frame, error) {
	for {
		h, err := r.header()
		if err != nil {
			return Frame{}, err
		}
		total := HeaderSize + int(h.size)
		if err := r.fill(total); err != nil {
			return Frame{}, err
		}
		body := r.buf[r.r+HeaderSize : r.r+total : r.r+total]
		r.r += total
		r.last = total
		if h.kind.Known() {
			return Frame{h.kind, h.id, body}, nil
		}
	}
}

// Buffered returns how many bytes have been read from the source and not yet returned as frames. Zero after Next
// means that the next call will have to wait for the source.
func (r *Reader) Buffered() int { return r.w - r.r }

// header makes the next frame's header available and checks it.
func (r *Reader) header() (header, error) {
	if r.err != nil {
		return header{}, r.err
	}
	r.settle()
	if err := r.fill(HeaderSize); err != nil {
		return header{}, err
	}
	h, err := parseHeader(r.buf[r.r:r.w])
	if limit := r.limitOf(h.kind); err == nil && int64(h.size) > int64(limit) {
		err = &SizeError{Kind: h.kind, Size: uint64(h.size), Limit: limit}
	}
	r.err = err
	return h, err
}

// limitOf is the longest body a frame of kind k may have here. A report must get across however small the limit for
// values is.
func (r *Reader) limitOf(k Kind) int {
	if k == KindError || k == KindPanic || k == KindProgress {
		return max(r.limit, ReportLimit)
	}
	return r.limit
}

// fill reads until n bytes are buffered from r.r on.
func (r *Reader) fill(n int) error {
	for idle := 0; r.w-r.r < n; {
		r.room(n)
		got, err := r.src.Read(r.buf[r.w:])
		r.w += got
		if idle++; got > 0 {
			idle = 0
		}
		switch {
		case r.w-r.r >= n:
			return nil
		case err == io.EOF && r.w > r.r:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case idle == 100:
			return io.ErrNoProgress
		}
	}
	return nil
}

// room makes space behind r.w for at least one byte of a unit of n bytes that begins at r.r. A larger buffer is made
// only when the present one is full, and at most twice as large.
func (r *Reader) room(n int) {
	have := r.w - r.r
	switch {
	case r.r+n <= len(r.buf):
	case n <= len(r.buf), r.r > 0 && have < len(r.buf)/2:
		copy(r.buf, r.buf[r.r:r.w])
		r.r, r.w = 0, have
	case r.w == len(r.buf):
		bigger := make([]byte, max(baseBuffer, min(n, 2*have)))
		copy(bigger, r.buf[r.r:r.w])
		r.buf, r.r, r.w = bigger, 0, have
	}
}

// settle makes the reader ready for the next frame and gives a large buffer back: a very large one at once, another
// once the frames have become small again.
func (r *Reader) settle() {
	have := r.w - r.r
	if have == 0 {
		r.r, r.w = 0, 0
	}
	if len(r.buf) <= baseBuffer {
		return
	}
	if r.calm++; r.last > len(r.buf)/4 {
		r.calm = 0
	}
	if have <= baseBuffer && (len(r.buf) > roomyBuffer || r.calm >= calmFrames) {
		smaller := make([]byte, baseBuffer)
		copy(smaller, r.buf[r.r:r.w])
		r.buf, r.r, r.w, r.calm = smaller, 0, have, 0
	}
}
