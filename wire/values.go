package wire

import (
	"errors"
	"fmt"
	"reflect"
	"time"
)

// Some values cannot be carried although their type can: a structure that contains itself, a time whose text form is
// ambiguous. A checker finds them before the CBOR library sees them; it is nil for types that have no such values, which
// are most.
type checker func(v reflect.Value, depth int) error

var (
	errCycle    = fmt.Errorf("the value is nested more than %d deep, or contains itself", MaxNesting)
	errYear     = errors.New("a time before the year 0 or after 9999")
	errZone     = errors.New("a time whose zone has an offset of a day or more, or with seconds; use its UTC form")
	errZeroTime = errors.New("a pointer to the zero time would come out as nil; use nil, or a time without pointer")
)

// checkerOf returns the checker of t, which [CheckType] has accepted.
func checkerOf(t reflect.Type) checker {
	b := checkerBuilder{open: map[reflect.Type]*checker{}, done: map[reflect.Type]checker{}}
	return b.build(t)
}

// checkerBuilder walks a type. A type found inside itself gets a checker that is filled in later, so that recursive
// types, and only they, are always checked for their depth.
type checkerBuilder struct {
	open map[reflect.Type]*checker
	done map[reflect.Type]checker
}

func (b *checkerBuilder) build(t reflect.Type) checker {
	if c, ok := b.done[t]; ok {
		return c
	}
	if later, ok := b.open[t]; ok {
		return func(v reflect.Value, depth int) error { return (*later)(v, depth) }
	}
	later := new(checker)
	b.open[t] = later
	*later = b.check(t)
	delete(b.open, t)
	b.done[t] = *later
	return *later
}

// check makes the checker of one type from those of its parts.
func (b *checkerBuilder) check(t reflect.Type) checker {
	if t == typeTime {
		return checkTime
	}
	if self, _ := formOf(t); self != nil || builtin(t) != "" {
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return b.pointer(t)
	case reflect.Slice, reflect.Array:
		return elements(b.build(t.Elem()))
	case reflect.Map:
		return values(b.build(t.Elem()))
	case reflect.Struct:
		return b.fields(t)
	}
	return nil
}

func checkTime(v reflect.Value, _ int) error {
	return timeFault(v.Interface().(time.Time))
}

// timeFault returns why t cannot be read back from its text (RFC 3339). The zero time travels as null.
func timeFault(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	if y := t.Year(); y < 0 || y > 9999 {
		return errYear
	}
	if _, offset := t.Zone(); offset%60 != 0 || offset <= -24*3600 || offset >= 24*3600 {
		return errZone
	}
	return nil
}

func (b *checkerBuilder) pointer(t reflect.Type) checker {
	target := b.build(t.Elem())
	if target == nil {
		return nil
	}
	return func(v reflect.Value, depth int) error {
		if v.IsNil() {
			return nil
		}
		if t.Elem() == typeTime && v.Interface().(*time.Time).IsZero() {
			return errZeroTime
		}
		return target(v.Elem(), depth)
	}
}

func elements(each checker) checker {
	if each == nil {
		return nil
	}
	return func(v reflect.Value, depth int) error {
		if depth >= MaxNesting {
			return errCycle
		}
		for i := range v.Len() {
			if err := each(v.Index(i), depth+1); err != nil {
				return err
			}
		}
		return nil
	}
}

func values(each checker) checker {
	if each == nil {
		return nil
	}
	return func(v reflect.Value, depth int) error {
		if depth >= MaxNesting {
			return errCycle
		}
		for pairs := v.MapRange(); pairs.Next(); {
			if err := each(pairs.Value(), depth+1); err != nil {
				return err
			}
		}
		return nil
	}
}

// fields checks those fields of a struct that need it.
func (b *checkerBuilder) fields(t reflect.Type) checker {
	type part struct {
		index int
		check checker
	}
	var parts []part
	for i := range t.NumField() {
		if !onWire(t.Field(i)) {
			continue
		}
		if c := b.build(t.Field(i).Type); c != nil {
			parts = append(parts, part{i, c})
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return func(v reflect.Value, depth int) error {
		if depth >= MaxNesting {
			return errCycle
		}
		for _, p := range parts {
			if err := p.check(v.Field(p.index), depth+1); err != nil {
				return err
			}
		}
		return nil
	}
}

// onWire reports whether a field of an accepted struct is sent, itself or, if it is embedded, through its own fields.
func onWire(f reflect.StructField) bool {
	tag := f.Tag.Get("cbor")
	if tag == "" {
		tag = f.Tag.Get("json")
	}
	return tag != "-" && f.Name != "_" && (f.IsExported() || f.Anonymous)
}
