package wire

import (
	"bytes"
	"errors"
	"io"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/verdigris-go/verdigris/internal/sealed"
)

type album struct {
	Name   string
	Cover  Blob
	Pages  []Blob
	ByName map[string]Blob
	Next   *album
}

func blobOf(t testing.TB, text string) Blob {
	t.Helper()
	b, err := NewBlob([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func textOf(t testing.TB, b Blob) string {
	t.Helper()
	data, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	read, err := io.ReadAll(b.Reader())
	if err != nil || !bytes.Equal(data, read) {
		t.Fatalf("%q is mapped, %q is read, %v", data, read, err)
	}
	return string(data)
}

func albumOf(t testing.TB) album {
	cover := blobOf(t, "cover")
	return album{"a", cover, []Blob{blobOf(t, "one"), {}, cover}, map[string]Blob{"x": blobOf(t, "")}, &album{Cover: blobOf(t, "next")}}
}

// passOn is what a process boundary does: it gives the receiver descriptors of its own.
func passOn(t testing.TB, all []Blob) func() (Parcel, []Blob, error) {
	return func() (p Parcel, come []Blob, err error) {
		for _, b := range all {
			clone, err := b.Clone()
			if err != nil {
				t.Fatal(err)
			}
			p.Blobs, come = append(p.Blobs, b.Ref()), append(come, clone)
		}
		slices.Reverse(p.Blobs)
		slices.Reverse(come)
		return p, come, nil
	}
}

func TestBlobsAreFoundWhereverTheyAre(t *testing.T) {
	c := mustCodec[album](t)
	in := albumOf(t)
	all := c.Blobs(in)
	if len(all) != 4 || c.BlobPath() != "album.Cover" {
		t.Fatalf("%d blobs, the first at %s", len(all), c.BlobPath())
	}
	body := must(c.Append(nil, in))
	out, err := c.DecodeBlobs(body, passOn(t, all))
	if err != nil {
		t.Fatal(err)
	}
	if textOf(t, out.Cover) != "cover" || textOf(t, out.Pages[0]) != "one" || !out.Pages[1].IsZero() || textOf(t, out.ByName["x"]) != "" || textOf(t, out.Next.Cover) != "next" {
		t.Errorf("%+v", out)
	}
	if textOf(t, out.Pages[2]) != "cover" || len(c.Blobs(out)) != 5 {
		t.Error("the second cover is not the first")
	}
	for _, b := range c.Blobs(out) {
		b.Close()
	}
	if textOf(t, in.Cover) != "cover" {
		t.Error("the sender's is closed too")
	}
}

func TestTypesWithoutBlobsHaveNone(t *testing.T) {
	type list struct{ Next *list }
	if c := mustCodec[list](t); c.BlobPath() != "" || c.plan.blobs != nil {
		t.Error(c.BlobPath())
	}
	if c := mustCodec[map[string][]everything](t); c.BlobPath() != "" || c.plan.blobs != nil {
		t.Error(c.BlobPath())
	}
	type deep struct {
		A []map[string]*[2]struct{ B Blob }
	}
	if c := mustCodec[deep](t); c.BlobPath() != "deep.A[][][].B" || c.Signature() != `{"A":[{tstr=>[2 {"B":blob}]/null}]}` {
		t.Error(c.BlobPath(), c.Signature())
	}
}

func TestBlobTypesThatAreRefused(t *testing.T) {
	for want, typ := range map[string]reflect.Type{
		"a pointer to a Blob":        reflect.TypeFor[*Blob](),
		"cannot be the key of a map": reflect.TypeFor[map[Blob]int](),
		"it inherits MarshalCBOR from": reflect.TypeFor[struct {
			Blob
			N int
		}](),
	} {
		if err := CheckType(typ); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", typ, err)
		}
	}
}

// What a body names has to have come, and what has come unnamed is closed.
func TestBlobsThatDoNotFit(t *testing.T) {
	c := mustCodec[album](t)
	b, other := blobOf(t, "data"), blobOf(t, "other")
	body := must(c.Append(nil, album{Cover: b}))
	given := func(p []BlobRef, blobs ...Blob) func() (Parcel, []Blob, error) {
		return func() (Parcel, []Blob, error) { return Parcel{Blobs: p}, blobs, nil }
	}
	larger := b.Ref()
	larger.Size++
	for name, come := range map[string]func() (Parcel, []Blob, error){
		"none":         given(nil),
		"another":      given([]BlobRef{other.Ref()}, must2(other.Clone())),
		"another size": given([]BlobRef{larger}, must2(b.Clone())),
		"fewer":        given([]BlobRef{other.Ref(), b.Ref()}, must2(other.Clone())),
		"an error":     func() (Parcel, []Blob, error) { return Parcel{}, nil, io.ErrUnexpectedEOF },
	} {
		_, got, _ := come()
		v, err := c.DecodeBlobs(body, come)
		if !errors.As(err, new(*DecodeError)) || !v.Cover.IsZero() {
			t.Errorf("%s: %v", name, err)
		}
		for _, b := range got {
			if _, err := b.Bytes(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("%s: what has come is open: %v", name, err)
			}
		}
	}
	first, second := must2(other.Clone()), must2(b.Clone())
	v, err := c.DecodeBlobs(body, given([]BlobRef{other.Ref(), b.Ref()}, first, second))
	if err != nil || textOf(t, v.Cover) != "data" {
		t.Error(err)
	}
	if _, err := first.Bytes(); !errors.Is(err, os.ErrClosed) {
		t.Error("what is not named is open")
	}
	second.Close()
	if v, err := c.Decode(body); err != nil {
		t.Error(err)
	} else if _, err = v.Cover.Bytes(); !errors.As(err, new(*BlobError)) {
		t.Errorf("without its data: %v", err)
	}
}

func must2[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// By value it needs nothing beside it, and the identity is that of the data.
func TestOtherFormsOfBlobs(t *testing.T) {
	c := mustCodec[album](t)
	in := albumOf(t)
	body := must(c.AppendWhole([]byte("x"), in))[1:]
	out, err := c.DecodeBlobs(body, func() (Parcel, []Blob, error) { panic("nothing is named") })
	if err != nil || textOf(t, out.Cover) != "cover" || textOf(t, out.Next.Cover) != "next" || !out.Pages[1].IsZero() {
		t.Fatalf("%+v %v", out, err)
	}
	same, different := must(c.AppendIdentity(nil, albumOf(t))), albumOf(t)
	if !bytes.Equal(must(c.AppendIdentity(nil, in)), same) || !bytes.Equal(must(c.AppendIdentity(nil, out)), same) {
		t.Error("the same data is not the same")
	}
	different.Next.Cover = blobOf(t, "nexT")
	if bytes.Equal(must(c.AppendIdentity(nil, different)), same) {
		t.Error("other data is the same")
	}
	if !bytes.Equal(must(c.Append(nil, in)), must(c.Append(nil, in))) || bytes.Equal(must(c.Append(nil, in)), must(c.Append(nil, albumOf(t)))) {
		t.Error("the numbers are not of the blobs")
	}
	in.Cover.Close()
	for name, form := range map[string]func([]byte, album) ([]byte, error){"reference": c.Append, "value": c.AppendWhole, "digest": c.AppendIdentity} {
		if dst, err := form([]byte("x"), in); !errors.Is(err, os.ErrClosed) || string(dst) != "x" {
			t.Errorf("%s of a closed one: %q, %v", name, dst, err)
		}
	}
}

func TestWaysToMakeABlob(t *testing.T) {
	if !sealed.Supported {
		t.Skip("no sealed files")
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	file.WriteString("hello")
	for name, make := range map[string]func() (Blob, error){
		"bytes":  func() (Blob, error) { return NewBlob([]byte("hello")) },
		"reader": func() (Blob, error) { return ReadBlob(iotest.HalfReader(strings.NewReader("hello")), 5) },
		"file":   func() (Blob, error) { file.Seek(0, 0); return ReadBlob(file, 5) },
		"fill":   func() (Blob, error) { return FillBlob(5, func(b []byte) error { copy(b, "hello"); return nil }) },
		"writer": func() (Blob, error) {
			w := must2(NewBlobWriter())
			io.WriteString(w, "he")
			io.Copy(w, strings.NewReader("llo"))
			b, err := w.Seal()
			if _, late := w.Write([]byte("!")); late == nil || w.Close() != nil {
				t.Error("it goes on after Seal")
			}
			if _, again := w.Seal(); again == nil {
				t.Error("sealed twice")
			}
			return b, err
		},
		"opened": func() (Blob, error) { f := must2(blobOf(t, "hello").File()); return OpenBlob(f) },
	} {
		b, err := make()
		if err != nil || b.Size() != 5 || textOf(t, b) != "hello" || b.String() != "blob of 5 bytes" {
			t.Errorf("%s: %v %v", name, b, err)
		}
		var some [3]byte
		if n, err := b.ReadAt(some[:], 3); n != 2 || err != io.EOF || string(some[:2]) != "lo" {
			t.Errorf("%s: %d %v", name, n, err)
		}
		if _, err := b.ReadAt(some[:], -1); err == nil || err == io.EOF {
			t.Errorf("%s: %v", name, err)
		}
		clone := must2(b.Clone())
		b.Close()
		b.Close()
		_, mapped := b.Bytes()
		_, read := b.ReadAt(some[:], 0)
		_, cloned := b.Clone()
		_, passed := b.File()
		for _, err := range []error{mapped, read, cloned, passed} {
			if !errors.Is(err, os.ErrClosed) {
				t.Errorf("%s: after Close: %v", name, err)
			}
		}
		if textOf(t, clone) != "hello" {
			t.Errorf("%s: the clone is not", name)
		}
		clone.Close()
	}
	for name, make := range map[string]func() (Blob, error){
		"too long":      func() (Blob, error) { return ReadBlob(strings.NewReader("hello"), 4) },
		"broken":        func() (Blob, error) { return ReadBlob(iotest.ErrReader(io.ErrUnexpectedEOF), 4) },
		"fails":         func() (Blob, error) { return FillBlob(5, func([]byte) error { return io.ErrUnexpectedEOF }) },
		"negative":      func() (Blob, error) { return FillBlob(-1, nil) },
		"huge":          func() (Blob, error) { return FillBlob(1<<62, nil) },
		"ordinary file": func() (Blob, error) { return OpenBlob(file) },
	} {
		if b, err := make(); err == nil || !b.IsZero() {
			t.Errorf("%s: %v", name, b)
		}
	}
}

func TestTheZeroBlob(t *testing.T) {
	var b Blob
	data, err := b.Bytes()
	if data != nil || err != nil || b.Size() != 0 || !b.IsZero() || b.Close() != nil || b.String() != "no blob" || b.Ref() != (BlobRef{}) {
		t.Error(data, err)
	}
	if n, err := b.ReadAt(make([]byte, 1), 0); n != 0 || err != io.EOF {
		t.Error(n, err)
	}
	if c, err := b.Clone(); err != nil || !c.IsZero() {
		t.Error(err)
	}
	if _, err := b.File(); err == nil {
		t.Error("it has a file")
	}
	c := mustCodec[Blob](t)
	body := must(c.Append(nil, b))
	if v, err := c.Decode(body); err != nil || !v.IsZero() || !bytes.Equal(body, []byte{itemNull}) {
		t.Error(err)
	}
}

// Nothing is left of Blobs that are closed, and a descriptor comes back from those that are forgotten.
func TestBlobsLeaveNothing(t *testing.T) {
	if !sealed.Supported {
		t.Skip("no sealed files")
	}
	files, maps := openFiles(t), mappings(t)
	for range 100 {
		b := blobOf(t, "data")
		c := must2(b.Clone())
		textOf(t, b)
		textOf(t, c)
		b.Close()
		c.Close()
	}
	if openFiles(t) != files || mappings(t) != maps {
		t.Errorf("descriptors %d -> %d, mappings %d -> %d", files, openFiles(t), maps, mappings(t))
	}
	for range 10 {
		_, _ = NewBlob([]byte("forgotten"))
	}
	for i := 0; openFiles(t) > files; i++ {
		if i == 1000 {
			t.Fatalf("descriptors %d -> %d", files, openFiles(t))
		}
		runtime.GC()
	}
}

func openFiles(t testing.TB) int {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func mappings(t testing.TB) int {
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), "verdigris-blob")
}

func TestParcelRefuses(t *testing.T) {
	ref := func(n uint64, size int64) BlobRef { return BlobRef{Number: n, Size: size} }
	many := make([]BlobRef, MaxBlobs+1)
	for i := range many {
		many[i].Number = uint64(i)
	}
	for name, p := range map[string]Parcel{
		"twice":    {[]BlobRef{ref(1, 5), ref(1, 6)}},
		"negative": {[]BlobRef{ref(1, -1)}},
		"overflow": {[]BlobRef{ref(1, 1<<62), ref(2, 1<<62)}},
		"many":     {many},
	} {
		if _, err := p.Append(nil); err == nil {
			t.Errorf("%s is sent", name)
		}
		if _, err := ParseParcel(must(appendValue(nil, &p))); !errors.As(err, new(*DecodeError)) {
			t.Errorf("%s is taken: %v", name, err)
		}
	}
}

// Whatever arrives as a value with Blobs: no panic, and what is accepted survives the way back.
func FuzzBlobs(f *testing.F) {
	seeds(f, "values.txt")
	c := mustCodec[album](f)
	in := albumOf(f)
	all := c.Blobs(in)
	f.Add(must(c.Append(nil, in)))
	f.Add(must(c.AppendWhole(nil, in)))
	f.Add(must(c.AppendIdentity(nil, in)))
	come := passOn(f, all)
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := c.DecodeBlobs(b, come)
		if err != nil {
			if !errors.As(err, new(*DecodeError)) {
				t.Fatal(err)
			}
			return
		}
		var sum int64
		for _, b := range c.Blobs(v) {
			data, err := b.Bytes()
			if err != nil || int64(len(data)) != b.Size() {
				t.Fatalf("%v: %v", b, err)
			}
			sum += b.Size()
		}
		whole, err := c.AppendWhole(nil, v)
		if err != nil || int64(len(whole)) < sum/int64(max(len(c.Blobs(v)), 1)) {
			t.Fatal(err)
		}
		for _, b := range c.Blobs(v) {
			b.Close()
		}
	})
}
