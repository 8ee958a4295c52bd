package wire

import (
	"encoding/binary"
	"math"
)

// The frame header: 16 bytes, numbers big-endian.
//
//	0      1      2       3         4           8          16
//	magic  kind   flags   version   body length   id         body ...
const (
	// Version is the protocol version this package speaks; it stands in every header.
	Version = 1
	// HeaderSize is the length of a frame's header in bytes.
	HeaderSize = 16

	magic        = 0x56 // 'V'
	flagOptional = 0x01 // a receiver that does not know the kind skips the frame
)

// Limits on the length of a frame's body, in bytes.
const (
	// ControlLimit holds for every frame on the control channel, on both sides.
	ControlLimit = 1 << 20
	// ReportLimit holds for error, panic and progress frames where the announced limit is lower. Every report that fits the
	// limits of its parts fits into it.
	ReportLimit = 1 << 20
	// DefaultLimit is what a parent announces for the call channel when its user has not chosen.
	DefaultLimit = 16 << 20
	// MaxLimit is the highest limit that may be announced.
	MaxLimit = 1 << 30
)

// Frame is one unit on the wire.
type Frame struct {
	Kind Kind
	ID   uint64 // the call it is about; 0: none
	Body []byte // one CBOR data item, or empty where the kind says so

	reader *Reader // whose memory Body is; nil: somebody else's
}

// Take returns the body for keeps. Of a large frame it is the memory into which the reader has read it, and which then
// is nobody else's; else it is a copy. It may be called once, before the reader's following Next, by whoever may call that.
func (f Frame) Take() []byte {
	if f.reader != nil {
		return f.reader.take(f.Body)
	}
	return append(make([]byte, 0, len(f.Body)), f.Body...)
}

// Begin appends the header of a frame whose body the caller appends next; [End] then fills in the length.
func Begin(dst []byte, k Kind, id uint64) []byte {
	dst = append(dst, magic, byte(k), 0, Version, 0, 0, 0, 0)
	return binary.BigEndian.AppendUint64(dst, id)
}

// SetID writes the id into the header of a whole frame, for a sender that encodes first and numbers its calls in the
// order in which it sends them.
func SetID(frame []byte, id uint64) { binary.BigEndian.PutUint64(frame[8:HeaderSize], id) }

// SetKind writes the kind into the header of a whole frame, for a sender that encodes first and then knows.
func SetKind(frame []byte, k Kind) { frame[1] = byte(k) }

// HeadOf returns the kind of the frame that begins b, and its length with the header. It checks nothing: b is the
// caller's own, and has [HeaderSize] bytes at least.
func HeadOf(b []byte) (k Kind, size int) {
	return Kind(b[1]), HeaderSize + int(binary.BigEndian.Uint32(b[4:]))
}

// End completes the frame that begins at dst[start], start being the length of dst before [Begin]. A body longer than
// limit bytes is a [*SizeError]; the caller then truncates dst to start and nothing has been sent.
func End(dst []byte, start, limit int) error { return EndSplit(dst, start, 0, limit) }

// EndSplit is End for a frame of whose body the last tail bytes are sent from elsewhere, behind dst.
func EndSplit(dst []byte, start, tail, limit int) error {
	size := len(dst) + tail - start - HeaderSize
	if size > limit || uint64(size) > math.MaxUint32 {
		return &SizeError{Kind: Kind(dst[start+1]), Size: uint64(size), Limit: limit}
	}
	binary.BigEndian.PutUint32(dst[start+4:], uint32(size))
	return nil
}

// AppendFrame appends a whole frame. The body must be shorter than 4 GiB; checking it against the receiver's limit
// is the caller's business.
func AppendFrame(dst []byte, k Kind, id uint64, body []byte) []byte {
	start := len(dst)
	dst = append(Begin(dst, k, id), body...)
	binary.BigEndian.PutUint32(dst[start+4:], uint32(len(body)))
	return dst
}

// Check reports what is wrong with f on channel c in direction d: a kind that does not belong there, an id that is
// missing or must not be there, a body that is missing or must not be there. The error is a [*ProtocolError].
func (f Frame) Check(c Channel, d Direction) error {
	t, ok := f.Kind.traits()
	switch {
	case !ok:
		return &ProtocolError{Fault: UnknownKind, Kind: f.Kind, Got: uint64(f.Kind)}
	case t.channel != c || t.direction != d:
		return &ProtocolError{Fault: Misplaced, Kind: f.Kind, Got: uint64(f.Kind), Channel: c, Direction: d}
	case t.id == idZero && f.ID != 0, t.id == idCall && f.ID == 0:
		return &ProtocolError{Fault: BadID, Kind: f.Kind, Got: f.ID}
	case t.empty != (len(f.Body) == 0):
		return &ProtocolError{Fault: BadLength, Kind: f.Kind, Got: uint64(len(f.Body))}
	}
	return nil
}

// header is a frame's first 16 bytes, taken apart.
type header struct {
	kind  Kind
	flags byte
	size  uint32
	id    uint64
}

// parseHeader checks the fixed part of b, which must be HeaderSize bytes long or longer.
func parseHeader(b []byte) (header, error) {
	h := header{Kind(b[1]), b[2], binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint64(b[8:])}
	switch {
	case b[0] != magic:
		return h, &ProtocolError{Fault: BadMagic, Got: uint64(b[0])}
	case b[3] != Version:
		return h, &ProtocolError{Fault: BadVersion, Kind: h.kind, Got: uint64(b[3])}
	case h.kind == 0, !h.kind.Known() && h.flags&flagOptional == 0:
		return h, &ProtocolError{Fault: UnknownKind, Kind: h.kind, Got: uint64(h.kind)}
	case h.kind.Known() && h.flags != 0, h.flags&^flagOptional != 0:
		return h, &ProtocolError{Fault: BadFlags, Kind: h.kind, Got: uint64(h.flags)}
	}
	return h, nil
}
