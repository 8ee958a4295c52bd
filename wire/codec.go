package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"sync"
	"unicode/utf8"
	"unsafe"
)

// Codec turns values of one type into CBOR items and back. Make it with [CodecFor]; the zero Codec cannot be used.
//
// A Codec may be used by any number of goroutines at once.
type Codec[T any] struct{ plan *plan }

// plan is what is known about a type once and for all.
type plan struct {
	name      string
	signature string
	check     checker    // nil: every value can be carried
	direct    *direct    // nil: only the library can carry them
	blobs     blobFinder // nil: values have none
	blobPath  string     // of one of them
	boxes     sync.Pool  // *box[T], so that neither encoding nor decoding has to allocate one
}

// box is where a value of T is while it is encoded or decoded.
type box[T any] struct {
	value T
	walk  walk
}

// CodecFor returns the codec of T, or a [*TypeError] if values of T would not come out the same on the other side.
func CodecFor[T any]() (Codec[T], error) {
	t := reflect.TypeFor[T]()
	signature, err := signatureOf(t)
	if err != nil {
		return Codec[T]{}, err
	}
	p := &plan{name: t.String(), signature: signature, check: checkerOf(t), direct: directOf(t)}
	p.blobs, p.blobPath = blobsOf(t)
	p.boxes.New = func() any { return new(box[T]) }
	return Codec[T]{p}, nil
}

// Signature describes T as it is on the wire, in at most 256 bytes; types with the same signature have the same
// encodings. Separate binaries compare it in the handshake. docs/wire.md has the grammar.
func (c Codec[T]) Signature() string { return c.plan.signature }

// Append appends v as one CBOR item. A value that the other side would refuse is an [*EncodeError]; dst is then
// returned as it was.
//
// Methods by which v encodes itself run on the calling goroutine; their panics are not recovered.
func (c Codec[T]) Append(dst []byte, v T) ([]byte, error) {
	switch p := any(&v).(type) {
	case *[]byte:
		return appendBytes(dst, *p), nil
	case *string:
		if !utf8.ValidString(*p) {
			return dst, &EncodeError{c.plan.name, errUTF8}
		}
		return appendText(dst, *p), nil
	default:
		b := c.plan.boxes.Get().(*box[T])
		b.value = v
		out, err := c.plan.encode(dst, &b.value)
		c.release(b)
		return out, err
	}
}

// AppendSplit is [Codec.Append] for a sender that can send memory from where it lies. What a byte slice or a string of
// LongString bytes or more holds is not appended: it is tail, which belongs behind out, and is still the caller's.
// Otherwise tail is nil. Nobody may write to it.
func (c Codec[T]) AppendSplit(dst []byte, v T) (out, tail []byte, err error) {
	switch p := any(&v).(type) {
	case *[]byte:
		if len(*p) >= LongString {
			return appendHead(dst, majorBytes, uint64(len(*p))), *p, nil
		}
	case *string:
		if len(*p) >= LongString && utf8.ValidString(*p) {
			return appendHead(dst, majorText, uint64(len(*p))), unsafe.Slice(unsafe.StringData(*p), len(*p)), nil
		}
	}
	out, err = c.Append(dst, v)
	return out, nil, err
}

// LongString is the length in bytes from which it pays to send a string from where it lies.
const LongString = 16 << 10

// Decode takes a value out of a body that is exactly one CBOR item. Every byte is checked before it is believed, and the
// value never aliases body. The error is a [*DecodeError], also when a method by which the value decodes itself panics.
func (c Codec[T]) Decode(body []byte) (T, error) { return c.decode(body, false) }

// Adopt is [Codec.Decode] of a body that is nobody else's, and from then on the value's: a byte slice or a string that
// makes up half of it or more is not copied out of it.
func (c Codec[T]) Adopt(body []byte) (T, error) { return c.decode(body, true) }

func (c Codec[T]) decode(body []byte, adopt bool) (v T, err error) {
	switch p := any(&v).(type) {
	case *[]byte:
		*p, err = decodeBytes(body, adopt)
	case *string:
		*p, err = decodeString(body, adopt)
	default:
		b := c.plan.boxes.Get().(*box[T])
		b.walk.adopt = adopt
		if err = c.plan.decode(body, &b.value, &b.walk); err == nil {
			v = b.value
		}
		c.release(b)
	}
	if err != nil {
		err = &DecodeError{c.plan.name, err}
	}
	return v, err
}

// release clears a box, so that it keeps nothing alive and gives nothing away, and puts it back.
func (c Codec[T]) release(b *box[T]) {
	*b = box[T]{}
	c.plan.boxes.Put(b)
}

// encode appends the value that ptr points to.
func (p *plan) encode(dst []byte, ptr any) ([]byte, error) {
	if out, ok := p.direct.encode(dst, reflect.ValueOf(ptr).Elem()); ok {
		return out, nil
	}
	return p.encodeByLibrary(dst, ptr)
}

// decode decodes body into the zero value that ptr points to.
func (p *plan) decode(body []byte, ptr any, w *walk) error {
	v := reflect.ValueOf(ptr).Elem()
	if p.direct.decode(w, body, v) {
		return nil
	}
	v.SetZero()
	return decodeByLibrary(body, ptr)
}

// encodeByLibrary appends the value that ptr points to and checks the result by the receiver's rules.
func (p *plan) encodeByLibrary(dst []byte, ptr any) ([]byte, error) {
	if p.check != nil {
		if err := p.check(reflect.ValueOf(ptr).Elem(), 0); err != nil {
			return dst, &EncodeError{p.name, err}
		}
	}
	out, err := appendValue(dst, ptr)
	if err == nil {
		err = valid(out[len(dst):])
	}
	if err != nil {
		return dst, &EncodeError{p.name, err}
	}
	return out, nil
}

// decodeByLibrary checks body and decodes it into the value that ptr points to. Methods by which the value decodes itself
// may panic over bytes that a broken worker has made up; that must not end this process.
func decodeByLibrary(body []byte, ptr any) (err error) {
	if err := valid(body); err != nil {
		return err
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic while decoding: %v", v)
		}
	}()
	return shared().dec.Unmarshal(body, ptr)
}

// buffers are the shells by which the CBOR library appends to a slice of ours.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// appendValue appends what v points to, without a check.
func appendValue(dst []byte, v any) ([]byte, error) {
	buf := buffers.Get().(*bytes.Buffer)
	*buf = *bytes.NewBuffer(dst)
	err := shared().enc.MarshalToBuffer(v, buf)
	out := buf.Bytes()
	*buf = bytes.Buffer{}
	buffers.Put(buf)
	return out, err
}

// appendBytes appends a byte string, or null for a nil slice.
func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, itemNull)
	}
	return append(appendHead(dst, majorBytes, uint64(len(b))), b...)
}

// decodeBytes takes the one byte string that body is; null is a nil slice.
func decodeBytes(body []byte, adopt bool) ([]byte, error) {
	c := newCursor(body)
	if c.null() {
		return nil, c.done()
	}
	b := c.take(c.expect(majorBytes, "a byte string"))
	if err := c.done(); err != nil {
		return nil, err
	}
	if adopt && adoptable(b, body) {
		return b, nil
	}
	return append(make([]byte, 0, len(b)), b...), nil
}

// decodeString takes the one text string that body is. Null is the empty text, as the CBOR library has it.
func decodeString(body []byte, adopt bool) (string, error) {
	c := newCursor(body)
	if c.null() {
		return "", c.done()
	}
	s := c.text(len(body), "a text string")
	if err := c.done(); err != nil {
		return "", err
	}
	if adopt && adoptable(s, body) {
		return unsafe.String(unsafe.SliceData(s), len(s)), nil
	}
	return string(s), nil
}

// adoptable reports whether b, a part of body, may keep all of it in memory. That an empty one would is not worth it.
func adoptable(b, body []byte) bool { return len(b) > 0 && 2*len(b) >= len(body) }
