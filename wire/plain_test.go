package wire

import (
	"bytes"
	"reflect"
	"testing"
)

// plainBodies are handshakes with and without each optional part.
func plainBodies() (all []plainBody) {
	hello := Hello{Version, Version, "build", 4711, "go1.26", []string{CapStatusPage, CapStreams}, []Function{{"f", "tstr", "int", "pdf", true}, {Name: "g"}}}
	setup := Setup{Version, DefaultLimit, 4, "pdf", []byte{0xa1, 0x61, 0x41, 0x18, 0x96}, -4, []string{CapStatusPage}, 1 << 20, "build", 1 << 40}
	for _, full := range []any{hello, setup} {
		for i := -1; i < reflect.TypeOf(full).NumField(); i++ {
			v := reflect.New(reflect.TypeOf(full)).Elem()
			v.Set(reflect.ValueOf(full))
			if i >= 0 {
				v.Field(i).SetZero()
			}
			all = append(all, v.Interface().(plainBody))
		}
	}
	return all
}

// What is written by hand is, byte for byte, what the CBOR library writes.
func TestPlainIsTheLibrary(t *testing.T) {
	for _, body := range plainBodies() {
		want, err := shared().enc.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		if got := body.appendPlain(nil); !bytes.Equal(got, want) {
			t.Errorf("%+v:\n% x by hand\n% x by the library", body, got, want)
		}
		comparePlain(t, want)
	}
}

// comparePlain checks that what is read by hand is what the library reads, and
// reports which of the two bodies it is.
func comparePlain(t *testing.T, body []byte) (hello, setup bool) {
	t.Helper()
	var h Hello
	if hello = h.parsePlain(body); hello {
		if want, err := parseControl[Hello](body, KindHello, nil); err != nil || !reflect.DeepEqual(h, want) {
			t.Errorf("% x: hello %+v by hand, %+v, %v by the library", body, h, want, err)
		}
	}
	var s Setup
	if setup = s.parsePlain(body); setup {
		if want, err := parseControl[Setup](body, KindSetup, nil); err != nil || !reflect.DeepEqual(s, want) {
			t.Errorf("% x: setup %+v by hand, %+v, %v by the library", body, s, want, err)
		}
	}
	return hello, setup
}

// What a worker and its parent of the same build say is read by hand; else nothing
// would be gained.
func TestPlainIsRead(t *testing.T) {
	for _, body := range plainBodies() {
		hello, setup := comparePlain(t, body.appendPlain(nil))
		h, isHello := body.(Hello)
		if isHello && hello != (h.Functions == nil) || !isHello && !setup {
			t.Errorf("%+v is left to the library", body)
		}
	}
}

// Whatever arrives: what is read by hand is what the library reads.
func FuzzPlain(f *testing.F) {
	for _, body := range plainBodies() {
		f.Add(body.appendPlain(nil))
	}
	bodySeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) { comparePlain(t, b) })
}
