package wire

import (
	"fmt"
	"reflect"
	"slices"
)

var typeBlob = reflect.TypeFor[Blob]()

// blobFinder calls visit with each Blob in v. It is nil for types that have none, which are most.
type blobFinder func(v reflect.Value, visit func(Blob))

// blobsOf returns the finder of t, which [CheckType] has accepted, and the path of a Blob in it. What encodes itself is
// not looked into.
func blobsOf(t reflect.Type) (find blobFinder, path string) {
	b := finderBuilder{open: map[reflect.Type]*blobFinder{}, done: map[reflect.Type]blobFinder{}}
	if find = b.build(t, rootName(t)); b.path == "" {
		return nil, "" // a type inside itself has a finder that finds nothing
	}
	return find, b.path
}

// finderBuilder walks a type. A type found inside itself gets a finder that is filled in later.
type finderBuilder struct {
	open map[reflect.Type]*blobFinder
	done map[reflect.Type]blobFinder
	path string // of the first Blob
}

func (b *finderBuilder) build(t reflect.Type, path string) blobFinder {
	if f, ok := b.done[t]; ok {
		return f
	}
	if later, ok := b.open[t]; ok {
		return func(v reflect.Value, visit func(Blob)) {
			if *later != nil {
				(*later)(v, visit)
			}
		}
	}
	later := new(blobFinder)
	b.open[t] = later
	*later = b.of(t, path)
	delete(b.open, t)
	b.done[t] = *later
	return *later
}

// of makes the finder of one type from those of its parts.
func (b *finderBuilder) of(t reflect.Type, path string) blobFinder {
	if t == typeBlob {
		if b.path == "" {
			b.path = path
		}
		return func(v reflect.Value, visit func(Blob)) {
			if blob := v.Interface().(Blob); !blob.IsZero() {
				visit(blob)
			}
		}
	}
	if self, _ := formOf(t); self != nil || builtin(t) != "" {
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return b.pointer(t, path)
	case reflect.Slice, reflect.Array, reflect.Map:
		return b.elements(t, path+"[]")
	case reflect.Struct:
		return b.fields(t, path)
	}
	return nil
}

func (b *finderBuilder) pointer(t reflect.Type, path string) blobFinder {
	target := b.build(t.Elem(), path)
	if target == nil {
		return nil
	}
	return func(v reflect.Value, visit func(Blob)) {
		if !v.IsNil() {
			target(v.Elem(), visit)
		}
	}
}

// elements are those of a slice or an array, or the values of a map.
func (b *finderBuilder) elements(t reflect.Type, path string) blobFinder {
	each := b.build(t.Elem(), path)
	if each == nil {
		return nil
	}
	return func(v reflect.Value, visit func(Blob)) {
		for _, e := range v.Seq2() {
			each(e, visit)
		}
	}
}

func (b *finderBuilder) fields(t reflect.Type, path string) blobFinder {
	type part struct {
		index int
		find  blobFinder
	}
	var parts []part
	for i := range t.NumField() {
		f := t.Field(i)
		if !onWire(f) {
			continue
		}
		if find := b.build(f.Type, join(path, f.Name)); find != nil {
			parts = append(parts, part{i, find})
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return func(v reflect.Value, visit func(Blob)) {
		for _, p := range parts {
			p.find(v.Field(p.index), visit)
		}
	}
}

// BlobPath is the path of a Blob in T, such as "Job.Image", or "" if values of T have none.
func (c Codec[T]) BlobPath() string { return c.plan.blobPath }

// Blobs returns the Blobs in v, each once. v must be one that [Codec.Append] takes.
func (c Codec[T]) Blobs(v T) []Blob {
	if c.plan.blobs == nil {
		return nil
	}
	return c.findBlobs(v)
}

func (c Codec[T]) findBlobs(v T) (all []Blob) {
	met := map[Blob]bool{}
	c.plan.blobs(reflect.ValueOf(&v).Elem(), func(b Blob) {
		if !met[b] {
			met[b] = true
			all = append(all, b)
		}
	})
	return all
}

// DecodeBlobs is [Codec.Decode] for a body whose Blobs come another way. If it names any, come is called once, and returns
// them in the order in which the parcel names them. They are in the value after that, or closed. A body that names others
// is a [*DecodeError].
func (c Codec[T]) DecodeBlobs(body []byte, come func() (Parcel, []Blob, error)) (v T, err error) {
	v, err = c.Decode(body)
	if c.plan.blobs == nil || err != nil {
		return v, err
	}
	named := slices.DeleteFunc(c.Blobs(v), func(b Blob) bool { return b.ref.blobContent != nil }) // the others are there
	if len(named) == 0 {
		return v, nil
	}
	p, blobs, err := come()
	if err == nil {
		err = p.attach(blobs, named)
	}
	if err != nil {
		var zero T
		return zero, &DecodeError{c.plan.name, err}
	}
	return v, nil
}

// attach gives each of the named their data. Blobs that have come and are not named are closed, in case of an error all.
func (p Parcel) attach(come, named []Blob) error {
	used := make([]bool, len(come))
	for _, b := range named {
		i := slices.Index(p.Blobs, b.Ref())
		if i < 0 || i >= len(come) {
			closeBlobs(come, nil)
			return fmt.Errorf("no %v with the number %d has come along", b, b.ref.number)
		}
		used[i] = true
		b.ref.number, b.ref.blobContent = come[i].ref.number, come[i].ref.blobContent
	}
	closeBlobs(come, used)
	return nil
}

// closeBlobs closes those that are not kept.
func closeBlobs(all []Blob, kept []bool) {
	for i, b := range all {
		if kept == nil || !kept[i] {
			b.Close()
		}
	}
}

// AppendWhole is [Codec.Append] with the data of all Blobs inside, as byte strings. It decodes to the same value
// anywhere and at any time.
func (c Codec[T]) AppendWhole(dst []byte, v T) ([]byte, error) { return c.appendAs(dst, v, byValue) }

// AppendIdentity is [Codec.Append] with the SHA-256 of its data for each Blob: values of the same data have the same.
// The hash of a Blob is found out once. Nobody can decode it.
func (c Codec[T]) AppendIdentity(dst []byte, v T) ([]byte, error) {
	return c.appendAs(dst, v, byDigest)
}

// appendAs appends a copy of v whose Blobs are written in another form.
func (c Codec[T]) appendAs(dst []byte, v T, form blobForm) ([]byte, error) {
	if c.plan.blobs == nil {
		return c.Append(dst, v)
	}
	body, err := c.Append(nil, v)
	if err != nil {
		return dst, err
	}
	copied, err := c.Decode(body)
	if err != nil {
		return dst, err
	}
	data := map[BlobRef]Blob{}
	for _, b := range c.Blobs(v) {
		data[b.Ref()] = b
	}
	for _, b := range c.Blobs(copied) {
		b.ref.form, b.ref.blobContent = form, data[b.Ref()].ref.blobContent
	}
	return c.Append(dst, copied)
}
