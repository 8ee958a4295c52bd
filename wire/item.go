package wire

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The major types of CBOR (RFC 8949 section 3.1), already shifted into place.
const (
	majorUint  = 0 << 5
	majorNint  = 1 << 5
	majorBytes = 2 << 5
	majorText  = 3 << 5
	majorArray = 4 << 5
	majorMap   = 5 << 5
	majorTag   = 6 << 5
	majorOther = 7 << 5

	itemFalse = 0xf4
	itemTrue  = 0xf5
	itemNull  = 0xf6
)

// appendHead appends the head of a data item in its shortest form.
func appendHead(dst []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n < 1<<8:
		return append(dst, major|24, byte(n))
	case n < 1<<16:
		return append(dst, major|25, byte(n>>8), byte(n))
	case n < 1<<32:
		return append(dst, major|26, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(dst, major|27, byte(n>>56), byte(n>>48), byte(n>>40), byte(n>>32),
		byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// appendInt appends a signed integer.
func appendInt(dst []byte, n int64) []byte {
	if n < 0 {
		return appendHead(dst, majorNint, uint64(^n))
	}
	return appendHead(dst, majorUint, uint64(n))
}

// appendText appends a text string. The caller vouches for its UTF-8.
func appendText(dst []byte, s string) []byte {
	return append(appendHead(dst, majorText, uint64(len(s))), s...)
}

// appendBounded appends text meant for people: invalid UTF-8 is replaced, and what exceeds limit bytes is cut off
// with a remark, so that a report always gets across.
func appendBounded(dst []byte, s string, limit int) []byte {
	return appendText(dst, bounded(s, limit))
}

// bounded returns s as valid UTF-8 of at most limit bytes; the remark at the end of a shortened text says how much is
// missing.
func bounded(s string, limit int) string {
	if len(s) > limit {
		const room = 40 // for the remark
		keep := limit - room
		for keep > 0 && !utf8.RuneStart(s[keep]) {
			keep--
		}
		s = fmt.Sprintf("%s ... (%d bytes cut off)", strings.ToValidUTF8(s[:keep], "?"), len(s)-keep)
	}
	return strings.ToValidUTF8(s, "?")
}

// appendMeta appends a map of texts in deterministic order, or null when it is empty.
func appendMeta(dst []byte, meta map[string]string) []byte {
	if len(meta) == 0 {
		return append(dst, itemNull)
	}
	var room [MaxMeta]string
	keys := room[:0]
	for k := range meta {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareKeys)
	dst = appendHead(dst, majorMap, uint64(len(meta)))
	for _, k := range keys {
		dst = appendText(appendText(dst, k), meta[k])
	}
	return dst
}

// compareKeys is the bytewise order of the encoded keys (RFC 8949 section 4.2.1): shorter texts come first.
func compareKeys(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

var (
	errTruncated = errors.New("the body ends inside a data item")
	errTrailing  = errors.New("there are bytes after the data item")
	errHead      = errors.New("an indefinite length or a reserved head")
	errUTF8      = errors.New("text that is not UTF-8")
)

// unexpected says that the protocol asks for another type of item at this place.
type unexpected struct {
	want string
	got  byte // the initial byte
}

func (e *unexpected) Error() string {
	return fmt.Sprintf("expected %s, found an item that begins with %#02x", e.want, e.got)
}

// cursor reads the items of a body that the protocol itself lays out. Its first error sticks; the accessors then
// return zero values, so that a parser checks once, at its end.
type cursor struct {
	rest []byte
	err  error
}

// fail keeps the first error.
func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err, c.rest = err, nil
	}
}

// head takes the head of the next item: its major type and its argument.
func (c *cursor) head() (major byte, n uint64) {
	if len(c.rest) == 0 {
		c.fail(errTruncated)
		return 0, 0
	}
	first := c.rest[0]
	major, low := first&0xe0, first&0x1f
	if low < 24 {
		c.rest = c.rest[1:]
		return major, uint64(low)
	}
	if low > 27 {
		c.fail(errHead)
		return 0, 0
	}
	width := 1 << (low - 24)
	if len(c.rest) <= width {
		c.fail(errTruncated)
		return 0, 0
	}
	for _, b := range c.rest[1 : 1+width] {
		n = n<<8 | uint64(b)
	}
	c.rest = c.rest[1+width:]
	return major, n
}

// expect takes the head of an item that must have the given major type and returns its argument.
func (c *cursor) expect(major byte, want string) uint64 {
	at := c.rest
	got, n := c.head()
	if c.err == nil && got != major {
		c.fail(&unexpected{want, at[0]})
		return 0
	}
	return n
}

// array takes the head of an array of exactly n elements.
func (c *cursor) array(n uint64, want string) {
	at := c.rest
	if got := c.expect(majorArray, want); c.err == nil && got != n {
		c.fail(&unexpected{want, at[0]})
	}
}

// count takes the head of an array or a map of at most limit elements.
func (c *cursor) count(major byte, limit int, what string) int {
	n := c.expect(major, what)
	if n > uint64(limit) {
		c.fail(&tooLong{what, n, limit})
		return 0
	}
	return int(n)
}

// text takes a text string of at most limit bytes, as a sub-slice.
func (c *cursor) text(limit int, what string) []byte {
	n := c.expect(majorText, what)
	switch {
	case c.err != nil:
		return nil
	case n > uint64(limit):
		c.fail(&tooLong{what, n, limit})
		return nil
	case n > uint64(len(c.rest)):
		c.fail(errTruncated)
		return nil
	}
	s := c.rest[:n:n]
	c.rest = c.rest[n:]
	if !utf8.Valid(s) {
		c.fail(errUTF8)
	}
	return s
}

// null takes a null if the next item is one.
func (c *cursor) null() bool {
	if len(c.rest) == 0 || c.rest[0] != itemNull {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

// texts takes an array of at most limit texts of at most size bytes each.
func (c *cursor) texts(limit, size int, what string) []string {
	n := c.count(majorArray, limit, what)
	if n == 0 {
		return nil
	}
	all := make([]string, 0, n)
	for range n {
		all = append(all, string(c.text(size, what)))
	}
	return all
}

// meta takes what [appendMeta] has written.
func (c *cursor) meta() map[string]string {
	if c.null() {
		return nil
	}
	n := c.count(majorMap, MaxMeta, "meta")
	if n == 0 || c.err != nil {
		return nil
	}
	meta := make(map[string]string, n)
	for range n {
		k := string(c.text(MaxName, "meta key"))
		meta[k] = string(c.text(MaxMetaValue, "meta value"))
	}
	if len(meta) != n {
		c.fail(errDuplicate)
	}
	return meta
}

// end demands that nothing is left, and returns the first error as a DecodeError.
func (c *cursor) end(k Kind) error {
	if c.err == nil && len(c.rest) > 0 {
		c.err = errTrailing
	}
	if c.err != nil {
		return &DecodeError{k.String(), c.err}
	}
	return nil
}

var errDuplicate = errors.New("a map with the same key twice")

// tooLong is a part of a body that is longer than the protocol allows.
type tooLong struct {
	what  string
	size  uint64
	limit int
}

func (e *tooLong) Error() string {
	return fmt.Sprintf("%s has size %d, the limit is %d", e.what, e.size, e.limit)
}

// duration takes an unsigned number of nanoseconds.
func (c *cursor) duration(what string) time.Duration {
	n := c.expect(majorUint, what)
	if n > math.MaxInt64 {
		c.fail(&tooLong{what, n, math.MaxInt64})
		return 0
	}
	return time.Duration(n)
}
