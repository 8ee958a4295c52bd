package wire

import (
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// Limits on one log record. A worker shortens what is longer.
const (
	MaxAttrs     = 128     // attributes, those in groups included
	MaxAttrText  = 4 << 10 // bytes of one text value
	maxAttrDepth = 8       // groups inside each other; deeper ones travel as text
)

// Log is one record of the worker's log/slog.
type Log struct {
	Time    time.Time // zero: none
	Level   slog.Level
	Message string
	Attrs   []slog.Attr // groups are nested; what is not of slog's basic kinds arrives as text
	Source  string      // such as "resize.go:31"; "": unknown
	Dropped uint64      // records the worker had to drop just before this one
}

// attrKind is the type of an attribute's value on the wire.
type attrKind uint64

const (
	attrText     attrKind = 0
	attrInt      attrKind = 1
	attrUint     attrKind = 2
	attrFloat    attrKind = 3
	attrBool     attrKind = 4
	attrDuration attrKind = 5 // nanoseconds
	attrTime     attrKind = 6
	attrGroup    attrKind = 7
)

// Append appends the body of a log frame. It never fails: texts beyond the limits are shortened with a remark, and if
// attributes had to be left out, the last one says how many.
func (l Log) Append(dst []byte) []byte {
	dst = appendHead(dst, majorMap, 6)
	dst = appendTime(appendUint(dst, 1), l.Time)
	dst = appendInt(appendUint(dst, 2), int64(l.Level))
	dst = appendBounded(appendUint(dst, 3), l.Message, MaxMessage)
	left := MaxAttrs
	dst = appendAttrs(appendUint(dst, 4), resolved(l.Attrs, 0, &left))
	dst = appendBounded(appendUint(dst, 5), l.Source, MaxAttrText)
	return appendUint(appendUint(dst, 6), l.Dropped)
}

// resolved returns the attributes as they can be sent: values resolved (slog.LogValuer) once, deep groups as text, and
// no more of them than left says. Where some had to be left out, a last one says how many.
func resolved(attrs []slog.Attr, depth int, left *int) []slog.Attr {
	out := make([]slog.Attr, 0, min(len(attrs), *left+1))
	for i, a := range attrs {
		if *left == 0 {
			return append(out, slog.Int("attributes left out", len(attrs)-i))
		}
		*left--
		v := a.Value.Resolve()
		switch {
		case v.Kind() == slog.KindGroup && depth < maxAttrDepth:
			v = slog.GroupValue(resolved(v.Group(), depth+1, left)...)
		case v.Kind() == slog.KindGroup:
			v = slog.StringValue(v.String())
		}
		out = append(out, slog.Attr{Key: a.Key, Value: v})
	}
	return out
}

// appendAttrs appends resolved attributes.
func appendAttrs(dst []byte, attrs []slog.Attr) []byte {
	dst = appendHead(dst, majorArray, uint64(len(attrs)))
	for _, a := range attrs {
		dst = appendHead(dst, majorArray, 3)
		dst = appendBounded(dst, a.Key, MaxName)
		dst = appendAttrValue(dst, a.Value)
	}
	return dst
}

// appendAttrValue appends a value's kind and the value.
func appendAttrValue(dst []byte, v slog.Value) []byte {
	kind := func(k attrKind) []byte { return appendUint(dst, uint64(k)) }
	switch v.Kind() {
	case slog.KindInt64:
		return appendInt(kind(attrInt), v.Int64())
	case slog.KindUint64:
		return appendUint(kind(attrUint), v.Uint64())
	case slog.KindFloat64:
		return appendFloat(kind(attrFloat), v.Float64())
	case slog.KindBool:
		return appendBool(kind(attrBool), v.Bool())
	case slog.KindDuration:
		return appendInt(kind(attrDuration), int64(v.Duration()))
	case slog.KindTime:
		if sendable(v.Time()) {
			return appendTime(kind(attrTime), v.Time())
		}
	case slog.KindGroup:
		return appendAttrs(kind(attrGroup), v.Group())
	}
	return appendBounded(kind(attrText), attrString(v), MaxAttrText)
}

// attrString is the text of a value, as slog's text handler has it.
func attrString(v slog.Value) string {
	if v.Kind() == slog.KindAny {
		return fmt.Sprintf("%+v", v.Any())
	}
	return v.String()
}

func appendFloat(dst []byte, f float64) []byte {
	bits := math.Float64bits(f)
	dst = append(dst, itemFloat64)
	for shift := 56; shift >= 0; shift -= 8 {
		dst = append(dst, byte(bits>>shift))
	}
	return dst
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, itemTrue)
	}
	return append(dst, itemFalse)
}

// sendable reports whether t has a text form from which it can be read back.
func sendable(t time.Time) bool { return !t.IsZero() && timeFault(t) == nil }

// appendTime appends t as tag 0, or null if it is the zero time or has no such form.
func appendTime(dst []byte, t time.Time) []byte {
	if !sendable(t) {
		return append(dst, itemNull)
	}
	var room [len("2026-11-22T12:00:00.123456789+01:00")]byte
	text := t.AppendFormat(room[:0], time.RFC3339Nano)
	dst = appendHead(appendHead(dst, majorTag, tagTime), majorText, uint64(len(text)))
	return append(dst, text...)
}

// logBody is a log frame's body with its attributes still encoded.
type logBody struct {
	Time    time.Time       `cbor:"1,keyasint"`
	Level   int             `cbor:"2,keyasint"`
	Message string          `cbor:"3,keyasint"`
	Attrs   cbor.RawMessage `cbor:"4,keyasint"`
	Source  string          `cbor:"5,keyasint"`
	Dropped uint64          `cbor:"6,keyasint"`
}

func (b logBody) check() error {
	return firstError(within("message", b.Message, MaxMessage), within("source", b.Source, MaxAttrText))
}

// ParseLog takes the body of a log frame apart. The error is a [*DecodeError].
func ParseLog(body []byte) (Log, error) {
	b, err := parseControl(body, KindLog, logBody.check)
	if err != nil {
		return Log{}, err
	}
	l := Log{Time: b.Time, Level: slog.Level(b.Level), Message: b.Message, Source: b.Source, Dropped: b.Dropped}
	if len(b.Attrs) == 0 {
		return l, nil
	}
	r := attrReader{cursor: newCursor(b.Attrs), left: MaxAttrs + maxAttrDepth + 1}
	l.Attrs = r.attrs(0)
	if err := r.end(KindLog); err != nil {
		return Log{}, err
	}
	return l, nil
}

// attrReader takes attributes; left is how many more there may be.
type attrReader struct {
	cursor
	left int
}

func (r *attrReader) attrs(depth int) []slog.Attr {
	if depth > maxAttrDepth {
		r.fail(&tooLong{"nesting of groups", uint64(depth), maxAttrDepth})
		return nil
	}
	n := r.count(majorArray, r.left, "attributes")
	r.left -= n
	var attrs []slog.Attr
	for range n {
		r.array(3, "an attribute: an array of 3")
		key := string(r.text(MaxName, "attribute key"))
		attrs = append(attrs, slog.Attr{Key: key, Value: r.value(depth)})
	}
	return attrs
}

// value takes a value's kind and the value.
func (r *attrReader) value(depth int) slog.Value {
	switch k := attrKind(r.expect(majorUint, "an attribute's kind")); k {
	case attrText:
		return slog.StringValue(string(r.text(MaxAttrText, "attribute text")))
	case attrInt:
		return slog.Int64Value(r.integer("an integer"))
	case attrUint:
		return slog.Uint64Value(r.expect(majorUint, "an unsigned integer"))
	case attrFloat:
		return slog.Float64Value(r.float())
	case attrBool:
		return slog.BoolValue(r.bool())
	case attrDuration:
		return slog.DurationValue(time.Duration(r.integer("nanoseconds")))
	case attrTime:
		return slog.TimeValue(r.time())
	case attrGroup:
		return slog.GroupValue(r.attrs(depth + 1)...)
	default:
		r.fail(fmt.Errorf("attribute kind %d is not known", k))
		return slog.Value{}
	}
}

// float takes a float of any width.
func (r *attrReader) float() float64 {
	at := r.rest
	_, _, first := r.head()
	if r.err == nil && first < 0xf9 {
		r.fail(&unexpected{"a float", first})
	}
	if r.err != nil {
		return 0
	}
	var f float64
	if err := shared().dec.Unmarshal(at[:len(at)-len(r.rest)], &f); err != nil {
		r.fail(err)
	}
	return f
}

func (r *attrReader) bool() bool {
	_, _, first := r.head()
	if r.err == nil && first != itemTrue && first != itemFalse {
		r.fail(&unexpected{"a bool", first})
	}
	return first == itemTrue
}

// time takes a time under tag 0.
func (r *attrReader) time() time.Time {
	if n := r.expect(majorTag, "a time: tag 0"); n != tagTime {
		r.fail(badTag(n))
	}
	text := r.text(MaxName, "time")
	t, err := time.Parse(time.RFC3339Nano, string(text)) //nolint:forbidigo // a record says when by the calendar
	if err != nil {
		r.fail(err)
	}
	return t
}
