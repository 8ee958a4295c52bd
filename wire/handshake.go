package wire

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Limits on the handshake.
const (
	MaxCapabilities = 64
	MaxFunctions    = 4096
	MaxSignature    = 512 // bytes
)

// CapStatusPage is the capability of a worker that keeps the status page on descriptor 6: the id of the latest call it
// has started, and the last words of its runtime.
const CapStatusPage = "status-page"

// CapPongs is the capability of a parent that takes pongs on the status page too: a worker that keeps the page may store
// the id of a ping there and send no pong, which saves both sides a wake-up.
const CapPongs = "pongs"

// CapStreams is the capability of a worker that knows streams: it keeps to their windows and takes credits.
const CapStreams = "streams"

// CapRings is the capability of a worker that has got shared memory from its parent, see
// docs/wire.md: calls and answers pass through it and not through the pipes.
const CapRings = "rings"

// CapRecall is the capability of a worker that keeps the status page, starts no call when it finds the recall there,
// and sends [KindDying] before a panic when it finds this in setup too.
const CapRecall = "recall"

// Hello is a worker's first frame: what it is and what it can do. Version and MinVersion are filled in by Append when
// they are zero.
type Hello struct {
	Version      int        `cbor:"1,keyasint"`           // highest protocol version
	MinVersion   int        `cbor:"2,keyasint"`           // lowest protocol version
	Build        string     `cbor:"3,keyasint"`           // build id of the executable; "": compare Functions instead
	PID          int        `cbor:"4,keyasint"`           // as the worker sees itself
	Language     string     `cbor:"5,keyasint"`           // such as "go1.26.8"
	Capabilities []string   `cbor:"6,keyasint,omitempty"` // such as [CapStatusPage]
	Functions    []Function `cbor:"7,keyasint,omitempty"` // what can be called
}

// Function is one function a worker offers. In and Out are signatures (see [Codec.Signature]); an empty one is not
// compared.
type Function struct {
	Name  string `cbor:"1,keyasint"`
	In    string `cbor:"2,keyasint,omitempty"`
	Out   string `cbor:"3,keyasint,omitempty"`
	State string `cbor:"4,keyasint,omitempty"` // the state it is defined on; "": none

	Stream bool `cbor:"5,keyasint,omitempty"` // it brings many values of type Out, not one
}

// Append appends the body of a hello frame.
func (h Hello) Append(dst []byte) ([]byte, error) {
	if h.Version == 0 {
		h.Version, h.MinVersion = Version, Version
	}
	return appendPlain(dst, KindHello, h, h.check())
}

// ParseHello takes the body of a hello frame apart. The error is a [*DecodeError].
func ParseHello(body []byte) (Hello, error) {
	var h Hello
	if h.parsePlain(body) && h.check() == nil {
		return h, nil
	}
	return parseControl(body, KindHello, Hello.check)
}

// Negotiate returns the protocol version to use with this worker, or a [*VersionError].
func (h Hello) Negotiate() (int, error) {
	if h.MinVersion > Version || h.Version < Version {
		return 0, &VersionError{h.MinVersion, h.Version}
	}
	return Version, nil
}

// Setup is the parent's answer to a worker's start: what holds for this run, and the state to open. Version is filled
// in by Append when it is zero.
type Setup struct {
	Version      int             `cbor:"1,keyasint"`
	Limit        int             `cbor:"2,keyasint"` // bytes; the longest body on the call channel, both ways
	Concurrency  int             `cbor:"3,keyasint"` // how many handlers may run at once; at least 1
	State        string          `cbor:"4,keyasint,omitempty"`
	StateInput   cbor.RawMessage `cbor:"5,keyasint,omitempty"`  // one item for the state's open function
	LogLevel     int             `cbor:"6,keyasint,omitempty"`  // the lowest level worth sending, in slog's numbers
	Capabilities []string        `cbor:"7,keyasint,omitempty"`  // those of the worker's that the parent will use
	Window       int             `cbor:"8,keyasint,omitempty"`  // bytes of each stream, see [ItemCost]; 0: the parent takes no streams
	Build        string          `cbor:"9,keyasint,omitempty"`  // build id of the parent, whose functions are known if the worker's is the same
	Blobs        int64           `cbor:"10,keyasint,omitempty"` // bytes of all Blobs of one call, and of one answer; 0: the parent knows none
}

// Append appends the body of a setup frame.
func (s Setup) Append(dst []byte) ([]byte, error) {
	if s.Version == 0 {
		s.Version = Version
	}
	return appendPlain(dst, KindSetup, s, s.check())
}

// ParseSetup takes the body of a setup frame apart. The error is a [*DecodeError].
func ParseSetup(body []byte) (Setup, error) {
	var s Setup
	if s.parsePlain(body) && s.check() == nil {
		return s, nil
	}
	return parseControl(body, KindSetup, Setup.check)
}

// Ready says that the worker has opened its state and takes calls. It has no fields yet.
type Ready struct{}

// Append appends the body of a ready frame.
func (r Ready) Append(dst []byte) ([]byte, error) { return append(dst, majorMap), nil }

// ParseReady takes the body of a ready frame apart. The error is a [*DecodeError].
func ParseReady(body []byte) (Ready, error) {
	if len(body) == 1 && body[0] == majorMap {
		return Ready{}, nil
	}
	return parseControl[Ready](body, KindReady, nil)
}

// StartFailed says that the worker cannot start and will end.
type StartFailed struct {
	Message string   `cbor:"1,keyasint"`
	Codes   []string `cbor:"2,keyasint,omitempty"` // as in ErrorBody
	Stack   string   `cbor:"3,keyasint,omitempty"` // of a panic
}

// Append appends the body of a start-failed frame. Texts beyond the limits are cut off, with a remark.
func (f StartFailed) Append(dst []byte) ([]byte, error) {
	f.Message, f.Stack = bounded(f.Message, MaxMessage), bounded(f.Stack, MaxStack)
	f.Codes = boundedCodes(f.Codes)
	return appendControl(dst, KindStartFailed, &f, f.check())
}

// ParseStartFailed takes the body of a start-failed frame apart. The error is a [*DecodeError].
func ParseStartFailed(body []byte) (StartFailed, error) {
	return parseControl(body, KindStartFailed, StartFailed.check)
}

func (h Hello) check() error {
	if h.MinVersion < 1 || h.Version < h.MinVersion {
		return fmt.Errorf("versions %d to %d make no range", h.MinVersion, h.Version)
	}
	if len(h.Functions) > MaxFunctions {
		return &tooLong{"functions", uint64(len(h.Functions)), MaxFunctions}
	}
	for _, f := range h.Functions {
		if err := f.check(); err != nil {
			return err
		}
	}
	return firstError(within("build", h.Build, MaxName), within("language", h.Language, MaxName), capabilities(h.Capabilities))
}

func (f Function) check() error {
	if f.Name == "" {
		return errNoName
	}
	return firstError(within("function name", f.Name, MaxName), within("input signature", f.In, MaxSignature),
		within("output signature", f.Out, MaxSignature), within("state name", f.State, MaxName))
}

func (s Setup) check() error {
	switch {
	case s.Version < 1:
		return fmt.Errorf("version %d", s.Version)
	case s.Limit < 1 || s.Limit > MaxLimit:
		return fmt.Errorf("frame limit %d is not between 1 and %d", s.Limit, MaxLimit)
	case s.Concurrency < 1:
		return fmt.Errorf("concurrency %d is less than 1", s.Concurrency)
	case s.Window < 0 || s.Window > MaxLimit:
		return fmt.Errorf("window %d is not between 0 and %d", s.Window, MaxLimit)
	case s.Blobs < 0:
		return fmt.Errorf("limit of blobs %d is negative", s.Blobs)
	}
	return firstError(within("state name", s.State, MaxName), within("build", s.Build, MaxName), capabilities(s.Capabilities))
}

func (f StartFailed) check() error {
	if len(f.Codes) > MaxCodes {
		return &tooLong{"codes", uint64(len(f.Codes)), MaxCodes}
	}
	return firstError(within("message", f.Message, MaxMessage), within("stack", f.Stack, MaxStack), each("code", f.Codes))
}
