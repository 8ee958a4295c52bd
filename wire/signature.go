package wire

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// maxSignature is the length from which a description is replaced by its hash.
const maxSignature = 256

// CheckType reports why values of type t would not come out the same on the other side of a process boundary. The error
// is a [*TypeError] with the path of the field at fault. docs/wire.md has the rules, under "Go types".
func CheckType(t reflect.Type) error {
	_, err := signatureOf(t)
	return err
}

// signatureOf describes t as it is on the wire. Types with the same signature have the same encodings.
func signatureOf(t reflect.Type) (string, error) {
	if t == nil {
		return "", &TypeError{Path: "nil", Reason: "there is no type"}
	}
	d := describer{root: t, known: map[reflect.Type]string{}}
	text := d.describe(t, rootName(t))
	if d.fault != nil {
		return "", d.fault
	}
	return text, nil
}

// rootName is the first step of every path.
func rootName(t reflect.Type) string {
	if t.Name() != "" {
		return t.Name()
	}
	return t.String()
}

// describer walks a type. It is also the type check: what it cannot describe cannot be carried.
type describer struct {
	root  reflect.Type
	open  []reflect.Type          // the types around the present one, outermost first
	low   int                     // the outermost of them that has been referred to since it was last reset
	known map[reflect.Type]string // descriptions that refer to nothing around them
	fault *TypeError
}

// fail keeps the first fault.
func (d *describer) fail(path, reason string) string {
	if d.fault == nil {
		d.fault = &TypeError{d.root, path, reason}
	}
	return ""
}

// describe returns the description of t, found at path. A type inside itself is written as ^n: the n-th of the types
// around this place, counted from the inside; pointers do not count.
func (d *describer) describe(t reflect.Type, path string) string {
	if d.fault != nil {
		return ""
	}
	if t.Kind() == reflect.Pointer {
		return d.pointer(t, path)
	}
	if text, ok := d.known[t]; ok {
		return text
	}
	if i := slices.Index(d.open, t); i >= 0 {
		d.low = min(d.low, i)
		return fmt.Sprintf("^%d", len(d.open)-i)
	}
	before, depth := d.low, len(d.open)
	d.low, d.open = depth, append(d.open, t)
	text := shorten(d.text(t, path))
	d.open = d.open[:depth]
	if d.low >= depth {
		d.known[t] = text
	}
	d.low = min(d.low, before)
	return text
}

// text describes one type by its form or its kind.
func (d *describer) text(t reflect.Type, path string) string {
	if text := builtin(t); text != "" {
		return text
	}
	if reason := refusal(t); reason != "" {
		return d.fail(path, reason)
	}
	self, reason := formOf(t)
	switch {
	case reason != "":
		return d.fail(path, reason)
	case self != nil:
		return self.signature + ":" + t.String()
	}
	switch t.Kind() {
	case reflect.Slice:
		return d.slice(t, path)
	case reflect.Array:
		return d.array(t, path)
	case reflect.Map:
		return d.mapping(t, path)
	case reflect.Struct:
		return d.structure(t, path)
	}
	return scalar(t.Kind())
}

// scalar describes the kinds without parts. Widths matter: a number too large for the receiver's is an error there.
func scalar(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "tstr"
	case reflect.Int:
		return "int64"
	case reflect.Uint:
		return "uint64"
	}
	return k.String()
}

// pointer describes a pointer, which is its target or null. A target that may itself be null would make two different
// values look the same.
func (d *describer) pointer(t reflect.Type, path string) string {
	elem := t.Elem()
	if elem == typeBlob {
		return d.fail(path, "a pointer to a Blob: a nil pointer and no Blob would look the same; use the Blob itself")
	}
	switch elem.Kind() {
	case reflect.Pointer:
		return d.fail(path, "a pointer to a pointer: nil at either place would look the same; use one pointer")
	case reflect.Slice, reflect.Map:
		if self, _ := formOf(elem); self == nil || elem == typeRawMessage {
			return d.fail(path, "a pointer to a slice or map: a nil pointer and a nil target would look the same; use the slice or map itself")
		}
	}
	return d.describe(elem, path) + "/null"
}

func (d *describer) slice(t reflect.Type, path string) string {
	if t.Elem().Kind() == reflect.Uint8 {
		return "bstr"
	}
	return "[" + d.describe(t.Elem(), path+"[]") + "]"
}

func (d *describer) array(t reflect.Type, path string) string {
	if t.Elem().Kind() == reflect.Uint8 {
		return fmt.Sprintf("bstr .size %d", t.Len())
	}
	return fmt.Sprintf("[%d %s]", t.Len(), d.describe(t.Elem(), path+"[]"))
}

func (d *describer) mapping(t reflect.Type, path string) string {
	if reason := badKey(t.Key()); reason != "" {
		return d.fail(path+"[key]", reason)
	}
	key := d.describe(t.Key(), path+"[key]")
	return "{" + key + "=>" + d.describe(t.Elem(), path+"[]") + "}"
}

// badKey returns why t cannot be the key of a map, or "".
func badKey(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String, reflect.Bool,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return ""
	case reflect.Float32, reflect.Float64:
		return "NaN is never equal to itself, so floats cannot be keys; use a text or an integer"
	}
	if self, _ := formOf(t); self != nil && t != typeTime && t != typeBlob {
		return ""
	}
	return fmt.Sprintf("%s cannot be the key of a map; use text, integers, booleans, or a type with MarshalBinary and UnmarshalBinary", nameOf(t))
}

// structure describes a struct as a map, its fields in a fixed order, or as an array.
func (d *describer) structure(t reflect.Type, path string) string {
	fields, array, fault := structFields(t)
	if fault != nil {
		return d.fail(join(path, fault.Path), fault.Reason)
	}
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = d.describe(f.typ, join(path, f.owner))
		if !array {
			parts[i] = f.key + ":" + parts[i]
		}
	}
	if array {
		return "[(" + strings.Join(parts, ",") + ")]"
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, ",") + "}"
}

// shorten replaces a long description by its hash, so that handshakes stay small.
func shorten(text string) string {
	if len(text) <= maxSignature {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return fmt.Sprintf("sha256:%x", sum[:16])
}
