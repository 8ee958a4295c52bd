package wire

import (
	"encoding/binary"
	"math"
	"reflect"
	"time"
	"unicode/utf8"
	"unsafe"
)

// directScalar is the direct codec of a kind without parts. Every type may be null, which is its zero value.
func directScalar(k reflect.Kind) direct {
	switch k {
	case reflect.Bool:
		return direct{putBool, takeBool}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return direct{putInt, takeInt}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return direct{putUint, takeUint}
	case reflect.Float32, reflect.Float64:
		return direct{putFloat, takeFloat}
	case reflect.String:
		return direct{putText, takeText}
	}
	return direct{}
}

func putBool(dst []byte, v reflect.Value, _ int) ([]byte, bool) {
	return appendBool(dst, v.Bool()), true
}

func takeBool(w *walk, v reflect.Value) bool {
	if len(w.rest) == 0 {
		return false
	}
	first := w.rest[0]
	w.rest = w.rest[1:]
	if first == itemTrue {
		v.SetBool(true)
	}
	return first == itemTrue || first == itemFalse || first == itemNull
}

func putInt(dst []byte, v reflect.Value, _ int) ([]byte, bool) {
	return appendInt(dst, v.Int()), true
}

func takeInt(w *walk, v reflect.Value) bool {
	if w.null() {
		return true
	}
	major, n, _ := w.head()
	i := int64(n)
	if major == majorNint {
		i = ^i
	}
	if w.err != nil || major > majorNint || n > math.MaxInt64 || v.OverflowInt(i) {
		return false
	}
	v.SetInt(i)
	return true
}

func putUint(dst []byte, v reflect.Value, _ int) ([]byte, bool) {
	return appendUint(dst, v.Uint()), true
}

func takeUint(w *walk, v reflect.Value) bool {
	if w.null() {
		return true
	}
	n, ok := w.argument(majorUint)
	if !ok || v.OverflowUint(n) {
		return false
	}
	v.SetUint(n)
	return true
}

// putFloat uses the shortest width that keeps the value, and one NaN for all.
func putFloat(dst []byte, v reflect.Value, _ int) ([]byte, bool) {
	f := v.Float()
	single := float32(f)
	if f != f {
		return append(dst, itemFloat16, 0x7e, 0), true
	}
	if float64(single) != f {
		return binary.BigEndian.AppendUint64(append(dst, itemFloat64), math.Float64bits(f)), true
	}
	if half, ok := halfOf(single); ok {
		return append(dst, itemFloat16, byte(half>>8), byte(half)), true
	}
	return binary.BigEndian.AppendUint32(append(dst, itemFloat32), math.Float32bits(single)), true
}

func takeFloat(w *walk, v reflect.Value) bool {
	if w.null() {
		return true
	}
	_, n, first := w.head()
	var f float64
	switch first {
	case itemFloat16:
		f = fromHalf(uint16(n))
	case itemFloat32:
		f = float64(math.Float32frombits(uint32(n)))
	case itemFloat64:
		f = math.Float64frombits(n)
	default:
		return false
	}
	if w.err != nil || v.OverflowFloat(f) {
		return false
	}
	v.SetFloat(f)
	return true
}

func putText(dst []byte, v reflect.Value, _ int) ([]byte, bool) {
	s := v.String()
	return appendText(dst, s), utf8.ValidString(s)
}

func takeText(w *walk, v reflect.Value) bool {
	if w.null() {
		return true
	}
	s, ok := w.string()
	switch {
	case !ok:
	case w.adopt && adoptable(s, w.body):
		v.SetString(unsafe.String(unsafe.SliceData(s), len(s)))
	default:
		v.SetString(string(s))
	}
	return ok
}

func putTime(dst []byte, v reflect.Value, depth int) ([]byte, bool) {
	t := v.Addr().Interface().(*time.Time)
	if !t.IsZero() && (depth >= MaxNesting || timeFault(*t) != nil) {
		return dst, false
	}
	return appendTime(dst, *t), true
}

func takeTime(w *walk, v reflect.Value) bool {
	if w.null() {
		return true
	}
	tag, ok := w.argument(majorTag)
	if !ok || tag != tagTime || w.depth >= MaxNesting {
		return false
	}
	s, ok := w.string()
	if !ok {
		return false
	}
	t, err := time.Parse(time.RFC3339, string(s)) //nolint:forbidigo // a value of the user's
	*v.Addr().Interface().(*time.Time) = t
	return err == nil
}
