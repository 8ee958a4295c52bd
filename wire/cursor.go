package wire

import (
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

// cursor takes the items of a body one after the other. Its first error sticks and empties it; the accessors then
// return zero values, so that a parser asks once, at its end.
type cursor struct {
	rest  []byte // what has not been taken yet
	size  int    // of the whole body
	again bool   // all of it has been found valid before
	err   error
}

func newCursor(body []byte) cursor { return cursor{rest: body, size: len(body)} }

// fail keeps the first error and where it happened.
func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = &atByte{c.size - len(c.rest), err}
	}
	c.rest = nil
}

// done demands that nothing is left and returns the first error.
func (c *cursor) done() error {
	if len(c.rest) > 0 {
		c.fail(errTrailing)
	}
	return c.err
}

// end is done for the body of a frame of kind k: the error is a DecodeError.
func (c *cursor) end(k Kind) error {
	if err := c.done(); err != nil {
		return &DecodeError{k.String(), err}
	}
	return nil
}

// head takes the head of the next item: its major type, its argument and its first byte.
func (c *cursor) head() (major byte, n uint64, first byte) {
	if len(c.rest) == 0 {
		c.fail(errTruncated)
		return 0, 0, 0
	}
	first = c.rest[0]
	low := first & 0x1f
	switch {
	case low < 24:
		n, c.rest = uint64(low), c.rest[1:]
	case low < 28:
		n = c.argument(1<<(low-24), first >= majorOther)
	default:
		c.fail(errHead)
	}
	return first & 0xe0, n, first
}

// argument takes an initial byte and the number of width bytes after it. Numbers must be in their shortest form;
// floats have the width they have.
func (c *cursor) argument(width int, float bool) (n uint64) {
	if len(c.rest) <= width {
		c.fail(errTruncated)
		return 0
	}
	for _, b := range c.rest[1 : 1+width] {
		n = n<<8 | uint64(b)
	}
	if !float && (n < 24 || width > 1 && n>>(width*4) == 0) {
		c.fail(errLonger)
		return 0
	}
	c.rest = c.rest[1+width:]
	return n
}

// take takes n bytes, as a sub-slice.
func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.rest)) {
		c.fail(errTruncated)
		return nil
	}
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}

// unexpected is an item of another type than the protocol asks for at its place.
type unexpected struct {
	want  string
	first byte
}

func (e *unexpected) Error() string {
	return fmt.Sprintf("expected %s, found an item that begins with %#02x", e.want, e.first)
}

// expect takes the head of an item that must have the given major type and returns its argument.
func (c *cursor) expect(major byte, what string) uint64 {
	got, n, first := c.head()
	if c.err == nil && got != major {
		c.fail(&unexpected{what, first})
		return 0
	}
	return n
}

// array takes the head of an array of exactly n elements.
func (c *cursor) array(n uint64, what string) {
	if got := c.expect(majorArray, what); c.err == nil && got != n {
		c.fail(&unexpected{what, majorArray | byte(min(got, 24))})
	}
}

// count takes the head of an array or a map and returns its length, at most limit.
func (c *cursor) count(major byte, limit int, what string) int {
	n := c.expect(major, what)
	if n > uint64(limit) {
		c.fail(&tooLong{what, n, int64(limit)})
		return 0
	}
	return int(n)
}

// text takes a text string of at most limit bytes, as a sub-slice.
func (c *cursor) text(limit int, what string) []byte {
	n := c.expect(majorText, what)
	if n > uint64(limit) {
		c.fail(&tooLong{what, n, int64(limit)})
		return nil
	}
	s := c.take(n)
	if !utf8.Valid(s) {
		c.fail(errUTF8)
		return nil
	}
	return s
}

// texts takes an array of at most limit texts of at most size bytes each.
func (c *cursor) texts(limit, size int, what string) []string {
	var all []string
	for range c.count(majorArray, limit, what) {
		all = append(all, string(c.text(size, what)))
	}
	return all
}

// null takes a null if the next item is one.
func (c *cursor) null() bool {
	if len(c.rest) == 0 || c.rest[0] != itemNull {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

// meta takes what [appendMeta] writes.
func (c *cursor) meta() map[string]string {
	if c.null() {
		return nil
	}
	n := c.count(majorMap, MaxMeta, "meta")
	if n == 0 {
		return nil
	}
	meta := make(map[string]string, n)
	for range n {
		k := string(c.text(MaxName, "meta key"))
		meta[k] = string(c.text(MaxMetaValue, "meta value"))
	}
	if c.err == nil && len(meta) != n {
		c.fail(errDuplicate)
	}
	return meta
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

// integer takes a signed integer.
func (c *cursor) integer(what string) int64 {
	major, n, first := c.head()
	switch {
	case c.err != nil:
		return 0
	case n > math.MaxInt64:
		c.fail(&tooLong{what, n, math.MaxInt64})
		return 0
	case major == majorUint:
		return int64(n)
	case major == majorNint:
		return ^int64(n)
	}
	c.fail(&unexpected{what, first})
	return 0
}
