package wire

import "fmt"

// Kind says what a frame is for and therefore what its body holds. The numbers are part of the protocol.
type Kind uint8

// The kinds of protocol version 1. Numbers below 16 belong to the control channel, numbers from 16 on to the call
// channel. Zero is never a kind.
const (
	KindHello       Kind = 1  // worker: who I am and what I can do
	KindSetup       Kind = 2  // parent: the limits, and the state to open
	KindReady       Kind = 3  // worker: send calls
	KindStartFailed Kind = 4  // worker: I cannot start, and why
	KindPing        Kind = 5  // parent: are you there?
	KindPong        Kind = 6  // worker: yes; the id is the ping's
	KindLog         Kind = 7  // worker: a log record
	KindCancel      Kind = 8  // parent: nobody waits for this call any more
	KindShutdown    Kind = 9  // parent: finish what you have begun, then go
	KindGoodbye     Kind = 10 // worker: I go now, and why
	KindCredit      Kind = 11 // parent: this stream may send so much more
	KindParcel      Kind = 12 // parent: the Blobs of a call's input
	KindReturn      Kind = 13 // worker: the Blobs of a call's output

	KindCall   Kind = 16 // parent: run a function
	KindAnswer Kind = 17 // worker: it returned a value
	KindError  Kind = 18 // worker: it returned an error
	KindPanic  Kind = 19 // worker: it panicked and the panic was recovered
	KindItem   Kind = 20 // worker: one value of a stream
	KindDone   Kind = 21 // worker: the stream has ended well

	KindProgress Kind = 22 // worker: how far a call has come that has asked for it

	KindDying      Kind = 23 // worker: it panicked, and how follows in a moment
	KindBlobAnswer Kind = 24 // worker: it returned a value, and the Blobs in it travel by a return frame
)

// Channel is one of the two byte streams between a parent and its worker.
type Channel uint8

const (
	Control Channel = iota + 1 // handshake, log records, pings, cancels, shutdown
	Calls                      // calls and their answers
)

// String returns "control" or "calls".
func (c Channel) String() string {
	switch c {
	case Control:
		return "control"
	case Calls:
		return "calls"
	}
	return fmt.Sprintf("Channel(%d)", uint8(c))
}

// Direction is the way a frame travels.
type Direction uint8

const (
	ToWorker Direction = iota + 1 // sent by the parent
	ToParent                      // sent by the worker
)

// String returns "to worker" or "to parent".
func (d Direction) String() string {
	switch d {
	case ToWorker:
		return "to worker"
	case ToParent:
		return "to parent"
	}
	return fmt.Sprintf("Direction(%d)", uint8(d))
}

// idRule says what the header's id must be.
type idRule uint8

const (
	idZero idRule = iota // the frame is not about a call
	idCall               // the id of a call, never zero
	idAny                // a number that is only echoed
)

// traits is all that is fixed about a kind.
type traits struct {
	name      string
	channel   Channel
	direction Direction
	id        idRule
	empty     bool // the body has length zero; every other kind has a body
}

var kinds = [...]traits{
	KindHello:       {"hello", Control, ToParent, idZero, false},
	KindSetup:       {"setup", Control, ToWorker, idZero, false},
	KindReady:       {"ready", Control, ToParent, idZero, false},
	KindStartFailed: {"start-failed", Control, ToParent, idZero, false},
	KindPing:        {"ping", Control, ToWorker, idAny, true},
	KindPong:        {"pong", Control, ToParent, idAny, true},
	KindLog:         {"log", Control, ToParent, idZero, false},
	KindCancel:      {"cancel", Control, ToWorker, idCall, false},
	KindShutdown:    {"shutdown", Control, ToWorker, idZero, false},
	KindGoodbye:     {"goodbye", Control, ToParent, idZero, false},
	KindCredit:      {"credit", Control, ToWorker, idCall, false},
	KindParcel:      {"parcel", Control, ToWorker, idCall, false},
	KindReturn:      {"return", Control, ToParent, idCall, false},

	KindCall:   {"call", Calls, ToWorker, idCall, false},
	KindAnswer: {"answer", Calls, ToParent, idCall, false},
	KindError:  {"error", Calls, ToParent, idCall, false},
	KindPanic:  {"panic", Calls, ToParent, idCall, false},
	KindItem:   {"item", Calls, ToParent, idCall, false},
	KindDone:   {"done", Calls, ToParent, idCall, true},

	KindProgress: {"progress", Calls, ToParent, idCall, false},

	KindDying:      {"dying", Calls, ToParent, idCall, true},
	KindBlobAnswer: {"blob-answer", Calls, ToParent, idCall, false},
}

// traits returns what is fixed about k, and whether k is a kind of this protocol version.
func (k Kind) traits() (traits, bool) {
	if int(k) >= len(kinds) || kinds[k].channel == 0 {
		return traits{}, false
	}
	return kinds[k], true
}

// Known reports whether k is a kind of this protocol version.
func (k Kind) Known() bool {
	_, ok := k.traits()
	return ok
}

// Valid reports whether a frame of kind k may travel on channel c in direction d.
func (k Kind) Valid(c Channel, d Direction) bool {
	t, ok := k.traits()
	return ok && t.channel == c && t.direction == d
}

// String returns the kind's name in docs/wire.md, such as "start-failed".
func (k Kind) String() string {
	if t, ok := k.traits(); ok {
		return t.name
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}
