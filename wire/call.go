package wire

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// Limits on the head of a call.
const (
	MaxName      = 255     // bytes of a function's name or of a meta key
	MaxMeta      = 32      // entries of a call's meta
	MaxMetaValue = 8 << 10 // bytes of one meta value; W3C Baggage asks for 8192
)

// Keys of a call's meta whose meaning is fixed. The last three are the W3C names (Trace Context, Baggage).
const (
	MetaKey         = "key"         // the caller's own name for this input, for reports and quarantine
	MetaTraceparent = "traceparent" // W3C Trace Context
	MetaTracestate  = "tracestate"  // W3C Trace Context
	MetaBaggage     = "baggage"     // W3C Baggage
)

// Names that begin with MetaReserved belong to the protocol; receivers ignore those that they do not know.
const (
	MetaReserved = "verdigris."
	MetaProgress = MetaReserved + "progress" // whatever its value: the worker may send progress frames for this call
)

// Call is the body of a call frame. Func and Input are sub-slices of the body it was parsed from.
type Call struct {
	Func    []byte            // the function's name
	Timeout time.Duration     // how long the caller will wait, from now on; 0: no limit
	Meta    map[string]string // nil when there is none
	Input   []byte            // one CBOR item, not yet checked: the function's codec does that
}

// AppendCallHead appends the body of a call frame up to its input; the caller appends the input, one CBOR item, next.
// A negative timeout is sent as one nanosecond: a call whose time is already up never becomes one without limit. A name
// or meta beyond the limits is a [*SizeError], text that is not UTF-8 an [*EncodeError]; dst is then returned as it was.
func AppendCallHead(dst []byte, fn string, timeout time.Duration, meta map[string]string) ([]byte, error) {
	if err := checkCallHead(fn, meta); err != nil {
		return dst, err
	}
	dst = appendHead(dst, majorArray, 4)
	dst = appendText(dst, fn)
	dst = appendUint(dst, sentTimeout(timeout))
	return appendMeta(dst, meta), nil
}

// sentTimeout is the timeout as it stands on the wire, where zero means that there is none.
func sentTimeout(d time.Duration) uint64 {
	if d < 0 {
		return 1
	}
	return uint64(d)
}

// checkCallHead holds fn and meta against the limits.
func checkCallHead(fn string, meta map[string]string) error {
	if err := checkText("function name", fn, MaxName); err != nil {
		return err
	}
	if len(meta) > MaxMeta {
		return &SizeError{KindCall, "meta", uint64(len(meta)), MaxMeta}
	}
	for k, v := range meta {
		if err := checkText("meta key", k, MaxName); err != nil {
			return err
		}
		if checkText("", v, MaxMetaValue) != nil {
			return checkText(fmt.Sprintf("meta value of %q", k), v, MaxMetaValue)
		}
	}
	return nil
}

// checkText holds one text of a call's head against its limit.
func checkText(what, s string, limit int) error {
	if len(s) > limit {
		return &SizeError{KindCall, what, uint64(len(s)), limit}
	}
	if !utf8.ValidString(s) {
		return &EncodeError{what, errUTF8}
	}
	return nil
}

// ParseCall takes a call's body apart. The input is returned as it is: one item is promised only once the function's
// codec has decoded it. The error is a [*DecodeError].
func ParseCall(body []byte) (Call, error) {
	c := newCursor(body)
	c.array(4, "a call: an array of 4")
	call := Call{Func: c.text(MaxName, "function name"), Timeout: c.duration("timeout"), Meta: c.meta()}
	if len(c.rest) == 0 {
		c.fail(errTruncated)
	}
	call.Input, c.rest = c.rest, nil
	if err := c.end(KindCall); err != nil {
		return Call{}, err
	}
	return call, nil
}
