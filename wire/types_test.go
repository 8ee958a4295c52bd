package wire

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/fxamacker/cbor/v2"
)

type (
	withChan struct{ Ch chan int }
	withOut  struct{ Out withChan }
	hidden   struct{ secret int }
	half     struct{ A, b int }
	meant    struct {
		A int
		b int `cbor:"-"`
	}
	locked struct {
		mu sync.Mutex
		A  int
	}
	marker  struct{ _ [0]func() }
	ignored struct {
		A any `cbor:"-"`
	}
	ignored2 struct {
		A any `json:"-"`
	}
	clash struct {
		A int `cbor:"x"`
		B int `json:"x"`
	}
	intClash struct {
		A int `cbor:"1,keyasint"`
		B int `cbor:"01,keyasint"`
	}
	noClash struct {
		A int `cbor:"1,keyasint"`
		B int `cbor:"1"`
	}
	badInt struct {
		A int `cbor:"one,keyasint"`
	}
	Base   struct{ ID int }
	shadow struct {
		Base
		ID int
	}
	embeds struct {
		Base
		Name string
	}
	embedsPtr struct {
		*Base
		Name string
	}
	lower        struct{ X int }
	embedsLower  struct{ lower }
	embedsLowPtr struct{ *lower }
	Loop         struct{ *Loop }
	stamped      struct {
		time.Time
		Name string
	}
	justTime  struct{ time.Time }
	namedTime struct {
		time.Time `cbor:"at"`
		Name      string
	}
	twoTimes struct { // the two inherited MarshalBinary cancel each other out
		time.Time
		netip.Addr
	}
	ownForm struct {
		time.Time
		Name string
	}
	onlyEncodes struct{ A int }
	onlyDecodes struct{ A int }
	textual     struct{ A int }
	selfCBOR    struct{ v int }
	list        struct {
		Value int
		Next  *list
	}
	treeOf struct{ Kids []treeOf }
	twice  struct {
		X []twice
		Y struct{ Z []twice }
	}
	forest map[string]forest
	nested []nested
	pair   struct {
		_ struct{} `cbor:",toarray"`
		A int
		B string
	}
	embedsPair      struct{ pair }
	Number          int
	embedsNumber    struct{ Number }
	number          int //nolint:unused // embedded in the next one
	embedsNumberLow struct{ number }
)

func (o ownForm) MarshalBinary() ([]byte, error)  { return []byte(o.Name), nil }
func (o *ownForm) UnmarshalBinary(b []byte) error { o.Name = string(b); return nil }
func (onlyEncodes) MarshalCBOR() ([]byte, error)  { return []byte{itemNull}, nil }
func (*onlyDecodes) UnmarshalBinary([]byte) error { return nil }
func (textual) MarshalText() ([]byte, error)      { return nil, errors.New("must not be called") }
func (s selfCBOR) MarshalCBOR() ([]byte, error)   { return appendInt(nil, int64(s.v)), nil }
func (s *selfCBOR) UnmarshalCBOR(b []byte) error {
	c := newCursor(b)
	s.v = int(c.integer("v"))
	return c.done()
}

func TestCheckTypeRefuses(t *testing.T) {
	for _, c := range []struct {
		t            reflect.Type
		path, reason string
	}{
		{reflect.TypeFor[withOut](), "withOut.Out.Ch", "a channel cannot cross a process boundary"},
		{reflect.TypeFor[[]withOut](), "[]wire.withOut[].Out.Ch", "a channel"},
		{reflect.TypeFor[map[string]withChan](), "map[string]wire.withChan[].Ch", "a channel"},
		{reflect.TypeFor[*withChan](), "*wire.withChan.Ch", "a channel"},
		{reflect.TypeFor[[2]func()](), "[2]func()[]", "a function cannot"},
		{reflect.TypeFor[any](), "interface {}", "behind any"},
		{reflect.TypeFor[error](), "error", "behind error"},
		{reflect.TypeFor[context.Context](), "Context", "behind context.Context"},
		{reflect.TypeFor[[]any](), "[]interface {}[]", "cbor.RawMessage"},
		{reflect.TypeFor[unsafe.Pointer](), "Pointer", "an address"},
		{reflect.TypeFor[uintptr](), "uintptr", "an address"},
		{reflect.TypeFor[complex128](), "complex128", "complex"},
		{reflect.TypeFor[cbor.Tag](), "Tag", "tags other than"},
		{reflect.TypeFor[cbor.RawTag](), "RawTag", "tags other than"},
		{reflect.TypeFor[cbor.SimpleValue](), "SimpleValue", "simple values"},
		{reflect.TypeFor[hidden](), "hidden.secret", "unexported"},
		{reflect.TypeFor[half](), "half.b", "unexported"},
		{reflect.TypeFor[locked](), "locked.mu", "unexported"},
		{reflect.TypeFor[bytes.Buffer](), "Buffer.buf", "unexported"},
		{reflect.TypeFor[time.Location](), "Location.name", "unexported"},
		{reflect.TypeFor[big.Float](), "Float.prec", "unexported"},
		{reflect.TypeFor[clash](), "clash.B", "also that of A"},
		{reflect.TypeFor[intClash](), "intClash.B", "also that of A"},
		{reflect.TypeFor[badInt](), "badInt.A", "not an integer"},
		{reflect.TypeFor[shadow](), "shadow.ID", "also that of Base.ID"},
		{reflect.TypeFor[embedsLowPtr](), "embedsLowPtr.lower", "embed the struct itself"},
		{reflect.TypeFor[Loop](), "Loop.Loop", "embeds itself"},
		{reflect.TypeFor[stamped](), "stamped", "inherits MarshalBinary from the embedded time.Time"},
		{reflect.TypeFor[namedTime](), "namedTime", "make that an ordinary field"},
		{reflect.TypeFor[twoTimes](), "twoTimes.Time", "an embedded time.Time would be lost"},
		{reflect.TypeFor[embedsPair](), "embedsPair.pair", "array of its own"},
		{reflect.TypeFor[embedsNumberLow](), "embedsNumberLow.number", "unexported"},
		{reflect.TypeFor[onlyEncodes](), "onlyEncodes", "MarshalCBOR but not UnmarshalCBOR"},
		{reflect.TypeFor[onlyDecodes](), "onlyDecodes", "UnmarshalBinary but not MarshalBinary"},
		{reflect.TypeFor[**int](), "**int", "pointer to a pointer"},
		{reflect.TypeFor[*[]int](), "*[]int", "pointer to a slice"},
		{reflect.TypeFor[*map[int]int](), "*map[int]int", "pointer to a slice or map"},
		{reflect.TypeFor[*cbor.RawMessage](), "*cbor.RawMessage", "pointer to a slice"},
		{reflect.TypeFor[map[float64]int](), "map[float64]int[key]", "NaN"},
		{reflect.TypeFor[map[time.Time]int](), "map[time.Time]int[key]", "cannot be the key"},
		{reflect.TypeFor[map[Base]int](), "map[wire.Base]int[key]", "cannot be the key"},
		{reflect.TypeFor[map[*int]int](), "map[*int]int[key]", "cannot be the key"},
		{reflect.TypeFor[map[any]int](), "map[interface {}]int[key]", "cannot be the key"},
		{nil, "nil", "no type"},
	} {
		err := CheckType(c.t)
		var fault *TypeError
		if !errors.As(err, &fault) {
			t.Errorf("%v is accepted", c.t)
			continue
		}
		if fault.Path != c.path || !strings.Contains(fault.Reason, c.reason) || fault.Type != c.t {
			t.Errorf("%v: %v", c.t, err)
		}
	}
}

func TestSignatures(t *testing.T) {
	for _, c := range []struct {
		t    reflect.Type
		want string
	}{
		{reflect.TypeFor[bool](), "bool"},
		{reflect.TypeFor[int](), "int64"},
		{reflect.TypeFor[uint8](), "uint8"},
		{reflect.TypeFor[float32](), "float32"},
		{reflect.TypeFor[string](), "tstr"},
		{reflect.TypeFor[[]byte](), "bstr"},
		{reflect.TypeFor[net.IP](), "bstr"},
		{reflect.TypeFor[cbor.ByteString](), "bstr"},
		{reflect.TypeFor[[16]byte](), "bstr .size 16"},
		{reflect.TypeFor[[3]int8](), "[3 int8]"},
		{reflect.TypeFor[[]string](), "[tstr]"},
		{reflect.TypeFor[map[string][]int](), "{tstr=>[int64]}"},
		{reflect.TypeFor[time.Time](), "time"},
		{reflect.TypeFor[time.Duration](), "int64"},
		{reflect.TypeFor[slog.Level](), "int64"},
		{reflect.TypeFor[big.Int](), "bigint"},
		{reflect.TypeFor[*big.Int](), "bigint/null"},
		{reflect.TypeFor[cbor.RawMessage](), "any"},
		{reflect.TypeFor[netip.Addr](), "bstr:netip.Addr"},
		{reflect.TypeFor[url.URL](), "bstr:url.URL"},
		{reflect.TypeFor[map[netip.Addr]bool](), "{bstr:netip.Addr=>bool}"},
		{reflect.TypeFor[selfCBOR](), "cbor:wire.selfCBOR"},
		{reflect.TypeFor[ownForm](), "bstr:wire.ownForm"},
		{reflect.TypeFor[justTime](), "bstr:wire.justTime"},
		{reflect.TypeFor[struct{}](), "{}"},
		{reflect.TypeFor[marker](), "{}"},
		{reflect.TypeFor[ignored](), "{}"},
		{reflect.TypeFor[ignored2](), "{}"},
		{reflect.TypeFor[meant](), `{"A":int64}`},
		{reflect.TypeFor[noClash](), `{"1":int64,1:int64}`},
		{reflect.TypeFor[embeds](), `{"ID":int64,"Name":tstr}`},
		{reflect.TypeFor[embedsPtr](), `{"ID":int64,"Name":tstr}`},
		{reflect.TypeFor[embedsLower](), `{"X":int64}`},
		{reflect.TypeFor[embedsNumber](), `{"Number":int64}`},
		{reflect.TypeFor[textual](), `{"A":int64}`},
		{reflect.TypeFor[pair](), "[(int64,tstr)]"},
		{reflect.TypeFor[list](), `{"Next":^1/null,"Value":int64}`},
		{reflect.TypeFor[treeOf](), `{"Kids":[^2]}`},
		{reflect.TypeFor[twice](), `{"X":[^2],"Y":{"Z":[^3]}}`},
		{reflect.TypeFor[forest](), `{tstr=>^1}`},
		{reflect.TypeFor[nested](), `[^1]`},
		{reflect.TypeFor[struct{ A, B list }](), `{"A":{"Next":^1/null,"Value":int64},"B":{"Next":^1/null,"Value":int64}}`},
	} {
		if got, err := signatureOf(c.t); err != nil || got != c.want {
			t.Errorf("%v: %s, want %s; %v", c.t, got, c.want, err)
		}
	}
}

func TestLongSignaturesAreHashed(t *testing.T) {
	type a struct{ AVeryLongNameIndeedThatIsNumberOne, AVeryLongNameIndeedThatIsNumberTwo, AVeryLongNameIndeedThatIsNumberThree, AVeryLongNameIndeedThatIsNumberFour, AVeryLongNameIndeedThatIsNumberFive map[string][]string }
	type b struct { // the same on the wire
		AVeryLongNameIndeedThatIsNumberFive, AVeryLongNameIndeedThatIsNumberFour, AVeryLongNameIndeedThatIsNumberThree map[string][]string
		AVeryLongNameIndeedThatIsNumberTwo, AVeryLongNameIndeedThatIsNumberOne                                         map[string][]string
	}
	type c struct{ AVeryLongNameIndeedThatIsNumberOne, AVeryLongNameIndeedThatIsNumberTwo, AVeryLongNameIndeedThatIsNumberThree, AVeryLongNameIndeedThatIsNumberFour, AVeryLongNameIndeedThatIsNumberFife map[string][]string }
	sig := func(t reflect.Type) string { s, _ := signatureOf(t); return s }
	one, two, three := sig(reflect.TypeFor[a]()), sig(reflect.TypeFor[b]()), sig(reflect.TypeFor[c]())
	if !strings.HasPrefix(one, "sha256:") || one != two || one == three {
		t.Errorf("%s, %s, %s", one, two, three)
	}
}

type (
	two[T any]     struct{ A, B []T }
	sixteen[T any] = two[two[two[two[T]]]]
)

// Types that share parts must not take exponential time: written out, this one has 2^32 leaves.
func TestSignatureOfManySharedParts(t *testing.T) {
	shared := reflect.TypeFor[sixteen[sixteen[sixteen[sixteen[sixteen[sixteen[sixteen[sixteen[int]]]]]]]]]()
	if err := CheckType(shared); err != nil {
		t.Error(err)
	}
	if checkerOf(shared) != nil {
		t.Error("a type without times and recursion needs no checker")
	}
}
