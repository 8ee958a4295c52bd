package wire

import (
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// Limits on what one CBOR body may hold. They are part of the protocol: both sides refuse more.
const (
	MaxNesting  = 64      // arrays, maps and tags inside each other
	MaxElements = 1 << 22 // elements of one array
	MaxPairs    = 1 << 20 // pairs of one map
)

// modes are the CBOR library's settings, built once and shared by all codecs.
type modes struct {
	enc     cbor.UserBufferEncMode
	dec     cbor.DecMode // values of user types: an unknown field is an error
	control cbor.DecMode // control bodies: unknown keys are ignored, so that a newer peer may add some
}

// shared returns the modes.
var shared = sync.OnceValue(func() modes {
	var m modes
	var err error
	if m.enc, err = encOptions().UserBufferEncMode(); err != nil {
		panic(err)
	}
	values := decOptions()
	values.ExtraReturnErrors = cbor.ExtraDecErrorUnknownField
	if m.dec, err = values.DecMode(); err != nil {
		panic(err)
	}
	if m.control, err = decOptions().DecMode(); err != nil {
		panic(err)
	}
	return m
})

// encOptions is RFC 8949 section 4.2.1, core deterministic encoding: the same value is always the same bytes. Times
// are RFC 3339 text with nanoseconds and offset under tag 0.
func encOptions() cbor.EncOptions {
	o := cbor.CoreDetEncOptions()
	o.Time = cbor.TimeRFC3339Nano
	o.TimeTag = cbor.EncTagRequired
	return o
}

// decOptions accepts what [valid] lets through and nothing ambiguous.
func decOptions() cbor.DecOptions {
	return cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		TimeTag:           cbor.DecTagRequired,
		MaxNestedLevels:   MaxNesting,
		MaxArrayElements:  MaxElements,
		MaxMapPairs:       MaxPairs,
		IndefLength:       cbor.IndefLengthForbidden,
		UTF8:              cbor.UTF8RejectInvalid,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	}
}
