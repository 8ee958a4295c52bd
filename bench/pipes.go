//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/bench/measure"
)

// The baseline "pipe": two processes that pass a message to and fro through two
// pipes, by bare system calls, both on one core. It is the least that a round
// trip through the kernel costs; where the scheduler leaves both ends without
// being told, it is the same or ten times as much.
type rawPipe struct {
	size    int
	core    int
	in, out int
	partner *partner
}

// pipeSize holds a whole message of every size that this baseline is used with.
const pipeSize = 1 << 20

// free is no core: both ends run where the scheduler leaves them.
const free = -1

func newRawPipe(size, core int) (*rawPipe, error) {
	there, back, err := pipePair()
	if err != nil {
		return nil, err
	}
	p := &rawPipe{size: size, core: core, out: there[1], in: back[0]}
	theirs := []*os.File{os.NewFile(uintptr(there[0]), "there"), os.NewFile(uintptr(back[1]), "back")}
	cmd := self("pipe", strconv.Itoa(size), strconv.Itoa(p.core))
	cmd.ExtraFiles = theirs
	p.partner, err = startPartner(cmd)
	for _, f := range theirs {
		f.Close()
	}
	if err != nil {
		unix.Close(p.in)
		unix.Close(p.out)
		return nil, err
	}
	return p, nil
}

func pipePair() (there, back [2]int, err error) {
	if err = unix.Pipe2(there[:], unix.O_CLOEXEC); err != nil {
		return there, back, err
	}
	if err = unix.Pipe2(back[:], unix.O_CLOEXEC); err != nil {
		unix.Close(there[0])
		unix.Close(there[1])
		return there, back, err
	}
	for _, fd := range []int{there[1], back[1]} {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, pipeSize) // a smaller one is slower, no more
	}
	return there, back, nil
}

// rawPartner is the other end. Its arguments are the size and the core.
func rawPartner(args []string) {
	size, _ := strconv.Atoi(args[0])
	core, _ := strconv.Atoi(args[1])
	runtime.LockOSThread()
	_ = pin(core) // the parent's own pinning fails in the same way, and is told
	buf := make([]byte, size)
	for rawTransfer(unix.SYS_READ, 3, buf) == nil && rawTransfer(unix.SYS_WRITE, 4, buf) == nil {
	}
}

// rawTransfer moves all of b without telling the runtime that it may wait.
func rawTransfer(call uintptr, fd int, b []byte) error {
	for len(b) > 0 {
		n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch {
		case errno == unix.EINTR:
		case errno != 0:
			return errno
		case n == 0:
			return io.ErrUnexpectedEOF
		default:
			b = b[n:]
		}
	}
	return nil
}

// turn makes round trips.
func (p *rawPipe) turn(long measure.Pace) (s measure.Sample, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := pin(p.core); err != nil {
		return s, fmt.Errorf("pinning to core %d: %w", p.core, err)
	}
	defer func() { err = errors.Join(err, pin(free)) }()
	buf := make([]byte, p.size)
	return measure.Timed(long, []int{p.partner.pid()}, func() error {
		if err := rawTransfer(unix.SYS_WRITE, p.out, buf); err != nil {
			return err
		}
		return rawTransfer(unix.SYS_READ, p.in, buf)
	})
}

func (p *rawPipe) close() error {
	unix.Close(p.in)
	unix.Close(p.out)
	p.partner.end()
	return nil
}

// The baseline "Go pipe": what somebody writes who needs another process for one
// thing, with os/exec and its standard streams. No frames, no types, no
// deadlines, and nobody notices a death.
type goPipe struct {
	size    int
	in      io.Reader
	out     io.Writer
	partner *partner
}

func newGoPipe(size int) (*goPipe, error) {
	cmd := self("gopipe", strconv.Itoa(size))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p, err := startPartner(cmd)
	if err != nil {
		return nil, err
	}
	return &goPipe{size, out, p.in, p}, nil
}

func goPartner(args []string) {
	size, _ := strconv.Atoi(args[0])
	buf := make([]byte, size)
	for {
		if _, err := io.ReadFull(os.Stdin, buf); err != nil {
			return
		}
		if _, err := os.Stdout.Write(buf); err != nil {
			return
		}
	}
}

func (p *goPipe) roundTrip(buf []byte) error {
	if _, err := p.out.Write(buf); err != nil {
		return err
	}
	_, err := io.ReadFull(p.in, buf)
	return err
}

func (p *goPipe) turn(long measure.Pace) (measure.Sample, error) {
	buf := make([]byte, p.size)
	return measure.Timed(long, []int{p.partner.pid()}, func() error { return p.roundTrip(buf) })
}

func (p *goPipe) close() error {
	p.partner.end()
	return nil
}
