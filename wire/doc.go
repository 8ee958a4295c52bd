// Package wire is the protocol between a parent and its worker processes: frames over byte streams, and what is in them.
//
// It turns frames, handshakes, calls, log records and the values of user types into bytes and back. It starts no
// process, reads nothing by itself and knows no clock; package child does all that with it. The protocol is specified
// in docs/wire.md, for workers in other languages too, with golden vectors in testdata.
//
// # Frames
//
// A frame is a header of 16 bytes and a body, which is one CBOR data item (RFC 8949) or empty. A sender appends to a
// buffer of its own, so that a body is encoded where it will be sent from:
//
//	buf = wire.Begin(buf[:0], wire.KindAnswer, id)
//	buf, err = codec.Append(buf, value)
//	err = wire.End(buf, 0, limit)
//
// A [Reader] takes frames off a stream; [Frame.Check] says whether one may come from there. Bodies of the protocol's
// own have a type each, such as [Hello], with an Append method and a Parse function.
//
// # Trust
//
// Nothing that arrives is believed. Lengths are held against limits before memory is reserved, memory grows only as
// bytes arrive, and each body is checked as a whole, by the strict rules of docs/wire.md, before anything is made of
// it. What has been decoded never shares memory with the body, but for [Call]'s Func and Input, and for what
// [Codec.Adopt] makes of a body that nobody else has, such as [Frame.Take] returns.
//
// # Values
//
// A [Codec] carries values of one type. [CodecFor] refuses types of which something would be lost on the way, and says
// which field and why ([CheckType]); [Codec.Append] refuses the few values that would not arrive. What it has sent
// comes out the same, to the nanosecond, nil as nil and empty as empty. The CBOR library does the work, and is the
// reference; for common types and what this package sends itself, code of this package does the same in one walk.
//
// A [Blob] in a value is not copied: its descriptor travels beside the frame, see [Parcel]; blob.go is the place to
// begin. Blobs are all that this package knows of the operating system.
//
// # Errors
//
// [*ProtocolError] and [*SizeError] from a Reader are final: the peer does not keep to the protocol. [*DecodeError] is
// about one body. [*EncodeError], [*TypeError] and a [*SizeError] from a sender are the caller's own mistakes.
//
// # Concurrency
//
// A Reader belongs to one goroutine at a time. Codecs and all functions may be used by any number of goroutines; a
// buffer that is appended to belongs to its caller.
//
// # Reading
//
// kind.go and frame.go for the format, reader.go for the stream, strict.go for what CBOR is accepted, codec.go for
// values, direct.go for how they are encoded and decoded in one walk, signature.go, types.go and fields.go for which
// types are; handshake.go, control.go, log.go, call.go and outcome.go for the bodies.
package wire
