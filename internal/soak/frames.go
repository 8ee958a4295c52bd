//go:build linux

package main

import (
	"encoding/binary"
	"os"
	"syscall"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/ring"
	"github.com/verdigris-go/verdigris/internal/soak/ledger"
	"github.com/verdigris-go/verdigris/wire"
)

// The worker's descriptors, as docs/wire.md has them.
const (
	fdControl = 3
	fdAnswers = 5
	fdStatus  = 6
)

// badFrames are what a worker sends that no worker may send. They are made by
// workers that run one call at a time, so that the id of the call is known, and
// whoever has made one does not go on to the next call.
func badFrames() []*kind {
	bad := func(name string, f func(x *execution)) *kind {
		return &kind{name: name, lanes: narrow, act: f}
	}
	fatal := func(name string, f func(x *execution)) *kind { // the parent must not let it live
		k := bad(name, func(x *execution) { x.spoils(); f(x); select {} })
		k.cause = child.Protocol
		return k
	}
	brief := func(name string, f func(x *execution)) *kind { // the parent may let it live
		return bad(name, func(x *execution) { x.spoils(); f(x); time.Sleep(5 * time.Millisecond); os.Exit(3) })
	}
	inStream := func(k *kind) *kind { k.stream = always; return k }
	drowsy := func(k *kind) *kind { k.drowsy = true; return k }
	return []*kind{
		bad("answer-cut-off", func(x *execution) {
			x.answers()
			frame := x.answer()
			send(fdAnswers, frame[:x.job.Random%uint64(len(frame))])
			raise(syscall.SIGKILL)
		}),
		bad("die-after-answer", func(x *execution) {
			x.answers()
			send(fdAnswers, x.answer())
			raise(syscall.SIGKILL)
		}),
		brief("answer-twice", func(x *execution) {
			x.answers()
			send(fdAnswers, append(x.answer(), x.answer()...))
		}),
		brief("answer-invented", func(x *execution) {
			send(fdAnswers, wire.AppendFrame(nil, wire.KindAnswer, callID()+1<<40, []byte{7}))
		}),
		brief(wrongType, func(x *execution) {
			x.answers()
			send(fdAnswers, wire.AppendFrame(nil, wire.KindAnswer, callID(), []byte{0x61, 'x'}))
		}),
		fatal("frame-garbage", func(x *execution) { send(fdAnswers, []byte("HTTP/1.1 200 OK\r\n\r\n")) }),
		fatal("frame-random", func(x *execution) { send(fdAnswers, noise(x.job.Random)) }),
		fatal("frame-huge", func(x *execution) {
			frame := wire.Begin(nil, wire.KindAnswer, callID())
			binary.BigEndian.PutUint32(frame[4:], 1<<32-1)
			send(fdAnswers, frame)
		}),
		fatal("frame-a-call", func(x *execution) { send(fdAnswers, wire.AppendFrame(nil, wire.KindCall, callID(), []byte{1})) }),
		fatal("frame-bad-error", func(x *execution) { send(fdAnswers, wire.AppendFrame(nil, wire.KindError, callID(), []byte{1})) }),
		fatal("control-garbage", func(x *execution) { send(fdControl, []byte("GET / HTTP/1.1\r\n\r\n")) }),
		fatal("control-ready-again", func(x *execution) {
			send(fdControl, wire.AppendFrame(nil, wire.KindReady, 0, []byte{0x80}))
		}),
		fatal("frame-an-item", func(x *execution) { send(fdAnswers, x.item(0)) }),
		fatal("frame-unasked-report", func(*execution) {
			send(fdAnswers, wire.AppendFrame(nil, wire.KindProgress, callID(), wire.ProgressBody{Done: 1}.Append(nil)))
		}),
		drowsy(inStream(fatal("stream-overruns", func(x *execution) {
			for n := x.job.At; ; n++ {
				send(fdAnswers, x.item(n))
			}
		}))),
		inStream(fatal("stream-answered", func(x *execution) { send(fdAnswers, x.answer()) })),
		inStream(brief("stream-ends-twice", func(x *execution) {
			for n := x.job.At; n < x.job.Items; n++ {
				send(fdAnswers, x.item(n))
				x.note(ledger.Line{Event: ledger.Passed, Attempt: x.attempt(), Index: n})
			}
			x.answers()
			done := wire.AppendFrame(nil, wire.KindDone, callID(), nil)
			send(fdAnswers, append(done, done...))
		})),
		inStream(bad("stream-cut-off", func(x *execution) {
			frame := x.item(x.job.At)
			send(fdAnswers, frame[:x.job.Random%uint64(len(frame))])
			raise(syscall.SIGKILL)
		})),
	}
}

// falseEnds are the ends that a worker only pretends.
func falseEnds() []*kind {
	return []*kind{
		{name: "death-pretended", rare: true, cause: child.Protocol, lanes: narrow, act: func(x *execution) {
			x.spoils()
			_ = syscall.Shutdown(fdControl, syscall.SHUT_WR)
			select {}
		}},
		{name: "death-announced", rare: true, cause: child.Protocol, lanes: narrow, act: func(x *execution) {
			x.spoils()
			send(fdAnswers, wire.AppendFrame(nil, wire.KindDying, callID(), nil))
			select {}
		}},
		{name: "panic-forged", cause: child.Panicked, lanes: narrow, act: func(x *execution) {
			x.spoils()
			send(fdAnswers, wire.AppendFrame(nil, wire.KindPanic, callID(), wire.PanicBody{Value: "not at all"}.Append(nil)))
			select {}
		}},
		{name: "channel-closed", rare: true, piped: true, cause: child.Protocol, lanes: narrow, act: func(x *execution) {
			x.spoils()
			_ = syscall.Close(fdAnswers)
			select {}
		}},
	}
}

// wrongType is the kind whose calls may be told that the answer makes no sense.
const wrongType = "answer-wrong-type"

// callID is the id of the call that runs: the highest one that the worker has
// noted on its status page.
func callID() uint64 {
	var b [8]byte
	if _, err := syscall.Pread(fdStatus, b[:], 0); err != nil {
		panic(err)
	}
	return binary.LittleEndian.Uint64(b[:])
}

// spoils notes that the worker breaks the protocol now.
func (x *execution) spoils() { x.note(ledger.Line{Event: ledger.Spoil, Attempt: x.attempt()}) }

// item is the frame of the next result of a stream.
func (x *execution) item(index int) []byte {
	codec, err := wire.CodecFor[item]()
	if err != nil {
		panic(err)
	}
	body, err := codec.Append(nil, newItem(x.token(), index, 8<<10))
	if err != nil {
		panic(err)
	}
	return wire.AppendFrame(nil, wire.KindItem, callID(), body)
}

// answer is the frame that answers the call.
func (x *execution) answer() []byte {
	codec, err := wire.CodecFor[result]()
	if err != nil {
		panic(err)
	}
	body, err := codec.Append(nil, x.result)
	if err != nil {
		panic(err)
	}
	return wire.AppendFrame(nil, wire.KindAnswer, callID(), body)
}

// noise is bytes that begin as no frame does.
func noise(random uint64) []byte {
	b := make([]byte, 16+random%200)
	for i := range b {
		random = random*6364136223846793005 + 1442695040888963407
		b[i] = byte(random >> 56)
	}
	b[0] = 0
	return b
}

// send writes to a channel by itself. What would go to the answers goes to the ring
// that stands for them, if there is one.
func send(fd int, b []byte) {
	if rings := ring.Own(); fd == fdAnswers && rings != nil {
		_, _ = rings.Answers.Write(b) // it never fails
		return
	}
	for len(b) > 0 {
		n, err := syscall.Write(fd, b)
		if err == syscall.EINTR || err == syscall.EAGAIN {
			continue
		}
		if err != nil {
			os.Exit(7)
		}
		b = b[n:]
	}
}
