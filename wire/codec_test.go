package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// mustCodec is CodecFor for types that are known to be fine.
func mustCodec[T any](tb testing.TB) Codec[T] {
	tb.Helper()
	c, err := CodecFor[T]()
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// roundTrip sends v once and compares what comes out.
func roundTrip[T any](t *testing.T, v T) {
	t.Helper()
	c := mustCodec[T](t)
	b, err := c.Append([]byte("head"), v)
	if err != nil || string(b[:4]) != "head" {
		t.Errorf("%T: %q, %v", v, b, err)
		return
	}
	got, err := c.Decode(b[4:])
	if err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("%T: sent %+v, got %+v, %v", v, v, got, err)
	}
	clear(b) // a value that aliases the body changes now
	if !reflect.DeepEqual(got, v) {
		t.Errorf("%T: the value aliases the body", v)
	}
}

func ptr[T any](v T) *T { return &v }

func TestRoundTrips(t *testing.T) {
	roundTrip(t, []byte(nil))
	roundTrip(t, []byte{})
	roundTrip(t, bytes.Repeat([]byte{1}, 70_000))
	roundTrip(t, "")
	roundTrip(t, "grün 🌳")
	roundTrip(t, true)
	roundTrip(t, math.MinInt64)
	roundTrip(t, uint64(math.MaxUint64))
	roundTrip(t, int8(-128))
	roundTrip(t, float32(0.1))
	roundTrip(t, math.SmallestNonzeroFloat64)
	roundTrip(t, math.Inf(-1))
	roundTrip(t, (*int)(nil))
	roundTrip(t, ptr(5))
	roundTrip(t, []int(nil))
	roundTrip(t, []int{})
	roundTrip(t, []int{1, -1})
	roundTrip(t, []*int{nil, ptr(1)})
	roundTrip(t, map[string]int(nil))
	roundTrip(t, map[string]int{})
	roundTrip(t, map[int][]byte{-1: nil, 1: {}, 300: {1}})
	roundTrip(t, map[bool]string{true: "a"})
	roundTrip(t, map[netip.Addr]int{netip.MustParseAddr("fe80::1%eth0"): 1})
	roundTrip(t, [3]int{1, 2, 3})
	roundTrip(t, [4]byte{1, 2, 3, 4})
	roundTrip(t, struct{}{})
	roundTrip(t, time.Duration(-1))
	roundTrip(t, *big.NewInt(-5))
	roundTrip(t, new(big.Int).Lsh(big.NewInt(1), 200))
	roundTrip(t, new(big.Int).Neg(new(big.Int).Lsh(big.NewInt(1), 64)))
	roundTrip(t, url.URL{Scheme: "https", Host: "example.org", Path: "/a b"})
	roundTrip(t, selfCBOR{7})
	roundTrip(t, []selfCBOR{{7}, {-7}})
	roundTrip(t, ownForm{Name: "x"})
	roundTrip(t, pair{A: 1, B: "b"})
	roundTrip(t, embeds{Base{1}, "n"})
	roundTrip(t, embedsPtr{&Base{1}, "n"})
	roundTrip(t, embedsPtr{nil, "n"})
	roundTrip(t, embedsLower{lower{3}})
	roundTrip(t, noClash{1, 2})
	roundTrip(t, list{1, &list{2, nil}})
	roundTrip(t, treeOf{[]treeOf{{[]treeOf{}}, {nil}}})
	roundTrip(t, forest{"a": {"b": nil}, "c": {}})
	roundTrip(t, textual{4})
	roundTrip(t, cbor.RawMessage{0x82, 1, 2})
	roundTrip(t, cbor.ByteString("abc"))
	roundTrip(t, struct{ A, B []byte }{nil, []byte{}})
}

func TestTimesKeepNanosecondsAndOffset(t *testing.T) {
	c := mustCodec[time.Time](t)
	for _, want := range []time.Time{
		{},
		time.Unix(0, 1).UTC(),
		time.Date(2026, 11, 22, 1, 2, 3, 123456789, time.FixedZone("", 5*3600+1800)),
		time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.FixedZone("", -14*3600)),
		time.Now(),
	} {
		b, err := c.Append(nil, want)
		if err != nil {
			t.Error(err)
			continue
		}
		got, err := c.Decode(b)
		_, a := got.Zone()
		_, z := want.Zone()
		if err != nil || !got.Equal(want) || a != z {
			t.Errorf("sent %v, got %v, %v", want, got, err)
		}
	}
}

func TestNaNStaysNaN(t *testing.T) {
	c := mustCodec[[]float64](t)
	b, _ := c.Append(nil, []float64{math.NaN(), math.Copysign(0, -1)})
	got, err := c.Decode(b)
	if err != nil || !math.IsNaN(got[0]) || !math.Signbit(got[1]) {
		t.Errorf("%v, %v", got, err)
	}
}

// The same value is always the same bytes, so that bytes can stand for values.
func TestEncodingIsDeterministic(t *testing.T) {
	c := mustCodec[map[string]int](t)
	m := map[string]int{}
	for i := range 50 {
		m[strings.Repeat("k", i)] = i
	}
	first, _ := c.Append(nil, m)
	for range 20 {
		if again, _ := c.Append(nil, m); !bytes.Equal(first, again) {
			t.Fatal("two encodings of one map differ")
		}
	}
}

type bad struct{ item string }

func (b bad) MarshalCBOR() ([]byte, error)  { return hex.DecodeString(b.item) }
func (b *bad) UnmarshalCBOR(_ []byte) error { return nil }

func appendFails[T any](t *testing.T, v T, want error) {
	t.Helper()
	c := mustCodec[T](t)
	b, err := c.Append([]byte("head"), v)
	var enc *EncodeError
	if !errors.As(err, &enc) || string(b) != "head" || want != nil && !errors.Is(err, want) {
		t.Errorf("%T: %q, %v", v, b, err)
	}
}

// What the receiver would refuse or change is refused by the sender.
func TestAppendRefusesWhatWouldNotArrive(t *testing.T) {
	cycle := &list{Value: 1}
	cycle.Next = cycle
	self := forest{}
	self["self"] = self
	snake := nested{nil}
	snake[0] = snake
	appendFails(t, cycle, errCycle)
	appendFails(t, *cycle, errCycle)
	appendFails(t, self, errCycle)
	appendFails(t, snake, errCycle)
	appendFails(t, "\xff", errUTF8)
	appendFails(t, []string{"a", "\xff"}, errUTF8)
	appendFails(t, map[string]int{"\xff": 1}, errUTF8)
	appendFails(t, time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), errYear)
	appendFails(t, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), errYear)
	appendFails(t, []time.Time{time.Date(1850, 1, 1, 0, 0, 0, 0, time.FixedZone("LMT", 1172))}, errZone)
	appendFails(t, map[string]*time.Time{"a": {}}, errZeroTime)
	appendFails(t, bad{"9f00ff"}, nil)               // indefinite length
	appendFails(t, bad{"0000"}, nil)                 // two items
	appendFails(t, bad{""}, nil)                     // none
	appendFails(t, bad{"d82500"}, badTag(37))        // a tag
	appendFails(t, bad{"1801"}, errLonger)           // not the shortest
	appendFails(t, bad{"a200000000"}, errDuplicate)  // the same key twice
	appendFails(t, cbor.RawMessage{0xf7}, errSimple) // undefined
}

func TestDecodeRefuses(t *testing.T) {
	type small struct {
		A int8
		S string
		L []int
	}
	c := mustCodec[small](t)
	for name, item := range map[string]string{
		"nothing":              "",
		"two items":            "a0a0",
		"cut":                  "a16141",
		"unknown field":        "a1615801",
		"field in other case":  "a1616101",
		"a field twice":        "a2614101614102",
		"a field twice, apart": "a361410161530061 4102",
		"number too large":     "a161411903e8",
		"negative fraction":    "a16141fbbff8000000000000",
		"text for a number":    "a161416131",
		"number for a text":    "a1615301",
		"array for a struct":   "83010203",
		"indefinite map":       "bf614101ff",
		"indefinite array":     "a1614c9f01ff",
		"indefinite text":      "a161537f6161ff",
		"long head":            "a16141 1801",
		"long length":          "b801614101",
		"not UTF-8":            "a1615361ff",
		"unknown tag":          "a16141c101",
		"self-described":       "d9d9f7a0",
		"undefined":            "a16141f7",
		"simple value":         "a16141f820",
		"reserved head":        "1c",
		"break":                "ff",
		"array that lies":      "a1614c9affffffff",
		"map that lies":        "baffffffff",
		"text that lies":       "a161537affffffff",
		"array of 2^64-1":      "a1614c9bffffffffffffffff",
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(item, " ", ""))
		if err != nil {
			t.Fatal(name, err)
		}
		v, err := c.Decode(b)
		var dec *DecodeError
		if !errors.As(err, &dec) || !reflect.DeepEqual(v, small{}) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}

func TestDecodeRefusesOnTheFastPaths(t *testing.T) {
	text, data := mustCodec[string](t), mustCodec[[]byte](t)
	for _, item := range []string{"", "6161 00", "41", "7aff", "61ff", "01", "f600", "7f6161ff", "780161", "5801ff", "f7"} {
		b, _ := hex.DecodeString(strings.ReplaceAll(item, " ", ""))
		if s, err := text.Decode(b); !errors.As(err, new(*DecodeError)) || s != "" {
			t.Errorf("text %s: %q, %v", item, s, err)
		}
		if s, err := data.Decode(b); !errors.As(err, new(*DecodeError)) || s != nil {
			t.Errorf("bytes %s: %q, %v", item, s, err)
		}
	}
}

func TestNestingLimit(t *testing.T) {
	c := mustCodec[nested](t)
	deep := func(n int) []byte { return append(bytes.Repeat([]byte{0x81}, n-1), 0x80) }
	v, err := c.Decode(deep(MaxNesting))
	if err != nil {
		t.Fatalf("%d levels: %v", MaxNesting, err)
	}
	if _, err := c.Append(nil, v); err != nil {
		t.Errorf("%d levels: %v", MaxNesting, err)
	}
	if _, err := c.Append(nil, nested{v}); err == nil {
		t.Errorf("%d levels are sent", MaxNesting+1)
	}
	for _, n := range []int{MaxNesting + 1, 1 << 20} {
		if _, err := c.Decode(deep(n)); err == nil {
			t.Errorf("%d levels are accepted", n)
		}
	}
}

// The limits hold before anything behind the head is looked at.
func TestArrayAndMapLimits(t *testing.T) {
	for _, c := range []struct {
		major   byte
		n       uint64
		refused bool
	}{
		{majorArray, MaxElements, false},
		{majorArray, MaxElements + 1, true},
		{majorArray, math.MaxUint64, true},
		{majorMap, MaxPairs, false},
		{majorMap, MaxPairs + 1, true},
		{majorMap, math.MaxUint64, true},
	} {
		err := valid(appendHead(nil, c.major, c.n))
		var limit *tooLong
		if errors.As(err, &limit) != c.refused || !c.refused && !errors.Is(err, errTruncated) {
			t.Errorf("%d elements of %#x: %v", c.n, c.major, err)
		}
	}
}

func TestDecodeDoesNotBelieveLengths(t *testing.T) {
	for _, head := range []string{"9b000000ffffffffff", "9affffffff", "9a00400000", "bb000000ffffffffff", "ba00100000", "5affffffff", "7affffffff", "9a00400000 9a00400000"} {
		b, _ := hex.DecodeString(strings.ReplaceAll(head, " ", ""))
		ints, texts, maps := mustCodec[[][]int](t), mustCodec[string](t), mustCodec[map[int]int](t)
		used := heapDuring(func() {
			for range 10 {
				_, _ = ints.Decode(b)
				_, _ = texts.Decode(b)
				_, _ = maps.Decode(b)
			}
		})
		if used > 64<<10 {
			t.Errorf("%s: allocated %d bytes", head, used)
		}
	}
}

func TestCodecAllocations(t *testing.T) {
	type job struct {
		Name  string
		Width int
	}
	jobs, texts, data := mustCodec[job](t), mustCodec[string](t), mustCodec[[]byte](t)
	buf := make([]byte, 0, 1024)
	payload := make([]byte, 512)
	for name, f := range map[string]func(){
		"struct": func() { _, _ = jobs.Append(buf, job{"cat.qoi", 64}) },
		"text":   func() { _, _ = texts.Append(buf, "hello") },
		"bytes":  func() { _, _ = data.Append(buf, payload) },
	} {
		if n := testing.AllocsPerRun(100, f); n >= 1 {
			t.Errorf("appending a %s: %v allocations", name, n)
		}
	}
}

type fragile struct{ V byte }

func (f fragile) MarshalBinary() ([]byte, error)  { return []byte{f.V, 0, 0, 0}, nil }
func (f *fragile) UnmarshalBinary(b []byte) error { f.V = b[3]; return nil }

func TestDecodeSurvivesMethodsThatPanic(t *testing.T) {
	if v, err := mustCodec[[]fragile](t).Decode([]byte{0x81, 0x41, 0x01}); !errors.As(err, new(*DecodeError)) || v != nil {
		t.Errorf("%v, %v", v, err)
	}
}

// Times are found wherever they are.
func TestTimesInsideOtherTypes(t *testing.T) {
	type inner struct{ At time.Time }
	type outer struct{ inner }
	wrong := time.Date(1850, 1, 1, 0, 0, 0, 0, time.FixedZone("LMT", 1172))
	appendFails(t, outer{inner{wrong}}, errZone)
	appendFails(t, [1]outer{{inner{wrong}}}, errZone)
	appendFails(t, map[int]*outer{1: {inner{wrong}}}, errZone)
	roundTrip(t, outer{inner{time.Unix(1, 2).UTC()}})
}

// Values share memory inside the codec, but nothing of one may show in the next, nor after a failure.
func TestValuesDoNotLeakIntoEachOther(t *testing.T) {
	c := mustCodec[embeds](t)
	full, _ := c.Append(nil, embeds{Base{7}, "secret"})
	for _, b := range [][]byte{full, append(full[:len(full)-1:len(full)-1], 0xff)} { // the second is not UTF-8
		_, _ = c.Decode(b)
		if v, err := c.Decode([]byte{0xa0}); err != nil || v != (embeds{}) {
			t.Errorf("an empty struct comes out as %+v, %v", v, err)
		}
	}
	_, _ = c.Append(nil, embeds{Base{7}, "secret"})
	if v, err := c.Decode([]byte{0xa0}); err != nil || v != (embeds{}) {
		t.Errorf("an empty struct comes out as %+v, %v", v, err)
	}
}

func TestCodecIsSafeForConcurrentUse(t *testing.T) {
	c := mustCodec[embeds](t)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				want := embeds{Base{g*1000 + i}, strings.Repeat("x", i)}
				b, _ := c.Append(nil, want)
				if got, err := c.Decode(b); err != nil || got != want {
					t.Errorf("sent %v, got %v, %v", want, got, err)
				}
			}
		})
	}
	wg.Wait()
}
