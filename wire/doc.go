// Package wire is the protocol between a parent and its worker processes: frames over byte streams, with CBOR bodies.
package wire
