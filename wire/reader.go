package wire

import "io"

const (
	baseBuffer  = 16 << 10 // the buffer a reader starts with and returns to
	roomyBuffer = 2 << 20  // a larger buffer is given back before the next frame
	calmFrames  = 16       // any other after so many frames in a row that fill less than a quarter of it
	trust       = 16       // bytes of memory for each that has arrived, at most
)

// Reader takes frames off a byte stream. It never believes a length: memory grows only as bytes arrive, to at most
// 16 times what has arrived plus 16 KiB, and shrinks again after large frames.
//
// A Reader is not safe for concurrent use.
type Reader struct {
	src   io.Reader
	limit int
	buf   []byte // buf[r:w] has been read and not yet returned
	r, w  int
	last  int    // size of the latest frame
	calm  int    // small frames in a row while the buffer is larger than baseBuffer
	spare []byte // what buf was before it was made for a large frame, until that is taken
	err   error  // a broken protocol: nothing after it can be trusted
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
			return Frame{Kind: h.kind, ID: h.id, Body: body, reader: r}, nil
		}
	}
}

// Buffered returns how many bytes have been read from the source and not yet returned as frames. Zero after Next
// means that the next call will have to wait for the source.
func (r *Reader) Buffered() int { return r.w - r.r }

// take gives the latest frame's body away, with the buffer that was made for it, or copies it.
func (r *Reader) take(body []byte) []byte {
	if len(r.buf) <= baseBuffer || r.last < len(r.buf)/2 {
		return append(make([]byte, 0, len(body)), body...)
	}
	left := r.buf[r.r:r.w]
	if r.buf = r.spare; len(left) > len(r.buf) {
		r.buf = make([]byte, max(baseBuffer, len(left)))
	}
	r.r, r.w, r.spare, r.calm = 0, copy(r.buf, left), nil, 0
	return body
}

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
		got, err := r.src.Read(r.room(n))
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

// room makes space behind r.w for at least one byte of a unit of n bytes that begins at r.r, and returns it. A unit that
// is larger than the buffer gets one of its own as soon as enough of it has come; until then no more is read than that,
// so that little has to be copied.
func (r *Reader) room(n int) []byte {
	have, enough := r.w-r.r, (n+trust-1)/trust
	switch {
	case r.r+n <= len(r.buf):
	case n <= len(r.buf):
		r.move(r.buf)
	case have >= enough:
		r.grow(n)
	case have == len(r.buf):
		r.grow(max(baseBuffer, min(enough, trust*have)))
	case r.w == len(r.buf):
		r.move(r.buf)
	}
	if n > len(r.buf) {
		return r.buf[r.w:min(len(r.buf), r.r+enough)]
	}
	return r.buf[r.w:]
}

// grow makes a larger buffer. The present one is for the frames behind this, if it is not large itself.
func (r *Reader) grow(size int) {
	if len(r.buf) <= roomyBuffer {
		r.spare = r.buf
	}
	r.move(make([]byte, size))
}

// move moves what has been read to the beginning of buf, which is the buffer from then on.
func (r *Reader) move(buf []byte) {
	r.w = copy(buf, r.buf[r.r:r.w])
	r.buf, r.r = buf, 0
}

// settle makes the reader ready for the next frame and gives a large buffer back: a very large one at once, another
// once the frames have become small again.
func (r *Reader) settle() {
	have := r.w - r.r
	if have == 0 {
		r.r, r.w = 0, 0
	}
	r.spare = nil
	if len(r.buf) <= baseBuffer {
		return
	}
	if r.calm++; r.last > len(r.buf)/4 {
		r.calm = 0
	}
	if have <= baseBuffer && (len(r.buf) > roomyBuffer || r.calm >= calmFrames) {
		r.move(make([]byte, baseBuffer))
		r.calm = 0
	}
}
