package wire

import (
	"fmt"
	"slices"
	"strings"
)

// The major types of CBOR (RFC 8949 section 3.1), shifted into place, and the simple values that may occur.
const (
	majorUint  = 0 << 5
	majorNint  = 1 << 5
	majorBytes = 2 << 5
	majorText  = 3 << 5
	majorArray = 4 << 5
	majorMap   = 5 << 5
	majorTag   = 6 << 5
	majorOther = 7 << 5

	itemFalse   = 0xf4
	itemTrue    = 0xf5
	itemNull    = 0xf6
	itemFloat16 = 0xf9
	itemFloat32 = 0xfa
	itemFloat64 = 0xfb
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

// appendUint appends an unsigned integer.
func appendUint(dst []byte, n uint64) []byte { return appendHead(dst, majorUint, n) }

// appendInt appends a signed integer.
func appendInt(dst []byte, n int64) []byte {
	if n < 0 {
		return appendHead(dst, majorNint, uint64(^n))
	}
	return appendUint(dst, uint64(n))
}

// appendText appends a text string. The caller vouches for its UTF-8.
func appendText(dst []byte, s string) []byte {
	return append(appendHead(dst, majorText, uint64(len(s))), s...)
}

// appendBounded appends text meant for people; see [bounded].
func appendBounded(dst []byte, s string, limit int) []byte {
	return appendText(dst, bounded(s, limit))
}

// bounded returns s as valid UTF-8 of at most limit bytes. What does not fit is cut off, with a remark that says how
// much is missing, and bytes that are not UTF-8 become question marks: a report must always get across.
func bounded(s string, limit int) string {
	if len(s) <= limit {
		return strings.ToValidUTF8(s, "?")
	}
	remark := fmt.Sprintf(" ... (shortened from %d bytes)", len(s))
	keep := max(limit-len(remark), 0)
	kept := strings.ToValidUTF8(s[:keep], "?") + remark
	return kept[:min(len(kept), limit)]
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

// compareKeys is the bytewise order of encoded texts (RFC 8949 section 4.2.1): a shorter one comes first.
func compareKeys(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}
