package wire

import (
	"fmt"
	"reflect"
)

// Fault says which rule of the protocol a frame broke.
type Fault uint8

const (
	BadMagic    Fault = iota + 1 // the first byte is not 0x56: this is no frame, or the stream is out of step
	BadVersion                   // the header's version is not ours
	UnknownKind                  // a kind we do not know, not marked optional
	BadFlags                     // a flag that version 1 does not have
	Misplaced                    // a known kind on the wrong channel or in the wrong direction
	BadID                        // an id where none may be, or none where one must be
	BadLength                    // a body where none may be, or none where one must be
)

// ProtocolError is a peer that does not keep to the frame format. The stream cannot be trusted any more: close it and
// end the worker.
type ProtocolError struct {
	Fault     Fault
	Kind      Kind      // of the frame, where it could be read
	Got       uint64    // the offending value: byte, version, kind, flags, id or length
	Channel   Channel   // where it came, for Misplaced
	Direction Direction // how it came, for Misplaced
}

// Error says what was wrong and what the value was.
func (e *ProtocolError) Error() string {
	switch e.Fault {
	case BadMagic:
		return fmt.Sprintf("wire: not a frame: first byte is %#02x, not %#02x; something else writes to this descriptor", e.Got, magic)
	case BadVersion:
		return fmt.Sprintf("wire: peer speaks protocol version %d, this side speaks %d; build both from versions that agree", e.Got, Version)
	case UnknownKind:
		return fmt.Sprintf("wire: unknown frame kind %d; the peer may be newer than this side", e.Got)
	case BadFlags:
		return fmt.Sprintf("wire: %v frame with unknown flags %#02x", e.Kind, e.Got)
	case Misplaced:
		return fmt.Sprintf("wire: %v frame does not belong on the %v channel %v", e.Kind, e.Channel, e.Direction)
	case BadID:
		return fmt.Sprintf("wire: %v frame must not have id %d", e.Kind, e.Got)
	case BadLength:
		return fmt.Sprintf("wire: %v frame must not have a body of %d bytes", e.Kind, e.Got)
	}
	return fmt.Sprintf("wire: protocol fault %d", e.Fault)
}

// SizeError is a body, or a part of one, that is longer than its limit. A reader reports it before it allocates
// anything for it.
type SizeError struct {
	Kind  Kind
	What  string // the part that is too long, such as "function name"; "": the whole body
	Size  uint64 // bytes or elements
	Limit int
}

// Error names the part, its size and the limit.
func (e *SizeError) Error() string {
	what := e.What
	if what == "" {
		what = "body"
	}
	return fmt.Sprintf("wire: %v frame: %s has size %d, the limit is %d", e.Kind, what, e.Size, e.Limit)
}

// DecodeError is a body that is not what its kind or its type asks for.
type DecodeError struct {
	What string // the kind or the Go type that was expected
	Err  error
}

// Error names what was expected and wraps the cause.
func (e *DecodeError) Error() string { return fmt.Sprintf("wire: decode %s: %v", e.What, e.Err) }

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// EncodeError is a value that cannot be put on the wire although its type can.
type EncodeError struct {
	What string // the kind or the Go type
	Err  error
}

// Error names the type and wraps the cause.
func (e *EncodeError) Error() string { return fmt.Sprintf("wire: encode %s: %v", e.What, e.Err) }

// Unwrap returns the cause.
func (e *EncodeError) Unwrap() error { return e.Err }

// TypeError is a Go type that cannot cross a process boundary and come back the same.
type TypeError struct {
	Type   reflect.Type // the type that was asked for
	Path   string       // the field at fault, such as "Job.Out.ch"
	Reason string       // why, and what to do about it
}

// Error is the path and the reason.
func (e *TypeError) Error() string { return fmt.Sprintf("wire: %s: %s", e.Path, e.Reason) }

// VersionError is a handshake without a common protocol version.
type VersionError struct {
	Min, Max int // what the peer speaks
}

// Error names the versions of both sides.
func (e *VersionError) Error() string {
	return fmt.Sprintf("wire: worker speaks protocol versions %d to %d, this side speaks %d; build both from versions that agree", e.Min, e.Max, Version)
}
