package wire

import (
	"bytes"
	"reflect"
	"slices"
	"sync"
	"time"
)

// pointer is null for nil, else its target.
func (b directBuilder) pointer(t reflect.Type) direct {
	target := b.build(t.Elem())
	if target == nil {
		return direct{}
	}
	return direct{
		put: func(dst []byte, v reflect.Value, depth int) ([]byte, bool) {
			if v.IsNil() {
				return append(dst, itemNull), true
			}
			if t.Elem() == typeTime && v.Interface().(*time.Time).IsZero() {
				return dst, false // would come out as nil
			}
			return target.put(dst, v.Elem(), depth)
		},
		take: func(w *walk, v reflect.Value) bool {
			if w.null() {
				return true
			}
			v.Set(reflect.New(t.Elem()))
			return target.take(w, v.Elem())
		},
	}
}

func (b directBuilder) slice(t reflect.Type) direct {
	if t.Elem().Kind() == reflect.Uint8 {
		return direct{putBytes, takeBytes}
	}
	elem := b.build(t.Elem())
	if elem == nil {
		return direct{}
	}
	empty := reflect.MakeSlice(t, 0, 0)
	return direct{
		put: func(dst []byte, v reflect.Value, depth int) ([]byte, bool) {
			if v.IsNil() && depth < MaxNesting {
				return append(dst, itemNull), true
			}
			return elem.putAll(dst, v, depth)
		},
		take: func(w *walk, v reflect.Value) bool {
			if w.null() {
				return true
			}
			n, ok := w.enter(majorArray, 1, MaxElements)
			if !ok {
				return false
			}
			v.Set(empty)
			v.Grow(n)
			v.SetLen(n)
			return elem.takeAll(w, v, n)
		},
	}
}

func (b directBuilder) array(t reflect.Type) direct {
	if t.Elem().Kind() == reflect.Uint8 {
		return direct{putByteArray, takeByteArray}
	}
	elem := b.build(t.Elem())
	if elem == nil {
		return direct{}
	}
	return direct{
		put: elem.putAll,
		take: func(w *walk, v reflect.Value) bool {
			if w.null() {
				return true
			}
			n, ok := w.enter(majorArray, 1, MaxElements)
			return ok && n == t.Len() && elem.takeAll(w, v, n)
		},
	}
}

// putAll appends an array of all elements of v.
func (d *direct) putAll(dst []byte, v reflect.Value, depth int) (_ []byte, ok bool) {
	n := v.Len()
	if n > MaxElements || depth >= MaxNesting {
		return dst, false
	}
	dst = appendHead(dst, majorArray, uint64(n))
	for i := range n {
		if dst, ok = d.put(dst, v.Index(i), depth+1); !ok {
			return dst, false
		}
	}
	return dst, true
}

// takeAll takes the n elements of an array that has been entered.
func (d *direct) takeAll(w *walk, v reflect.Value, n int) bool {
	for i := range n {
		w.owed--
		if !d.take(w, v.Index(i)) {
			return false
		}
	}
	w.leave()
	return true
}

func putBytes(dst []byte, v reflect.Value, _ int) ([]byte, bool) {
	return appendBytes(dst, v.Bytes()), true
}

func takeBytes(w *walk, v reflect.Value) bool {
	if w.null() {
		return true
	}
	n, ok := w.argument(majorBytes)
	if !ok {
		return false
	}
	b := w.cursor.take(n)
	if w.err != nil {
		return false
	}
	if !w.adopt || !adoptable(b, w.body) {
		b = append(make([]byte, 0, len(b)), b...)
	}
	v.SetBytes(b)
	return true
}

func putByteArray(dst []byte, v reflect.Value, _ int) ([]byte, bool) {
	return append(appendHead(dst, majorBytes, uint64(v.Len())), v.Bytes()...), true
}

func takeByteArray(w *walk, v reflect.Value) bool {
	if w.null() {
		return true
	}
	n, ok := w.argument(majorBytes)
	if !ok || n != uint64(v.Len()) {
		return false
	}
	copy(v.Bytes(), w.cursor.take(n))
	return w.err == nil
}

// pairs is what a map needs on its way, kept for the next.
type pairs struct {
	key, elem reflect.Value // the present pair
	spans     []span        // where the pairs stand that have been encoded
	sorted    []byte
}

type span struct{ start, end int }

func (b directBuilder) mapping(t reflect.Type) direct {
	key, elem := b.build(t.Key()), b.build(t.Elem())
	if key == nil || elem == nil {
		return direct{}
	}
	pool := &sync.Pool{New: func() any {
		return &pairs{key: reflect.New(t.Key()).Elem(), elem: reflect.New(t.Elem()).Elem()}
	}}
	return direct{
		put: func(dst []byte, v reflect.Value, depth int) ([]byte, bool) {
			switch {
			case v.Len() > MaxPairs, depth >= MaxNesting:
				return dst, false
			case v.IsNil():
				return append(dst, itemNull), true
			}
			p := pool.Get().(*pairs)
			defer p.release(pool)
			return p.putAll(appendHead(dst, majorMap, uint64(v.Len())), v, depth+1, key, elem)
		},
		take: func(w *walk, v reflect.Value) bool {
			if w.null() {
				return true
			}
			n, ok := w.enter(majorMap, 2, MaxPairs)
			if !ok {
				return false
			}
			v.Set(reflect.MakeMapWithSize(t, n))
			p := pool.Get().(*pairs)
			defer p.release(pool)
			return p.takeAll(w, v, n, key, elem)
		},
	}
}

// release forgets the pair, so that it keeps nothing alive, and puts p back.
func (p *pairs) release(pool *sync.Pool) {
	p.key.SetZero()
	p.elem.SetZero()
	p.spans = p.spans[:0]
	if cap(p.sorted) > baseBuffer {
		p.spans, p.sorted = nil, nil
	}
	pool.Put(p)
}

// putAll appends the pairs of v and puts them into the order of their keys.
func (p *pairs) putAll(dst []byte, v reflect.Value, depth int, key, elem *direct) (_ []byte, ok bool) {
	start := len(dst)
	for all := v.MapRange(); all.Next(); {
		p.key.SetIterKey(all)
		p.elem.SetIterValue(all)
		from := len(dst)
		if dst, ok = key.put(dst, p.key, depth); !ok {
			return dst, false
		}
		if dst, ok = elem.put(dst, p.elem, depth); !ok {
			return dst, false
		}
		p.spans = append(p.spans, span{from, len(dst)})
	}
	// No key is the beginning of another: to compare whole pairs is to compare keys.
	slices.SortFunc(p.spans, func(a, b span) int { return bytes.Compare(dst[a.start:a.end], dst[b.start:b.end]) })
	p.sorted = p.sorted[:0]
	for _, s := range p.spans {
		p.sorted = append(p.sorted, dst[s.start:s.end]...)
	}
	copy(dst[start:], p.sorted)
	return dst, true
}

// takeAll takes the n pairs of a map that has been entered. Two keys that are equal, if not in their encoding (null and
// the empty text), leave it with fewer.
func (p *pairs) takeAll(w *walk, v reflect.Value, n int, key, elem *direct) bool {
	for range n {
		p.key.SetZero()
		p.elem.SetZero()
		w.owed--
		if !key.take(w, p.key) {
			return false
		}
		w.owed--
		if !elem.take(w, p.elem) {
			return false
		}
		v.SetMapIndex(p.key, p.elem)
	}
	w.leave()
	return v.Len() == n
}
