package wire

import (
	"reflect"
	"unicode/utf8"
)

// The CBOR library is the reference for what a value looks like on the wire and for which bytes are accepted. For common
// types it takes several walks: over the value, over the bytes it has made, over those that came. A direct codec does all
// of a direction in one walk, which checks and converts at once. It was measured to take a third of the time.
//
// It decides nothing. It does what is certain and usual, such as a struct whose keys come in the order in which this
// package sends them, and gives up at anything else: what is wrong, what only other senders write, what is rare. All of
// the value or body then goes the long way, which finds the error or the value. So a direct codec must only be sound:
// whatever it writes, the library writes, and whatever it takes, the library takes for the same value. Tests and
// FuzzDirect hold the two together.
type direct struct {
	put  putter
	take taker
}

// A putter appends v as one item; depth is the number of items around it. false: it has given up, and what it returns
// is of no use.
type putter func(dst []byte, v reflect.Value, depth int) ([]byte, bool)

// A taker takes the next item into v, which is zero and can be set. false: it has given up.
type taker func(w *walk, v reflect.Value) bool

// walk is the way of takers through one body.
type walk struct {
	cursor
	depth int // arrays, maps and tags that have been begun
	owed  int // items that are still to come in them, without the present one

	body  []byte // all of it
	adopt bool   // the value may keep it
}

// directOf returns the direct codec of t, which [CheckType] has accepted, or nil if any part of it needs the library:
// types that encode themselves, big integers, raw items, structs embedded by a pointer, the rarer options of fields.
func directOf(t reflect.Type) *direct {
	return directBuilder{}.build(t)
}

// directBuilder holds the codecs of the types that it has met. A type found inside itself gets the one that is still
// being made.
type directBuilder map[reflect.Type]*direct

func (b directBuilder) build(t reflect.Type) *direct {
	if d, met := b[t]; met {
		return d
	}
	d := new(direct)
	b[t] = d
	if *d = b.of(t); d.put == nil {
		b[t] = nil // whatever has this one already is part of t, and goes with it
	}
	return b[t]
}

// of makes the codec of one type from those of its parts. The zero codec: there is none.
func (b directBuilder) of(t reflect.Type) direct {
	if t == typeTime {
		return direct{putTime, takeTime}
	}
	if self, _ := formOf(t); self != nil || builtin(t) != "" {
		return direct{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return b.pointer(t)
	case reflect.Slice:
		return b.slice(t)
	case reflect.Array:
		return b.array(t)
	case reflect.Map:
		return b.mapping(t)
	case reflect.Struct:
		return b.structure(t)
	}
	return directScalar(t.Kind())
}

// encode appends what v holds, or returns false.
func (d *direct) encode(dst []byte, v reflect.Value) ([]byte, bool) {
	if d == nil {
		return dst, false
	}
	return d.put(dst, v, 0)
}

// decode takes the one item that body is, or returns false; v may then hold a part of it.
func (d *direct) decode(w *walk, body []byte, v reflect.Value) bool {
	if d == nil {
		return false
	}
	*w = walk{cursor: newCursor(body), body: body, adopt: w.adopt}
	return d.take(w, v) && len(w.rest) == 0 && w.err == nil
}

// argument takes the head of an item of one major type.
func (w *walk) argument(major byte) (n uint64, ok bool) {
	got, n, _ := w.head()
	return n, got == major && w.err == nil
}

// enter takes the head of an array or map with so many items for each element; leave stands at its end. Each item takes
// a byte at least, so there cannot be more of them than bytes are left for them: what is made for the elements of all
// arrays and maps together is bounded by the length of the body.
func (w *walk) enter(major byte, items, limit int) (n int, ok bool) {
	size, ok := w.argument(major)
	if !ok || size > uint64(limit) || w.depth >= MaxNesting {
		return 0, false
	}
	w.depth++
	w.owed += int(size) * items
	return int(size), w.owed <= len(w.rest)
}

func (w *walk) leave() { w.depth-- }

// string takes a text string.
func (w *walk) string() (s []byte, ok bool) {
	n, ok := w.argument(majorText)
	if !ok {
		return nil, false
	}
	s = w.cursor.take(n)
	return s, w.err == nil && utf8.Valid(s)
}
