package wire

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
)

// The tags of RFC 8949 that may occur: date and time as text, and big integers.
const (
	tagTime       = 0
	tagBigInt     = 2
	tagBigNegativ = 3
)

var (
	errTruncated = errors.New("the data item is cut off")
	errTrailing  = errors.New("there are bytes after the data item")
	errHead      = errors.New("an indefinite length or a reserved initial byte")
	errLonger    = errors.New("a number or length that is not in its shortest form")
	errUTF8      = errors.New("text that is not UTF-8; such data belongs into a byte string")
	errDuplicate = errors.New("a map with the same key twice")
	errSimple    = errors.New("a simple value other than false, true and null")
	errTagged    = errors.New("tag 0 not on a text, or tag 2 or 3 not on a byte string")
)

// badTag is a tag that the protocol does not have.
type badTag uint64

func (t badTag) Error() string {
	return fmt.Sprintf("tag %d; only tags 0, 2 and 3 may be used", uint64(t))
}

// tooLong is a part of a body that is larger than the protocol allows.
type tooLong struct {
	what  string
	size  uint64
	limit int64
}

func (e *tooLong) Error() string {
	return fmt.Sprintf("%s has size %d, the limit is %d", e.what, e.size, e.limit)
}

// atByte is where in a body an error was found.
type atByte struct {
	offset int
	err    error
}

func (e *atByte) Error() string { return fmt.Sprintf("at byte %d: %v", e.offset, e.err) }
func (e *atByte) Unwrap() error { return e.err }

// valid checks that body is exactly one CBOR item that keeps the rules of docs/wire.md: definite lengths, shortest
// heads, UTF-8, no key twice, few tags, bounded nesting, arrays and maps. It allocates only for maps whose keys are not
// in order.
//
// The CBOR library checks most of this too, but not tags, nor what a raw item holds; and the encoding side needs the
// same answer before anything is sent.
func valid(body []byte) error {
	c := newCursor(body)
	c.item(0)
	return c.done()
}

// item takes one whole item; depth is the number of items around it.
func (c *cursor) item(depth int) {
	major, n, first := c.head()
	if c.err != nil {
		return
	}
	if major >= majorArray && major <= majorTag && depth >= MaxNesting {
		c.fail(&tooLong{"nesting", uint64(depth) + 1, MaxNesting})
		return
	}
	switch major {
	case majorBytes:
		c.take(n)
	case majorText:
		if !utf8.Valid(c.take(n)) {
			c.fail(errUTF8)
		}
	case majorArray:
		c.elements(n, depth)
	case majorMap:
		c.pairs(n, depth)
	case majorTag:
		c.tagged(n, depth)
	case majorOther:
		if first < 0xf9 && (first < itemFalse || first > itemNull) {
			c.fail(errSimple)
		}
	}
}

// elements takes the n elements of an array.
func (c *cursor) elements(n uint64, depth int) {
	if n > MaxElements {
		c.fail(&tooLong{"array", n, MaxElements})
	}
	for ; n > 0 && c.err == nil; n-- {
		c.item(depth + 1)
	}
}

// pairs takes the n pairs of a map. Keys in ascending order, which is how this package writes them, cannot repeat; only
// other maps need a set.
func (c *cursor) pairs(n uint64, depth int) {
	if n > MaxPairs {
		c.fail(&tooLong{"map", n, MaxPairs})
	}
	start := c.rest
	ordered := true
	var last []byte
	for left := n; left > 0 && c.err == nil; left-- {
		key := c.key(depth)
		ordered = ordered && bytes.Compare(last, key) < 0
		last = key
		c.item(depth + 1)
	}
	if c.err == nil && !ordered && !c.again {
		c.distinct(start, n, depth)
	}
}

// key takes a map's key and returns its bytes.
func (c *cursor) key(depth int) []byte {
	at := c.rest
	c.item(depth + 1)
	return at[:len(at)-len(c.rest)]
}

// distinct goes through the n pairs at start once more and checks that no key repeats. What is inside them has been
// checked already: to do it again would double the time with every level of nesting.
func (c *cursor) distinct(start []byte, n uint64, depth int) {
	again := cursor{rest: start, size: len(start), again: true}
	seen := make(map[string]struct{}, min(n, 1024))
	for range n {
		seen[string(again.key(depth))] = struct{}{}
		again.item(depth + 1)
	}
	if uint64(len(seen)) != n {
		c.fail(errDuplicate)
	}
}

// tagged takes what stands under tag n.
func (c *cursor) tagged(n uint64, depth int) {
	want := byte(majorBytes)
	switch n {
	case tagTime:
		want = majorText
	case tagBigInt, tagBigNegativ:
	default:
		c.fail(badTag(n))
		return
	}
	if len(c.rest) > 0 && c.rest[0]&0xe0 != want {
		c.fail(errTagged)
		return
	}
	c.item(depth + 1)
}
