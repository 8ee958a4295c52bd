package wire

import (
	"bytes"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"
)

// member is one field of a struct that has a direct codec.
type member struct {
	*direct
	key   []byte // its key as an item; nil in a struct that is an array
	at    int    // its place in the struct
	index []int  // the rest of the way, if it is in an embedded struct
	omit  bool   // left out when empty
}

// of returns the field in v.
func (m *member) of(v reflect.Value) reflect.Value {
	v = v.Field(m.at)
	for _, i := range m.index {
		v = v.Field(i)
	}
	return v
}

// absent reports whether the field is left out of v.
func (m *member) absent(v reflect.Value) bool { return m.omit && empty(m.of(v)) }

// empty is what omitempty means, for the kinds that members with it have.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map, reflect.Array:
		return v.Len() == 0
	}
	return v.IsZero()
}

func (b directBuilder) structure(t reflect.Type) direct {
	fields, array, _ := structFields(t)
	members := make([]member, len(fields))
	for i, f := range fields {
		m, ok := b.member(t, f)
		if !ok {
			return direct{}
		}
		members[i] = m
	}
	if array {
		return directTuple(members)
	}
	slices.SortFunc(members, func(a, b member) int { return bytes.Compare(a.key, b.key) })
	return directRecord(members)
}

// member makes the member of one field, unless it needs the library.
func (b directBuilder) member(t reflect.Type, f field) (m member, ok bool) {
	for i := 1; i < len(f.index); i++ {
		if t.FieldByIndex(f.index[:i]).Type.Kind() == reflect.Pointer {
			return m, false
		}
	}
	m = member{direct: b.build(f.typ), key: f.item(), at: f.index[0], index: f.index[1:], omit: hasOption(f.options, "omitempty")}
	structs := f.typ.Kind() == reflect.Struct // what is empty in those is a long story
	return m, m.direct != nil && !hasOption(f.options, "omitzero") && !(m.omit && structs) && utf8.ValidString(f.name)
}

// item is the field's key as it is encoded.
func (f field) item() []byte {
	if hasOption(f.options, "keyasint") {
		n, _ := strconv.Atoi(f.name) // has been done before, in keep
		return appendInt(nil, int64(n))
	}
	return appendText(nil, f.name)
}

// directTuple is a struct as an array. It has all fields always.
func directTuple(members []member) direct {
	return direct{
		put: func(dst []byte, v reflect.Value, depth int) (_ []byte, ok bool) {
			if depth >= MaxNesting {
				return dst, false
			}
			dst = appendHead(dst, majorArray, uint64(len(members)))
			for i := range members {
				m := &members[i]
				if dst, ok = m.put(dst, m.of(v), depth+1); !ok {
					return dst, false
				}
			}
			return dst, true
		},
		take: func(w *walk, v reflect.Value) bool {
			if w.null() {
				return true
			}
			n, ok := w.enter(majorArray, 1, MaxElements)
			if !ok || n != len(members) {
				return false
			}
			for i := range members {
				w.owed--
				if m := &members[i]; !m.take(w, m.of(v)) {
					return false
				}
			}
			w.leave()
			return true
		},
	}
}

// directRecord is a struct as a map, its members in the order of their keys. It takes them in no other order, so that
// none can come twice.
func directRecord(members []member) direct {
	optional := slices.ContainsFunc(members, func(m member) bool { return m.omit })
	return direct{
		put: func(dst []byte, v reflect.Value, depth int) (_ []byte, ok bool) {
			if depth >= MaxNesting {
				return dst, false
			}
			n := len(members)
			if optional {
				n = present(members, v)
			}
			dst = appendHead(dst, majorMap, uint64(n))
			for i := range members {
				m := &members[i]
				if m.absent(v) {
					continue
				}
				if dst, ok = m.put(append(dst, m.key...), m.of(v), depth+1); !ok {
					return dst, false
				}
			}
			return dst, true
		},
		take: func(w *walk, v reflect.Value) bool {
			if w.null() {
				return true
			}
			n, ok := w.enter(majorMap, 2, MaxPairs)
			if !ok {
				return false
			}
			next := 0
			for ; n > 0; n-- {
				for next < len(members) && !bytes.HasPrefix(w.rest, members[next].key) {
					next++
				}
				if next == len(members) {
					return false
				}
				m := &members[next]
				next++
				w.rest = w.rest[len(m.key):]
				w.owed -= 2
				if !m.take(w, m.of(v)) {
					return false
				}
			}
			w.leave()
			return true
		},
	}
}

// present counts the members that are not left out of v.
func present(members []member, v reflect.Value) (n int) {
	for i := range members {
		if !members[i].absent(v) {
			n++
		}
	}
	return n
}
