package wire

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// field is one exported field of a struct as it stands on the wire, those of embedded structs included.
type field struct {
	key   string // the signature's form of the key: a number or a quoted text; "" in a struct that is an array
	owner string // path from the struct to the field, for errors
	typ   reflect.Type

	name    string // from its tag, or its own
	options string // the rest of its tag
	index   []int  // for [reflect.Value.FieldByIndex]
}

// structFields lists the fields of t by the CBOR library's rules, which are those of encoding/json, or says which field
// would be lost. It is stricter than the library: whatever the library would leave out in silence is refused, unless the
// field's tag says that this is meant.
func structFields(t reflect.Type) (list []field, array bool, fault *TypeError) {
	array = isArray(t)
	c := fieldCollector{array: array, seen: map[string]string{}}
	c.collect(t, "", nil, nil)
	return c.list, array, c.fault
}

// isArray reports whether t has the struct option that makes it an array (`_ struct{} cbor:",toarray"`).
func isArray(t reflect.Type) bool {
	f, ok := t.FieldByName("_")
	_, options, _ := strings.Cut(f.Tag.Get("cbor"), ",")
	return ok && hasOption(options, "toarray")
}

func hasOption(options, want string) bool {
	for o := range strings.SplitSeq(options, ",") {
		if o == want {
			return true
		}
	}
	return false
}

type fieldCollector struct {
	list  []field
	array bool
	seen  map[string]string // key to the path of the field that has it
	fault *TypeError
}

// fail keeps the first fault.
func (c *fieldCollector) fail(path, reason string) {
	if c.fault == nil {
		c.fault = &TypeError{Path: path, Reason: reason}
	}
}

// collect adds the fields of t, found at path and index; outer are the structs that embed it.
func (c *fieldCollector) collect(t reflect.Type, path string, index []int, outer []reflect.Type) {
	for _, o := range outer {
		if o == t {
			c.fail(path, "the struct embeds itself; make that an ordinary field")
			return
		}
	}
	outer = append(outer, t)
	for i := range t.NumField() {
		f := t.Field(i)
		f.Index = append(slices.Clip(index), i)
		c.add(f, join(path, f.Name), outer)
	}
}

// add judges one field, whose Index is the one in the outermost struct.
func (c *fieldCollector) add(f reflect.StructField, path string, outer []reflect.Type) {
	tag := f.Tag.Get("cbor")
	if tag == "" {
		tag = f.Tag.Get("json")
	}
	name, options, _ := strings.Cut(tag, ",")
	under := f.Type
	if under.Kind() == reflect.Pointer {
		under = under.Elem()
	}
	embedded := f.Anonymous && under.Kind() == reflect.Struct && name == ""
	switch {
	case f.Name == "_", tag == "-":
	case embedded:
		c.embed(f, under, path, outer)
	case !f.IsExported():
		c.unexported(f, path)
	default:
		c.keep(f, name, options, path)
	}
}

// unexported refuses a field that would be lost; fields without size hold nothing that could be.
func (c *fieldCollector) unexported(f reflect.StructField, path string) {
	if f.Type.Size() > 0 {
		c.fail(path, "the field is unexported, so it would be lost; export it, or tag it `cbor:\"-\"` if it may be lost, or give the struct MarshalCBOR and UnmarshalCBOR")
	}
}

// embed adds the fields of an embedded struct, which stand among those of the outer one.
func (c *fieldCollector) embed(f reflect.StructField, under reflect.Type, path string, outer []reflect.Type) {
	self, _ := formOf(under)
	switch {
	case !f.IsExported() && f.Type.Kind() == reflect.Pointer:
		c.fail(path, "a pointer to an unexported struct cannot be filled in when embedded; embed the struct itself")
	case self != nil || builtin(under) != "":
		c.fail(path, fmt.Sprintf("an embedded %s would be lost; make it an ordinary field", nameOf(under)))
	case isArray(under):
		c.fail(path, "an embedded struct cannot be an array of its own; make it an ordinary field")
	default:
		c.collect(under, path, f.Index, outer)
	}
}

// keep adds a field under its name and refuses a name that is taken, because the library would then drop one of the two,
// or both.
func (c *fieldCollector) keep(f reflect.StructField, name, options, path string) {
	if name == "" {
		name = f.Name
	}
	key := strconv.Quote(name)
	if hasOption(options, "keyasint") {
		n, err := strconv.Atoi(name)
		if err != nil {
			c.fail(path, fmt.Sprintf("the tag says keyasint, but %q is not an integer", name))
			return
		}
		key = strconv.Itoa(n)
	}
	if other, taken := c.seen[key]; taken {
		c.fail(path, fmt.Sprintf("its name %s is also that of %s, so one of them would be lost; rename one", key, other))
		return
	}
	c.seen[key] = path
	c.list = append(c.list, field{key, path, f.Type, name, options, f.Index})
}

// join appends a step to a path.
func join(path, step string) string {
	if path == "" {
		return step
	}
	return path + "." + step
}
