package wire

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// bothWays is a type with its direct codec beside the library, which is the reference.
type bothWays struct {
	typ reflect.Type
	*plan
}

func bothWaysOf(t reflect.Type) bothWays {
	return bothWays{t, &plan{name: t.String(), check: checkerOf(t), direct: directOf(t)}}
}

// write holds the direct codec against the library: it gives up over what cannot be sent and nothing else, and
// otherwise they write the same.
func (b bothWays) write(v reflect.Value) ([]byte, error) {
	want, err := b.encodeByLibrary(nil, v.Addr().Interface())
	got, ok := b.direct.encode([]byte("head"), v)
	switch {
	case ok != (err == nil):
		return nil, fmt.Errorf("%v %+v: direct %t, library %w", b.typ, v, ok, err)
	case ok && string(got) != "head"+string(want):
		return nil, fmt.Errorf("%v %+v: direct %x, library %x", b.typ, v, got, want)
	}
	return want, nil
}

// take holds the direct codec against the library: it takes nothing that the library does not take for the same
// value, and keeps nothing of the body.
func (b bothWays) take(body []byte) (taken bool, err error) {
	got, want := reflect.New(b.typ), reflect.New(b.typ)
	mine := bytes.Clone(body)
	if !b.direct.decode(new(walk), mine, got.Elem()) {
		return false, nil
	}
	clear(mine)
	if err := decodeByLibrary(body, want.Interface()); err != nil {
		return true, fmt.Errorf("%v: direct takes %x for %+v, library %w", b.typ, body, got.Elem(), err)
	}
	if !b.same(got, want) {
		return true, fmt.Errorf("%v: %x is %+v, for the library %+v", b.typ, body, got.Elem(), want.Elem())
	}
	return true, nil
}

// same compares two pointers to values; NaN is the same as NaN.
func (b bothWays) same(got, want reflect.Value) bool {
	if reflect.DeepEqual(got.Interface(), want.Interface()) {
		return true
	}
	one, err := b.encodeByLibrary(nil, got.Interface())
	two, err2 := b.encodeByLibrary(nil, want.Interface())
	return err == nil && err2 == nil && bytes.Equal(one, two)
}

// named are types that the generator cannot make.
var named = []reflect.Type{
	reflect.TypeFor[list](),
	reflect.TypeFor[treeOf](),
	reflect.TypeFor[twice](),
	reflect.TypeFor[forest](),
	reflect.TypeFor[nested](),
	reflect.TypeFor[pair](),
	reflect.TypeFor[embeds](),
	reflect.TypeFor[embedsLower](),
	reflect.TypeFor[embedsNumber](),
	reflect.TypeFor[noClash](),
	reflect.TypeFor[meant](),
	reflect.TypeFor[ignored](),
	reflect.TypeFor[textual](),
	reflect.TypeFor[omits](),
	reflect.TypeFor[plain](),
}

type omits struct {
	B bool           `json:",omitempty"`
	I int8           `cbor:"i,omitempty"`
	F float64        `cbor:"-3,keyasint,omitempty"`
	S string         `cbor:",omitempty"`
	L []int          `cbor:"300,keyasint,omitempty"`
	M map[string]int `json:"m,omitempty"`
	P *int           `json:"p,omitempty"`
	A [2]int         `json:"a,omitempty"`
	N [0]int         `json:"n,omitempty"`
	T time.Time      `json:"t"`
}

// plain has everything that a direct codec knows, and itself.
type plain struct {
	B  bool
	I  int16
	U  uint8
	F  float32
	D  float64
	S  string
	P  []byte
	A  [3]byte
	N  [2]int
	L  []plain
	M  map[string]*plain
	K  map[int8]bool
	T  time.Time
	TP *time.Time
	X  pair
	E  embeds
	O  omits
	At int `cbor:"-1,keyasint"`
}

var scalars = []reflect.Type{
	reflect.TypeFor[bool](),
	reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
	reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](),
	reflect.TypeFor[float32](), reflect.TypeFor[float64](),
	reflect.TypeFor[string](), reflect.TypeFor[Number](), reflect.TypeFor[time.Duration](),
	reflect.TypeFor[[]byte](), reflect.TypeFor[[4]byte](), reflect.TypeFor[time.Time](),
}

var tags = []reflect.StructTag{
	"", "", `json:"%d"`, `cbor:"%d,keyasint"`, `cbor:"-%d,keyasint"`, `cbor:"field-%d"`, `json:"a-long-name-for-a-field-%d"`,
}

// typeOf draws a type.
func typeOf(t *rapid.T, depth int) reflect.Type {
	kind := rapid.IntRange(0, 7).Draw(t, "kind")
	if depth == 0 {
		kind = 6 + kind%2
	}
	switch kind {
	case 0, 1:
		fields := make([]reflect.StructField, rapid.IntRange(0, 6).Draw(t, "fields"))
		for i := range fields {
			tag := string(rapid.SampledFrom(tags).Draw(t, "tag"))
			if strings.Contains(tag, "%d") {
				tag = fmt.Sprintf(tag, i*i*i)
			}
			fields[i] = reflect.StructField{Name: fmt.Sprint("F", i), Type: typeOf(t, depth-1), Tag: reflect.StructTag(tag)}
		}
		return reflect.StructOf(fields)
	case 2:
		return reflect.SliceOf(typeOf(t, depth-1))
	case 3:
		keys := rapid.SampledFrom(scalars[:11]) // booleans and integers
		if rapid.Bool().Draw(t, "texts") {
			keys = rapid.Just(reflect.TypeFor[string]())
		}
		return reflect.MapOf(keys.Draw(t, "key"), typeOf(t, depth-1))
	case 4:
		target := typeOf(t, depth-1)
		if k := target.Kind(); k == reflect.Pointer || k == reflect.Slice || k == reflect.Map {
			return target
		}
		return reflect.PointerTo(target)
	case 5:
		return reflect.ArrayOf(rapid.IntRange(0, 3).Draw(t, "length"), typeOf(t, depth-1))
	case 6:
		return rapid.SampledFrom(scalars).Draw(t, "scalar")
	}
	return rapid.SampledFrom(named).Draw(t, "named")
}

// fill draws a value.
func fill(t *rapid.T, v reflect.Value, depth int) {
	few := func() int {
		if depth <= 0 {
			return 0
		}
		return rapid.IntRange(0, 3).Draw(t, "few")
	}
	if v.Type() == typeTime {
		v.Set(reflect.ValueOf(timeOf(t)))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int"))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, "uint"))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(floatOf(t))
	case reflect.String:
		if s := rapid.SampledFrom([]string{"", "a", "grün", "\xff", "longer than twenty-four bytes"}).Draw(t, "text"); s != "\xff" || rapid.IntRange(0, 9).Draw(t, "wrong") == 0 {
			v.SetString(s)
		}
	case reflect.Pointer:
		if few() > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), depth-1)
		}
	case reflect.Slice:
		if rapid.IntRange(0, 4).Draw(t, "nil") > 0 {
			n := few()
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), depth-1)
		}
	case reflect.Map:
		if rapid.IntRange(0, 4).Draw(t, "nil") > 0 {
			v.Set(reflect.MakeMap(v.Type()))
		}
		for n := few(); n > 0 && !v.IsNil(); n-- {
			key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(t, key, 1)
			fill(t, elem, depth-1)
			v.SetMapIndex(key, elem)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); onWire(f) && (f.IsExported() || f.Type.Kind() == reflect.Struct) {
				fill(t, v.Field(i), depth-1)
			}
		}
	}
}

func floatOf(t *rapid.T) float64 {
	f := rapid.Float64().Draw(t, "float")
	switch rapid.IntRange(0, 4).Draw(t, "width") {
	case 0:
		return float64(float32(f))
	case 1:
		return fromHalf(rapid.Uint16().Draw(t, "half"))
	case 2:
		return math.Trunc(math.Mod(f, 1000))
	}
	return f
}

// timeOf draws a time; some have no text form.
func timeOf(t *rapid.T) time.Time {
	if rapid.IntRange(0, 3).Draw(t, "zero") == 0 {
		return time.Time{}
	}
	const year0, year10000 = -62167219200, 253402300800
	seconds := rapid.Int64Range(year0-1000, year10000+1000).Draw(t, "seconds")
	nanos := rapid.SampledFrom([]int64{0, 1, 500, 999_999_999}).Draw(t, "nanos")
	zone := rapid.SampledFrom([]int{0, 3600, -19800, 86340, 1172, 86400}).Draw(t, "zone")
	if rapid.IntRange(0, 9).Draw(t, "ancient") == 0 {
		seconds += math.MinInt64 / 2 * rapid.Int64Range(0, 2).Draw(t, "back") // where Go's calendar wraps around
	}
	return time.Unix(seconds, nanos).In(time.FixedZone("", zone))
}

// For any type and value the direct codec writes what the library writes, takes it back, and takes nothing that the
// library does not.
func TestDirectIsTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := typeOf(t, 3)
		if err := CheckType(typ); err != nil {
			t.Fatal(err)
		}
		b := bothWaysOf(typ)
		if b.direct == nil {
			t.Fatalf("%v has no direct codec", typ)
		}
		for range 3 {
			v := reflect.New(typ).Elem()
			fill(t, v, 4)
			body, err := b.write(v)
			if err != nil {
				t.Fatal(err)
			}
			if body == nil {
				continue // cannot be sent
			}
			if taken, err := b.take(body); !taken || err != nil {
				t.Fatalf("%v %+v: direct takes it back: %t, %v", typ, v, taken, err)
			}
			for range 20 {
				if _, err := b.take(garbled(t, body)); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// garbled is body with something changed, in a place where it matters.
func garbled(t *rapid.T, body []byte) []byte {
	at := rapid.IntRange(0, len(body)-1).Draw(t, "at")
	some := rapid.SampledFrom([]byte{0, 1, 0x17, 0x18, 0x1b, 0x20, 0x38, 0x40, 0x58, 0x60, 0x61, 0x78, 0x80, 0x81, 0x98, 0xa0, 0xa1, 0xc0, 0xc2, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xff})
	change := []byte{some.Draw(t, "byte")}
	switch rapid.IntRange(0, 4).Draw(t, "how") {
	case 0:
		return body[:at]
	case 1:
		return append(append(bytes.Clone(body[:at]), change...), body[at:]...)
	case 2:
		return append(bytes.Clone(body[:at]), body[at+1:]...)
	case 3:
		other := rapid.IntRange(0, len(body)-1).Draw(t, "other")
		return append(append(bytes.Clone(body[:at]), body[min(at, other):max(at, other)]...), body[at:]...)
	}
	out := bytes.Clone(body)
	out[at] = change[0]
	return out
}

// FuzzDirect: whatever arrives, a direct codec takes nothing that the library does not take for the same value, and
// writes it as the library does.
func FuzzDirect(f *testing.F) {
	seeds(f, "values.txt", "refused.txt")
	var ways []bothWays
	for _, t := range append(scalars[:len(scalars):len(scalars)], append(named,
		reflect.TypeFor[[]string](), reflect.TypeFor[map[string]int](), reflect.TypeFor[map[int]*pair](), reflect.TypeFor[[2]float32](), reflect.TypeFor[[]plain]())...) {
		ways = append(ways, bothWaysOf(t))
	}
	full := plain{S: "s", L: []plain{{I: -1}, {}}, M: map[string]*plain{"k": nil, "": {}}, K: map[int8]bool{-1: true}, T: noon, TP: &noon, A: [3]byte{1}, F: 0.1, D: 1.5, E: embeds{Base{7}, "n"}, O: omits{L: []int{1}}}
	f.Add(must(shared().enc.(interface{ Marshal(any) ([]byte, error) }).Marshal(full)))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, b := range ways {
			taken, err := b.take(body)
			if err != nil {
				t.Fatal(err)
			}
			v := reflect.New(b.typ)
			if !taken && decodeByLibrary(body, v.Interface()) != nil || taken && !b.direct.decode(new(walk), body, v.Elem()) {
				continue
			}
			if _, err := b.write(v.Elem()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// What the library refuses is refused.
func TestDirectRefuses(t *testing.T) {
	for _, c := range []struct {
		typ  reflect.Type
		item string
	}{
		{reflect.TypeFor[map[string]int](), "a26161016161 02"},                                      // a key twice
		{reflect.TypeFor[map[string]int](), "a2f60160 02"},                                          // different keys that are the same in Go
		{reflect.TypeFor[float32](), "fb7e37e43c8800759c"},                                          // 1e300
		{reflect.TypeFor[uint8](), "190100"},                                                        // 256
		{reflect.TypeFor[string](), "61ff"},                                                         // not UTF-8
		{reflect.TypeFor[time.Time](), "c06161"},                                                    // no time
		{reflect.TypeFor[time.Time](), "c2c06161"},                                                  // tags inside each other
		{reflect.TypeFor[time.Time](), "c174" + hex.EncodeToString([]byte("2026-11-22T12:00:00Z"))}, // another tag
		{reflect.TypeFor[pair](), "8101"},                                                           // too few
		{reflect.TypeFor[[]pair](), "82830161 62f6"},                                                // too many
		{reflect.TypeFor[lower](), "a2615801615802"},                                                // a field twice
		{reflect.TypeFor[lower](), "a16158"},                                                        // cut off
		{reflect.TypeFor[[]int](), "9b000000010000000001"},                                          // more than bytes
		{reflect.TypeFor[[]int](), "9a00400001" + strings.Repeat("00", MaxElements+1)},
		{reflect.TypeFor[[]struct{}](), "9a00400001" + strings.Repeat("f6", MaxElements+1)},
		{reflect.TypeFor[bool](), "f4f4"},
		{reflect.TypeFor[bool](), ""},
	} {
		body, err := hex.DecodeString(strings.ReplaceAll(c.item, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if taken, _ := bothWaysOf(c.typ).take(body); taken {
			t.Errorf("%v: %.40s is taken", c.typ, c.item)
		}
	}
}

func TestDirectOmits(t *testing.T) {
	b := bothWaysOf(reflect.TypeFor[omits]())
	for _, o := range []omits{{}, {F: math.Copysign(0, -1)}, {F: 1, L: []int{}, M: map[string]int{}}, {B: true, P: new(int)}, {S: "\xff"}} {
		if _, err := b.write(reflect.ValueOf(&o).Elem()); err != nil {
			t.Error(err)
		}
	}
}

// What only other senders write goes the long way and arrives all the same; what is wrong is found there.
func TestWhatDirectLeavesToTheLibrary(t *testing.T) {
	decodes := func(item string, want any) {
		t.Helper()
		body, err := hex.DecodeString(item)
		if err != nil {
			t.Fatal(err)
		}
		b := bothWaysOf(reflect.TypeOf(want))
		if taken, err := b.take(body); taken || err != nil {
			t.Errorf("%s: direct takes it: %t, %v", item, taken, err)
		}
		v := reflect.New(b.typ)
		if err := decodeByLibrary(body, v.Interface()); err != nil || !reflect.DeepEqual(v.Elem().Interface(), want) {
			t.Errorf("%s: %+v, want %+v; %v", item, v.Elem(), want, err)
		}
	}
	type keys struct{ A, B int }
	decodes("a2614202614101", keys{1, 2}) // keys in another order
	decodes("01", 1.0)                    // an integer for a float
	decodes("820102", []byte{1, 2})       // an array for bytes
	decodes("4101", [2]byte{1})           // too few
	decodes("83010203", [2]int{1, 2})     // too many
	decodes("c06161", "a")                // a time for a text
	decodes("c24101", 1)                  // a big integer for a small one
	if b := bothWaysOf(reflect.TypeFor[everything]()); b.direct != nil {
		t.Error("a type that encodes itself has a direct codec")
	}
	for _, other := range []reflect.Type{reflect.TypeFor[embedsPtr](), reflect.TypeFor[ownForm](), reflect.TypeFor[struct {
		A int `cbor:",omitzero"`
	}](), reflect.TypeFor[struct {
		A pair `cbor:",omitempty"`
	}]()} {
		if directOf(other) != nil {
			t.Errorf("%v has a direct codec", other)
		}
	}
}

// Every half-precision float, and what lies beside it, is written and read as by the library.
func TestFloatsOfAllWidths(t *testing.T) {
	single, double := bothWaysOf(reflect.TypeFor[float32]()), bothWaysOf(reflect.TypeFor[float64]())
	try := func(f float64) {
		for _, b := range []bothWays{single, double} {
			v := reflect.New(b.typ).Elem()
			v.SetFloat(f)
			body, err := b.write(v)
			if err == nil {
				_, err = b.take(body)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for h := range 1 << 16 {
		f := fromHalf(uint16(h))
		try(f)
		try(float64(math.Nextafter32(float32(f), 2)))
		try(math.Nextafter(f, -2))
		if _, err := double.take([]byte{itemFloat16, byte(h >> 8), byte(h)}); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 5_000 {
		try(float64(math.Float32frombits(r.Uint32())))
		try(math.Float64frombits(r.Uint64()))
	}
}

// What is made for the elements of all arrays together is bounded by the length of the body, however they claim to be
// nested: one array in the other, each of which says that it has as many elements as there are bytes, or one that has
// taken the bytes which the next would need.
func TestDirectDoesNotBelieveLengths(t *testing.T) {
	type wide struct {
		Kids []wide `cbor:"1,keyasint"`
		Text string `cbor:"2,keyasint"`
		Room [15]int64
	}
	const size = 50_000
	var nested []byte
	for range MaxNesting/2 - 1 {
		nested = append(nested, 0x99, byte(size>>8), byte(size&0xff), 0xa1, 1)
	}
	nested = append(nested, make([]byte, size+500)...)
	eaten := append([]byte{0x82, 0xa1, 2, 0x59 | majorText, byte(size >> 8), byte(size & 0xff)}, make([]byte, size)...)
	eaten = append(eaten, 0xa1, 1, 0x99, byte(size>>8), byte(size&0xff))
	owing := append([]byte{0x99, byte(size >> 8), byte(size & 0xff)}, eaten[1:]...)
	d := directOf(reflect.TypeFor[[]wide]())
	for _, body := range [][]byte{nested, eaten, owing} {
		var v []wide
		bound := uint64(len(body)) * uint64(reflect.TypeFor[wide]().Size()) * 5 / 4
		if used := heapDuring(func() { d.decode(new(walk), body, reflect.ValueOf(&v).Elem()) }); used > bound {
			t.Errorf("%x...: %d bytes for a body of %d; at most %d", body[:20], used, len(body), bound)
		}
	}
}

// timed may have a time at the deepest place.
type timed struct {
	Next *timed
	At   time.Time
}

func TestDirectNestingLimit(t *testing.T) {
	for _, typ := range []reflect.Type{
		reflect.TypeFor[nested](), reflect.TypeFor[forest](), reflect.TypeFor[treeOf](), reflect.TypeFor[timed](),
	} {
		b := bothWaysOf(typ)
		for deep := 28; deep < 70; deep++ {
			v := reflect.New(typ).Elem()
			nest(v, deep)
			body, err := b.write(v)
			if err != nil {
				t.Error(err)
			}
			if body == nil { // a body that has it nevertheless
				body = nestedBody(typ, deep)
			}
			if _, err := b.take(body); err != nil {
				t.Error(err)
			}
		}
	}
	b := bothWaysOf(reflect.TypeFor[nested]())
	for _, n := range []int{MaxNesting, MaxNesting + 1, 1 << 20} {
		body := append(bytes.Repeat([]byte{0x81}, n-1), 0x80)
		if taken, err := b.take(body); taken != (n <= MaxNesting) || err != nil {
			t.Errorf("%d levels: taken %t, %v", n, taken, err)
		}
	}
}

// nest makes v that deep.
func nest(v reflect.Value, deep int) {
	if deep == 0 {
		if v.Type() == reflect.TypeFor[timed]() {
			v.Field(1).Set(reflect.ValueOf(noon))
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		nest(v.Elem(), deep-1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		nest(v.Index(0), deep-1)
	case reflect.Map:
		inner := reflect.New(v.Type().Elem()).Elem()
		nest(inner, deep-1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("k"), inner)
	case reflect.Struct:
		nest(v.Field(0), deep)
	}
}

// nestedBody is what nest makes, written without a look at the limit.
func nestedBody(typ reflect.Type, deep int) []byte {
	v := reflect.New(typ)
	nest(v.Elem(), deep)
	body, err := appendValue(nil, v.Interface())
	if err != nil {
		panic(err)
	}
	return body
}
